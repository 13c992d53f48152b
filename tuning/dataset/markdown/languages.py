"""Name the language of each code block in the HTML of Stack Exchange, by the author's hint and by the content.

Authors rarely give a hint, and some are wrong: the site's editor for HTML snippets marks whatever is pasted into it as
HTML. So a hint names the block unless the content certainly is something else.
"""

import re
from html import unescape

from lxml import etree

from tuning.dataset.markdown.fences.content import language_of
from tuning.dataset.markdown.fences.python_code import has_mark

# Authors write language hints by hand: `lang-py`, `lang-python3`, `language-python`. In a fence, all become one name.
# The codes of Stack Exchange are listed in https://meta.stackexchange.com/questions/184108.
NAMES = {
    "py": "python", "python3": "python", "py3": "python", "cv": "python", "py2": "python2", "js": "javascript",
    "ts": "typescript", "rb": "ruby", "pl": "perl", "sh": "bash", "bsh": "bash", "csh": "bash", "cs": "csharp",
    "c++": "cpp", "cc": "cpp", "cxx": "cpp", "hs": "haskell", "rs": "rust", "kt": "kotlin", "md": "markdown",
    "yml": "yaml", "tex": "latex", "m": "objectivec", "htm": "html", "bat": "batch",
}  # fmt: skip
NO_LANGUAGE = {"none", "default", "prettyprint-override", "plaintext", "text", "all"}
_MARKUP = {"html", "xml", "xhtml", "svg"}
# Languages that do not look like Python, so that Python under such a hint shows that the hint is wrong.
_UNLIKE_PYTHON = {
    "javascript", "typescript", "css", "json", "sql", "c", "cpp", "java", "csharp", "php", "perl", "bash", "r", "vb",
    "go", "matlab", "latex",
}  # fmt: skip
_NEVER_CALLS = {"bash", "sql"}  # what parses as Python and has a call or an import is none of these
_CALL = re.compile(r"\w\(|^[ \t]*(?:import|from)[ ]\w", re.MULTILINE)
_NEVER_PYTHON = {"bash", "console", "sql", "yaml", "html", "xml", "ini", "toml", "dockerfile"}
_OUTPUT = {"pycon", "pytb", "diff"}  # names that the content alone decides, also where the author asks for no language
_CLASS = re.compile(r"(?<![\w-])lang(?:uage)?-([\w+#.-]+)")
_BLOCK = r"<pre([^<>]*)>(\s*)<code([^<>]*)>"
_PRE = re.compile(_BLOCK)
_PRE_WITH_HINT = re.compile(rf"(?:<!--\s*language:\s*(?:lang-)?([\w+#.-]+)\s*-->\s*)?{_BLOCK}", re.IGNORECASE)
_ALL = re.compile(r"<!--\s*language-all:\s*(?:lang-)?([\w+#.-]+)\s*-->", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")


def name_languages(html: str) -> str:
    """Replace all attributes of each code block by the class `language-NAME` on its `<code>`, if the language is known.

    The hint is in the classes of `<pre>` and `<code>`, else in a comment `<!-- language: lang-py -->` before the block.
    A comment `<!-- language-all: lang-py -->` anywhere in the text names the blocks that have neither a hint nor a
    certain content.
    """
    has_comment = "<!--" in html
    everywhere = _ALL.search(html) if has_comment else None
    default = _normal(everywhere[1]) if everywhere else ""
    end, last = 0, html.rfind("</code>")

    def named(match: re.Match[str]) -> str:
        nonlocal end
        start = match.end()
        *comment, pre, space, element = match.groups()
        if start <= end:  # a block within a block
            return f"<pre>{space}<code>"
        end = html.find("</code>", start) if start <= last else len(html)
        code = html[start:end]
        code = _text(_TAG.sub("", code) if "<" in code else code)
        hint = _hint(f"{pre} {element}") or (comment[0] or "" if comment else "").lower()
        name = _name(hint, code) or ("" if hint else default)
        return f'<pre>{space}<code class="language-{name}">' if name else f"<pre>{space}<code>"

    return (_PRE_WITH_HINT if has_comment else _PRE).sub(named, html)


def _text(html: str) -> str:
    """Return the text of HTML without tags. The common entities are replaced faster than `unescape` does it."""
    if "&" not in html:
        return html
    text = html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"')
    return unescape(html) if "&" in text.replace("&amp;", "") else text.replace("&amp;", "&")


def fence_language(pre: etree._Element, code: str) -> str:
    """Return the language for the fence of a `<pre>` with this code, or ''.

    The HTML must have passed through `name_languages`, which leaves only a `<pre>` without `<code>` to be named here.
    """
    hint = _hint(" ".join(element.get("class") or "" for element in pre.iter("pre", "code")))
    return _name(hint, code) if pre.find(".//code") is None else _normal(hint)


def _name(hint: str, code: str) -> str:
    """Return the language of the code, given the author's hint or ''."""
    content = language_of(code)
    if not hint:
        return content
    name = _normal(hint)
    if not name or not content:
        is_wrong = not name or (name in _MARKUP and "<" not in code)
        return (content if content in _OUTPUT else "") if is_wrong else name
    if name in _MARKUP or content in _OUTPUT:
        return content
    if content in ("python", "python2"):
        is_other = name in _NEVER_CALLS and _CALL.search(code) is not None
        return content if name == "python" or is_other or (name in _UNLIKE_PYTHON and has_mark(code)) else name
    return content if name == "python" and content in _NEVER_PYTHON else name


def _hint(classes: str) -> str:
    """Return the language among the classes, in lower case as the author wrote it, or ''."""
    hints = [hint.lower() for hint in _CLASS.findall(classes)]
    return next((hint for hint in hints if _normal(hint)), hints[0] if hints else "")


def _normal(hint: str) -> str:
    hint = hint.lower()
    return "" if hint in NO_LANGUAGE else NAMES.get(hint, hint)
