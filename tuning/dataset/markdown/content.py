"""Name the language of a code block by its content, where the content leaves no doubt."""

import json
import re
import tomllib
from collections.abc import Callable

from lxml import etree

from tuning.dataset.markdown.python_code import python_name

_LONGEST = 20_000  # characters that are looked at, except for JSON and XML, which are parsed as a whole
# What word processors and web pages make of characters of code.
_PLAIN = str.maketrans(
    {"\xa0": " ", "\u200b": None, "\u200c": None, "\u200d": None, "\ufeff": None}
    | dict.fromkeys("\u2018\u2019", "'")
    | dict.fromkeys("\u201c\u201d", '"')
)


def language_of(code: str) -> str:
    """Return the name for the fence of a code block, or "" if the content does not make it certain.

    The names are those of Pygments: `pycon` is a session of the Python shell, `pytb` a traceback, `console` commands
    with their prompts, `bash` commands without. `python2` is code that Python 3 does not accept. The time is linear in
    the length of the code. Nothing is executed, and no exception is raised.
    """
    code = code.strip("\n").rstrip()
    if not code.isascii():
        code = code.translate(_PLAIN)
    first = code.lstrip()[:1]
    whole, code = code, code[:_LONGEST]
    if ">>>" in code and _SESSION.match(code):
        return "pycon"
    if ("Traceback (most recent" in code or _FRAME.match(code)) and _is_traceback(code):
        return "pytb"
    if first == "{" or first == "[":
        if _is_json(whole):
            return "json"
        if _SECTION.match(code):
            return _ini_name(code)
        return python_name(code)
    if first == "<":
        return _markup_name(whole)
    if _PROMPT.match(code):
        return "console"
    if first == "#" and (shebang := _SHEBANG.match(code)) and "python" not in shebang[0]:
        return "bash" if shebang[1] else ""
    for name, is_certain in _OTHERS:
        if is_certain(code):
            return name
    return python_name(code)


# Python's own output --------------------------------------------------------------------------------------------------

_SESSION = re.compile(
    r"(?:[ \t]*(?:\#.*|Python[ ]\d.*|\[(?:GCC|MSC|Clang)\b.*|on[ ]\w+|\(AMD64\).*|Type[ ]\"help.*|>>>|(?:[\w~/:.@-]*[$>])?[ ]?python[\d.]*)?[ \t]*\n)*"
    r"[ \t]*>>>[ \t]*[^>\s]",
    re.VERBOSE,
)
_FRAME = re.compile(r'[ \t]*File "[^"\n]+", line \d+')
_HEADER = re.compile(r"^.{0,80}Traceback \(most recent call last\):?", re.MULTILINE)
_ERROR = re.compile(r"[\w.]*(?:Error|Exception|Warning|Interrupt|Exit|Iteration)\b|[a-z_][\w]*(?:\.\w+)+(?::|$)")


def _is_traceback(code: str) -> bool:
    """Return whether a traceback is at least half of the lines, and the other lines are not a program or a session."""
    lines = [line for line in code.split("\n") if line.strip()]
    inside, outside, is_inside = 0, [], False
    margin = 0
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if "Traceback (most recent call last)" in line:
            is_inside, margin = True, indent
            if line.lstrip().startswith("Traceback"):
                inside += 1
                continue
            return _is_notebook_traceback(code, line)
        if not is_inside and _FRAME.match(line):
            is_inside, margin = True, max(indent - 2, 0)
        if is_inside and (indent > margin or _FRAME.match(line)):
            inside += 1
        elif is_inside:
            inside += 1  # the line of the error
            is_inside = False
        else:
            outside.append(line)
    return inside > 1 and len(outside) <= inside and not python_name("\n".join(outside))


def _is_notebook_traceback(code: str, header: str) -> bool:
    """Return whether the block begins with the traceback of a notebook: a line of hyphens, the error, the frames."""
    before = code[: code.index(header)].strip()
    return not before.strip("-") and re.match(r"[ \t]*[\w.]+[ ]{2,}Traceback", header) is not None


# Shells ---------------------------------------------------------------------------------------------------------------

_PROMPT = re.compile(
    r"[ \t]*(?:\([\w.-]+\)[ ]?)?(?:"
    r"(?:\[?[\w.-]+@[\w.-]+[^\n$#>]{0,80})?\$[ ]+(?![A-Z][a-z]+[ ])[\w./~\"'({]"
    r"|[\w.-]+@[\w.-]+:[^\n$#]{0,80}\#[ ]+\w"
    r"|(?:PS[ ])?[A-Za-z]:\\[^\n>|*?\"<]{0,100}>[ ]*[\w.\"\\/]"
    r"|~[\w/.-]*[$%][ ]*\w)"
)
_SHEBANG = re.compile(r"\s*#!.*?/(?:env[ ]+)?((?:ba|z|k)?sh\b)?.*")
_COMMAND = re.compile(
    r"""[ \t]*(?:sudo[ ]+(?:-\w+[ ]+)*)?(?:
    (?:pip[\d.]*|conda|mamba|poetry|pipenv|uv|easy_install)[ ]+
        (?:install|uninstall|freeze|list|show|create|update|upgrade|add|remove|env|run|search|download|wheel|sync|lock|init|config|info|activate|build|-[\w-]+)\b.*
    | python[\d.]*[ ]+(?:-[\w-]+|[\w./~\\:-]+\.py)\b.*
    | (?:apt|apt-get|yum|dnf|brew|pacman|apk|choco|npm|yarn)[ ]+(?:-\w+[ ]+)*(?:install|update|upgrade|remove|build-dep|link|unlink|tap|add|-\w+|run|start)\b.*
    | git[ ]+(?:clone|add|commit|push|pull|checkout|init|log|diff|status|reset|rebase|merge|branch|remote|config|submodule|fetch|stash|tag|rm|mv|show)\b.*
    | docker(?:-compose)?[ ]+(?:build|run|pull|push|exec|ps|images|compose|login|up|down|stop|rm|rmi|logs|tag|inspect|cp|start|restart|save|load)\b.*
    | (?:kubectl|helm|aws|gcloud|gsutil|az|heroku|dvc|mlflow|kedro|kaggle|minikube|terraform|systemctl|service|virtualenv|jupyter|celery|gunicorn|uvicorn|flask|scrapy|pyinstaller|twine|tox|pytest|chmod|chown|mkdir|curl|wget|ssh|scp|rsync|tar|unzip|source|cd|ls|cat|cp|mv|rm|touch|grep|sed|awk|find|echo|which|make|cmake|gcc|g\+\+)
        (?:[ ]+(?![=(:.,*/+&|<>-][^\w/.~])[^=\n(]*(?:[ =(].*)?)?
    | export[ ]+\w+=.*
    )$""",
    re.VERBOSE,
)


def _is_commands(code: str) -> bool:
    """Return whether every line is a command of a shell, the rest of one, or a comment."""
    continues, commands = False, 0
    for line in code.split("\n"):
        if line.strip() and not line.lstrip().startswith("#") and not continues:
            if not _COMMAND.match(line):
                return False
            commands += 1
        continues = line.endswith("\\")
    return commands > 0


# Data -----------------------------------------------------------------------------------------------------------------


def _is_json(code: str) -> bool:
    """Return whether the code is a JSON object, or an array of objects on several lines."""
    if '"' not in code:
        return False
    try:
        value = json.loads(code)
    except (ValueError, RecursionError):
        return False
    if isinstance(value, list):
        return "\n" in code and bool(value) and all(isinstance(item, dict) and item for item in value)
    return bool(value)


_SECTION = re.compile(r"\[{1,2}[\w .:\"'/@-]+\]{1,2}[ \t]*(?:[#;].*)?$", re.MULTILINE)
_SETTING = re.compile(r"[\w.\"'/%-]+(?:[ ][\w.-]+)*[ \t]*[=:].*$")


def _ini_name(code: str) -> str:
    """Return "ini" or "toml" if every line is a section, a setting, the rest of one, or a comment."""
    sections = settings = 0
    for line in code.split("\n"):
        if _SECTION.match(line):
            sections += 1
        elif _SETTING.match(line):
            settings += 1
        elif line.strip() and line[0] not in "#; \t]})\"'":
            return ""
    if not sections or not settings:
        return ""
    return "toml" if _is_toml(code) else "ini"


def _is_toml(code: str) -> bool:
    """Return whether the code is TOML with quoted values, which distinguish it from INI."""
    if code.startswith(("[tool.", "[[", "[project", "[build-system")):
        return True
    try:
        return any('"' in line for line in code.split("\n")) and bool(tomllib.loads(code))
    except (ValueError, RecursionError):
        return False


_KEY = re.compile(r"([ ]*)((?:- )*+)[\w./\"'$][\w./\"'$-]*+(?:[ ][\w./-]+)*+:(?:[ ]+(?![=>]{2})(\S.*))?$")
_ITEM = re.compile(r"[ ]*- \S")


def _is_yaml(code: str) -> bool:
    """Return whether every line is a key with or without a value, an item, a comment, or part of a block of text.

    There must be a key whose value is further lines, so that printed lines such as `Name: x` do not count.
    """
    nested = False
    block = -1  # indent of the key whose value is a block of text (`|`, `>`)
    opened: int | None = None
    keys = 0
    for line in code.split("\n"):
        text = line.strip()
        if not text or text[0] == "#" or text == "---":
            continue
        indent = len(line) - len(line.lstrip())
        if block >= 0 and indent > block:
            continue
        block = -1
        key = _KEY.match(line)
        if "\t" in line[:indent] or not (key or _ITEM.match(line)) or text.endswith((",", "{", ";", "(", "):")):
            return False
        if opened is not None:
            nested = nested or indent > opened or (indent == opened and text.startswith("- "))
        opened = None
        if key:
            keys += 1
            value = key[3] or ""
            if not value or value[0] == "#":
                opened = indent + len(key[2])
            elif value[0] in "|>":
                block, nested = indent, True
    return nested and keys > 1 and not re.search(r"^[ \t]*(?:else|try|finally|class \w+|def .*|if .*|for .*|while .*|with .*|except.*|elif.*):[ \t]*$", code, re.MULTILINE)


_SQL = re.compile(
    r"""\s*(?:--.*\n\s*)*(?:
    SELECT\s[^;]*?\sFROM\s+[\w`"\[{.(]
    | INSERT\s+(?:OR\s+\w+\s+)?INTO\s+[\w`"\[{.]+\s*(?:\(|VALUES|SELECT)
    | CREATE\s+(?:OR\s+REPLACE\s+)?(?:TEMP\w*\s+)?(?:TABLE|VIEW|INDEX|DATABASE|FUNCTION|MODEL|USER|EXTENSION|TRIGGER)\s
    | UPDATE\s+[\w`"\[.]+\s+SET\s
    | DELETE\s+FROM\s+[\w`"\[.]+
    | ALTER\s+TABLE\s | DROP\s+TABLE\s | WITH\s+\w+\s+AS\s*\(
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_SQL_SIGN = re.compile(r"[*;=(`]|\bSELECT\b|\bINSERT\b|\bCREATE\b|\bUPDATE\b|\bDELETE\b|\bALTER\b|\bDROP\b|\bWITH\b")


def _is_sql(code: str) -> bool:
    return _SQL.match(code) is not None and _SQL_SIGN.search(code) is not None


_HTML = re.compile(
    r"<(?:!(?i:doctype\s+html)|(?:[A-Z]+[1-6]?|html|head|body|div|span|table|thead|tbody|tr|td|th|ul|ol|li|p|a|h[1-6]|form|input|button|select|option|"
    r"label|script|style|img|br|link|meta|title|nav|section|header|footer|main|article|iframe|textarea|center|font|b|i|strong|em|pre|code|svg)\b)[^<]*>?"
)


def _markup_name(code: str) -> str:
    """Return "html" for a block that begins with an element of HTML, "xml" for another well-formed document, else ""."""
    code = code.strip()
    if not code.endswith((">", "}")):
        return ""
    body = re.sub(r"\A(?:<!--.*?-->\s*)+", "", code, flags=re.DOTALL)
    if _HTML.match(body):
        return "html"
    if body.startswith("<?xml"):
        return "xml"
    try:
        etree.fromstring(code.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    except (etree.XMLSyntaxError, ValueError):
        return ""
    return "xml"


_OTHERS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("bash", _is_commands),
    ("sql", _is_sql),
    ("yaml", _is_yaml),
)
