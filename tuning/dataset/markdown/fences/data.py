"""Recognize formats of data and settings: JSON, INI, TOML, YAML, SQL, HTML, XML, Dockerfiles."""

import json
import re
import tomllib

from lxml import etree

_SECTION = re.compile(r"\[{1,2}[\w .:\"'/@-]+\]{1,2}[ \t]*(?:[#;].*)?$", re.MULTILINE)
_SETTING = re.compile(r"[\w.\"'/%-]+(?:[ ][\w.-]+)*+[ \t]*[=:]")
_TOML = ("[tool.", "[[", "[project", "[build-system")
_KEY = re.compile(
    r"""([ ]*)((?:-[ ])*+)  # indent, and the marks of items
    [\w./"'$][\w./"'$-]*+(?:[ ][\w./-]+)*+:(?:[ ]+(\S.*))?$""",
    re.VERBOSE,
)
_BLOCK_OF_TEXT = re.compile(r"[|>][-+\d]*\s*$")
_ITEM = re.compile(r"[ ]*- \S")
_STATEMENT = re.compile(
    r"^[ \t]*(?:else|try|finally|except\b.*|(?:class|def|if|elif|for|while|with)[ ].+):[ \t]*$", re.MULTILINE
)
_SQL = re.compile(
    r"""\s*+(?:--.*\n\s*+)*+(?:
    SELECT\s[^;]*?\sFROM\s+[\w`"\[{.(]
    | INSERT\s+(?:OR\s+\w+\s+)?INTO\s+[\w`"\[{.]+\s*(?:\(|VALUES|SELECT)
    | CREATE\s+(?:OR\s+REPLACE\s+)?(?:TEMP\w*\s+)?
        (?:TABLE|VIEW|INDEX|DATABASE|FUNCTION|MODEL|USER|EXTENSION|TRIGGER)\s
    | UPDATE\s+[\w`"\[.]+\s+SET\s
    | DELETE\s+FROM\s+[\w`"\[.]+
    | ALTER\s+TABLE\s | DROP\s+TABLE\s | WITH\s+\w+\s+AS\s*\(
    )""",
    re.VERBOSE | re.IGNORECASE,
)
# Prose can begin like a statement, but it hardly has one of these.
_SQL_SIGN = re.compile(r"[*;=(`]|\b(?:SELECT|INSERT|CREATE|UPDATE|DELETE|ALTER|DROP|WITH)\b")
_COMMENTS = re.compile(r"(?:<!--.*?-->\s*+)++", re.DOTALL)
_ELEMENT = re.compile(
    r"""<(?:!(?i:doctype\s+html) | (?:[A-Z]+[1-6]?
    | html|head|body|div|span|table|thead|tbody|tr|td|th|ul|ol|li|p|a|h[1-6]|form|input|button|select|option|label
    | script|style|img|br|link|meta|title|nav|section|header|footer|main|article|iframe|textarea|center|font|b|i
    | strong|em|pre|code|svg)(?=[\s/>]))""",
    re.VERBOSE,
)
_FROM = re.compile(r"(?:#.*\n|\s*\n)*+FROM[ ]+[\w./:@-]+(?:[ ]+(?i:as)[ ]+[\w-]+)?[ ]*\n")
_INSTRUCTION = re.compile(r"^(?:RUN|COPY|ADD|CMD|ENTRYPOINT|WORKDIR|ENV|EXPOSE)[ ]", re.MULTILINE)


def is_json(code: str) -> bool:
    """Return whether the code is a JSON object, or an array of objects on several lines.

    A list of numbers or texts is also what Python prints.
    """
    if '"' not in code:
        return False
    try:
        value = json.loads(code)
    except (ValueError, RecursionError):
        return False
    if isinstance(value, list):
        return "\n" in code and bool(value) and all(isinstance(item, dict) and item for item in value)
    return bool(value)


def is_section(code: str) -> bool:
    """Return whether the first line is the name of a section, in brackets."""
    return _SECTION.match(code) is not None and "\n" in code


def settings_name(code: str) -> str:
    """Return "ini" or "toml" if every line is a section, a setting, the rest of one, or a comment, else ""."""
    settings = 0
    for line in code.split("\n"):
        if _SETTING.match(line):
            settings += 1
        elif line.strip() and line[0] not in "#; \t]})\"'" and not _SECTION.match(line):
            return ""
    if not settings:
        return ""
    if code.startswith(_TOML):
        return "toml"
    try:
        return "toml" if '"' in code and tomllib.loads(code) else "ini"
    except (ValueError, RecursionError):
        return "ini"


def is_yaml(code: str) -> bool:
    """Return whether every line is a key with or without a value, an item, a comment, or part of a block of text.

    At least one key must have further lines as its value: a program prints lines such as `Name: x` too.
    """
    first = code.lstrip().partition("\n")[0]
    if ":" not in first and first[:1] not in ("#", "-"):
        return False
    keys, is_nested = 0, False
    text_indent = -1  # of the key whose value is a block of text (`|`, `>`)
    opened = -1  # the column of a key on the line before that has no value
    for line in code.split("\n"):
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if not text or text[0] == "#" or text == "---" or (0 <= text_indent < indent):
            continue
        text_indent = -1
        key = _KEY.match(line)
        if "\t" in line[:indent] or not (key or _ITEM.match(line)) or text.endswith((",", "{", ";", "(", "):")):
            return False
        if opened >= 0:
            is_nested = is_nested or indent > opened or (indent == opened and text.startswith("- "))
        opened = -1
        if key:
            keys += 1
            value = key[3] or ""
            if not value or value[0] == "#":
                opened = indent + len(key[2])
            elif _BLOCK_OF_TEXT.match(value):
                text_indent, is_nested = indent, True
    return is_nested and keys > 1 and not _STATEMENT.search(code)


def is_sql(code: str) -> bool:
    """Return whether the code begins with a statement of SQL."""
    return _SQL.match(code) is not None and _SQL_SIGN.search(code) is not None


def markup_name(code: str) -> str:
    """Return "html" for code that begins with an element of HTML, "xml" for another well-formed document, else ""."""
    code = code.strip()
    if not code.endswith((">", "}")):
        return ""
    comments = _COMMENTS.match(code)
    body = code[comments.end() :] if comments else code
    if _ELEMENT.match(body):
        return "html"
    if body.startswith("<?xml"):
        return "xml"
    try:
        etree.fromstring(code.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    except (etree.XMLSyntaxError, ValueError):
        return ""
    return "xml"


def is_dockerfile(code: str) -> bool:
    """Return whether the code begins with `FROM` and has another instruction of a Dockerfile."""
    return _FROM.match(code) is not None and _INSTRUCTION.search(code) is not None
