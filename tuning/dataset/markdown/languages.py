"""The language of a code block, as Stack Exchange says it and as a fence names it."""

import re

from lxml import etree

# Hints are written by hand: `lang-py`, `lang-python3`, `language-python`. A fence gets one name per language.
# https://meta.stackexchange.com/questions/184108 lists the codes of Stack Exchange.
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
    """The HTML with each block's language as the one class `language-NAME` of its `<code>`, read from the classes of
    `<pre>` and `<code>`, or else from the comment `<!-- language: lang-py -->` before it or `language-all` anywhere."""
    everywhere = _ALL.search(html) if "<!--" in html else None

    def named(match: re.Match[str]) -> str:
        hint = match[1] or (everywhere and everywhere[1]) or ""
        name = _language(match[2] + " " + match[4]) or _normal(hint)
        return f'<pre>{match[3]}<code class="language-{name}">' if name else f"<pre>{match[3]}<code>"

    return _PRE.sub(named, html)


def fence_language(pre: etree._Element) -> str:
    """The info string for a `<pre>` of HTML that went through `name_languages`."""
    return _language(" ".join(element.get("class") or "" for element in pre.iter("pre", "code")))


def _language(classes: str) -> str:
    for hint in _CLASS.findall(classes):
        if name := _normal(hint):
            return name
    return ""


def _normal(hint: str) -> str:
    hint = hint.lower()
    return "" if hint in NO_LANGUAGE else NAMES.get(hint, hint)
