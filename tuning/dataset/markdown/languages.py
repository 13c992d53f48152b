"""Find the language of a code block in the HTML of Stack Exchange and translate it to the name used in Markdown."""

import re

from lxml import etree

# Authors write language hints by hand: `lang-py`, `lang-python3`, `language-python`. In a fence, all become one name.
# The codes of Stack Exchange are listed in https://meta.stackexchange.com/questions/184108.
NAMES = {
    "py": "python", "python3": "python", "python2": "python", "py3": "python", "cv": "python", "js": "javascript",
    "ts": "typescript", "rb": "ruby", "pl": "perl", "sh": "bash", "bsh": "bash", "csh": "bash", "cs": "csharp",
    "c++": "cpp", "cc": "cpp", "cxx": "cpp", "hs": "haskell", "rs": "rust", "kt": "kotlin", "md": "markdown",
    "yml": "yaml", "tex": "latex", "m": "objectivec", "htm": "html", "bat": "batch",
}  # fmt: skip
NO_LANGUAGE = {"none", "default", "prettyprint-override", "plaintext", "text", "all"}
_CLASS = re.compile(r"(?<![\w-])lang(?:uage)?-([\w+#.-]+)")
_PRE = re.compile(
    r"(?:<!--\s*language:\s*(?:lang-)?([\w+#.-]+)\s*-->\s*)?<pre([^>]*)>(\s*)<code([^>]*)>", re.IGNORECASE
)
_ALL = re.compile(r"<!--\s*language-all:\s*(?:lang-)?([\w+#.-]+)\s*-->", re.IGNORECASE)


def name_languages(html: str) -> str:
    """Replace all attributes of each code block by the class `language-NAME` on its `<code>`, if the language is known.

    The language comes from the classes of `<pre>` and `<code>`, else from a comment `<!-- language: lang-py -->` before
    the block, else from a comment `<!-- language-all: lang-py -->` anywhere in the text.
    """
    everywhere = _ALL.search(html) if "<!--" in html else None

    def named(match: re.Match[str]) -> str:
        hint = match[1] or (everywhere and everywhere[1]) or ""
        name = _language(match[2] + " " + match[4]) or _normal(hint)
        return f'<pre>{match[3]}<code class="language-{name}">' if name else f"<pre>{match[3]}<code>"

    return _PRE.sub(named, html)


def fence_language(pre: etree._Element) -> str:
    """Return the language for the fence of a `<pre>`, or ''. The HTML must have passed through `name_languages`."""
    return _language(" ".join(element.get("class") or "" for element in pre.iter("pre", "code")))


def _language(classes: str) -> str:
    for hint in _CLASS.findall(classes):
        if name := _normal(hint):
            return name
    return ""


def _normal(hint: str) -> str:
    hint = hint.lower()
    return "" if hint in NO_LANGUAGE else NAMES.get(hint, hint)
