"""Find passwords and keys that a name, a header or a URL marks: `password = "…"`, `Bearer …`, `//user:…@host`."""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import unquote

from tuning.dataset.redact.hints import FOREIGN_WORDS, KINDS_OF_KEYS, Hints, starts
from tuning.dataset.redact.values import Trust, has_symbol, is_mixed, is_password, is_placeholder, is_random
from tuning.dataset.redact.written.blocks import AFTER_NAME, values_below
from tuning.dataset.redact.written.markup import password_in_markup
from tuning.dataset.redact.written.pieces import (
    IN_CODE,
    IN_COMMAND,
    IN_LIST,
    START,
    Pieces,
    Span,
    following,
    joined,
    read_string,
)
from tuning.dataset.redact.written.strings import ESCAPED, PREFIX, QUOTES, text_in

_OF_NAMES = frozenset(("pass", "pasw", "pw", "psw"))
# Words in the names of secrets.
_WORDS_OF_SECRETS = ("pass", "pasw", "pw", "psw", "psk", "secret", "token", "key", "sessionid")
_WORDS_OF_KEYS = frozenset(("secret", "token", "key", "sessionid"))
_OF_PASSWORD = re.compile(r"(?i:_?word|wort|owrd|wrd|wd|w(?![a-z])|phrase|code)")
_PASS = re.compile(
    r"(?:[A-Z]+_|[a-z]+_|(?<!\w)|--|SSH|(?<![A-Za-z])(?i:user|db))\Z"
)  # before "pass", as in DB_PASS, db_pass, pass, and --pass
_IN_CAMEL_CASE = re.compile("(?<=[a-z])P(?:ass|w)(?:d|rd)?(?![a-z])")  # as in userPass and userPw
_PW = re.compile("(?<![a-z])pw(?:d|rd|ord)?(?![a-z])")
_PSW = re.compile("(?<![a-z])psw(?:d|rd|ord)?(?![a-z])")
_PASW = re.compile("(?<![a-z])pasw(?:d|rd|ord)?(?![a-z])")
_WHOLE_WORDS = {"pw": _PW, "psw": _PSW, "pasw": _PASW, "psk": re.compile("(?<![a-z])psk(?![a-z])")}
# As a whole word, or the last part of a name such as `minhaSenha` and `db_senha`.
_FOREIGN = re.compile(
    rf"(?:(?<![^\W\d_])|(?<=[a-z])(?=[A-Z][a-z])|(?<=[\u3040-\u9fff\uac00-\ud7a3]))(?i:{FOREIGN_WORDS})(?![a-z\u0430-\u044f])"
)
# Marks of Markdown and HTML that close a name or a value, and that open a value.
_CLOSE = r"(?:\*{1,3}|__?(?=[\s:=])|(?:</(?:b|strong|i|em|code|span|label|u|tt)>){1,2})"
_OPEN = r"(?:\*{1,3}(?=[^\s*])|<(?:b|strong|i|em|code|span|u|tt)>)"
_OR = r"\s{1,3}(?:or|\|\||\?\?|\?:)\s{1,3}(?=[\"'])"  # before a value that stands in for another
# What stands between a name in quotes and its value: `add_argument("--password", default="…")`,
# `getenv("PASSWORD") or`, and `name: DB_PASSWORD` with `value: …` below it.
_DEFAULT = r"\\?[\"']\s*,[^()]{0,160}?\bdefault\s*=\s*(?:[brufBRUF]{1,2})?(?=[\"'])"
_VALUE_BELOW = (
    r"[\"']?\r?\n[ \t]*[\"']?value[\"']?:[ \t]*|[\"']\s*,\s*[\"']?[vV]alue[\"']?\s*[:=]\s*"
    rf"|[\"']\]?\)?{_OR}"
)
# How a value follows its name: first the rest of the name (without words such as "hash": a hash of a secret is not
# secret), then `=`, `:`, `=>`, `", "`, `">`, ` is ` or the space after a command's option, then a quoted or bare value.
_REST_OF_NAME = (
    r"(?i:(?:_?word|wort|owrd|wrd|wd|w|phrase|code|ord|rd|d)?)"
    r"(?i:[_-]?(?:access|secret|api|auth|salt|key|token|value|string|text|prod|dev|live|staging|base64|s|\d)){0,12}+_?"
)
# Calls that change nothing but the type of a string.
_WRAPPER = r"(?:String|Secret(?:Str|String)?|NSString|Some|str|bytes|unicode|(?:[a-z.]{1,20}\.)?quote(?:_plus)?)"
_ASSIGNED = re.compile(
    rf"{_REST_OF_NAME}(?:"
    rf"\\{{0,3}}[\"'`]?{_CLOSE}?(?:\[\w{{0,8}}\]|\]?\)?)\??(?:[ \t]?\{{ ?get; ?(?:(?:set|init); ?)?\}})?"
    r"(?:\.(?:value|data|text|get\(\)|text\(\)|strip\(\)|lower\(\))){0,2}"
    rf"(?:[ \t]*(?::[=-]|=>|(?:[+.?]|\|\||\?\?)?=|==|[:：])(?:[ \t]?{_CLOSE}(?=\s|(?<=>)))?[ \t]*"
    rf"(?:(?:\([ \t]*\n?|\\\n)[ \t]{{0,80}}(?={PREFIX}?[\"']))?"
    rf"|[ \t]*[!=]==?[ \t]*(?={PREFIX}?[\"'])"
    # As in `args.password or "…"`.
    rf"|{_OR}(?=(?:\"[^\"\n]{{4,200}}\"|'[^'\n]{{4,200}}')(?![ \t]*(?:in|not|is|==|!=)))"
    r"|[ \t]{1,3}(?:is|was)(?::[ \t]*|[ \t]+))"
    rf"(?:&?(?:'[a-z]{{1,10}} )?[A-Za-z\[\]<>?]{{3,22}}[ \t]*=[ \t]*)?(?:(?:!!str|&\w{{1,20}})[ \t]+){{0,2}}"
    rf"(?:(?P<join>[\"']{{2}}\.join\([ \t]*[\[(]|(?i:concat)\()[ \t]*(?={START}))?"
    rf"(?:(?:new )?{_WRAPPER}(?:::from|::new)?\([ \t]*(?={START}))?(?P<prefix>{PREFIX}(?=[\"']))?"
    rf"|(?=[\\\"'\r\n])(?:{_DEFAULT}|{_VALUE_BELOW})"
    r"|[:?\s]{0,4}[\"']\)(?:\.\w{1,20}\(\))?[ \t]*[!=]==?[ \t]*(?=[\"'])"  # as in `input("Password: ") == "…"`
    r"|\\?[\"']\s*,\s*(?=(?:u8|[A-Za-z@]{1,3})?\\?[\"'])"
    r"|(?P<declared>[({])(?=[A-Za-z0-9]{0,3}[\"'])|(?P<tag>>)|(?P<space>[ \t]+)"
    r")"
    rf"{_OPEN}?"
    rf"(?:(?P<open>{QUOTES})(?P<quoted>{text_in('open')}|[^\s\"'`]{{4,300}}?|[a-z]{{4}}(?: [a-z]{{4}}){{3}})(?P=open)"
    rf"|(?P<other>(?={START}))|(?<==)\{{(?P<braced>[^\s{{}}\"'`;]{{4,200}})\}}"
    rf"|(?P<bare>(?>{ESCAPED}|[^\s\"'`,;<>(){{}}\[\]&|]){{4,300}}))"
)
# A format without a text of its own, and what follows it: `"%s" % "…"`, `"{}".format("…")`.
_FORMAT = re.compile(r"(?:%[sr]|\{[\dsr!]{0,3}\}){1,20}")
_MADE = re.compile(r"[ \t]{0,3}(?:%[ \t]{0,3}\(?|\.format\()[ \t]{0,3}(?=[brufBRUF]{0,2}[\"'])")
_DECLARED = re.compile(r"\b\w{0,10}(?:[sS]tring|string_view)[ \t]+\w{0,30}\Z")  # `std::string password("…")` of C++
_ABOVE = re.compile(_REST_OF_NAME + AFTER_NAME)
# The option of a command, a constant of C and a variable of a Dockerfile, of csh, of fish and of `setx` are separated
# from their value by a space.
_SETTERS = r"ENV|setenv|set -g?x|(?i:setx)(?:[ \t]+/[mM])?"
_BEFORE_SPACE = re.compile(rf"--[^ ]{{0,22}}\Z|(?:#[ \t]*define|(?<![\w.-])(?:{_SETTERS}))[ \t]+\w{{0,40}}\Z")
# What sets a variable of the environment, and its name.
_SETS = re.compile(rf"(?:(?<![\w.-])(?:{_SETTERS}|export|(?i:set))[ \t]+[\"']?|\$[eE]nv:)\w{{0,40}}\Z")
_COMPARED = re.compile(
    r"(?<=[\"' \t])[!=]==?[ \t]{0,3}(?:[\w.]{0,40}[._])?"
    r"(?i:pass(?:w(?:or)?d?)?|pwd?|passphrase|passcode|pswd?)\d?(?!\w)"
)
_STRING_BEFORE = re.compile(rf"(?P<quote>[\"'])(?P<secret>{text_in('quote', length='4,200')})(?P=quote)[ \t]{{0,3}}\Z")
# The line below the header of a table.
_RULE_OF_TABLE = re.compile(
    r"^[ \t>]{0,20}[|+]?[ \t]{0,9}:?-{2,}:?(?:[ \t]{0,9}[|+][ \t]{0,9}:?-+:?)+[ \t]{0,9}[|+]?[ \t]{0,9}$", re.MULTILINE
)
_NAME_OF_COLUMN = re.compile(
    r"(?i)(?:[\w ]{0,30}[_ -])?(?:passw(?:or)?d|passwort|pwd|passphrase|passcode|pw)s?|\w{1,20}_pass"
)
_CELL = re.compile(r"(?:[^|\\]|\\.)+")
_AROUND_CELL = " \t*`\"'"
_HASH = re.compile(r"(?i)\*?[0-9a-f]{16,}|\$\d\w?\$|(?:pbkdf2|bcrypt|argon2|scrypt|sha\d|md5)\w*[$:]|\{\w+\}")
_HEADER = re.compile(
    r"(?i)(?:\b(?:bearer|basic)|authorization[\"']?\s{0,3}[:=,]\s{0,3}[\"']?(?:token|apikey|key|bot)?)\s{1,3}[\"']?"
    r"([A-Za-z0-9+/=._~-]{12,})"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}\Z")
# The last `@` ends a password. A host follows it, or a variable, or the end of a string to which a host is added.
_CREDENTIALS = re.compile(
    r"([^\s:/@\"'`<>]{0,200}):((?>\\[\"'`]|[^\s/\"'`<>@]){1,200}(?:@[^\s/?#&,;:\"'`<>@]{0,80}){0,3})@(?=[\w\[.${%/<\"'-])"
)
_HOST = re.compile(r"[\w\[.-]")
_REGEX = re.compile(r"\[\^|[\])][*+?{]|\.[*+]|\\[A-Za-z]")  # a regular expression for URLs
# A connection string: its fields are separated by `;`, `&` or blanks, and one of these fields is near.
_FIELD = re.compile(
    r"(?i)(?<![\w-])(?:host|hostaddr|dbname|user|uid|user[ _]?(?:name|id)|server|driver|database|port|dsn|addr|address|"
    r"data source|initial catalog|sslmode)\s?="
)
_END_OF_FIELD = re.compile(r"[;&\"'`\\]|[ \t]+(?:[A-Za-z_]+=|[\"'`])")
_FORMATTED = re.compile(r"(?i)(?<![a-z])(?:f|fr|rf)[\"']|\$[\"'`]|`")
_AFTER_SEPARATOR = re.compile(r"[?&;]\w{1,20}=\Z")
# Calls and settings of a database in which a password is no example of a word.
_IN_CALL = re.compile(
    r"(?i)(?:connect(?:ion)?|login|authenticate|client|engine|driver|pool|ssh\w{0,12}|ftp\w{0,8}|redis)\([^()]{0,180}\Z"
)
_IN_SETTINGS = re.compile(r"[\"']USER[\"']\s{0,3}:[^{}]{0,120}[\"']\Z")
# Variables that only hold a password, and the options of commands: what follows `=` is the password itself.
_OF_SHELL = re.compile(
    r"(?:PG|SSH|MYSQL_|RSYNC_|REDISCLI_)(?:PASSWORD|PASS|PWD|AUTH)=?\Z|--(?:[a-z]+-)?pass(?:w(?:or)?d)?\Z"
)


def passwords_in_urls(text: str) -> Iterator[Span]:
    """Yield the places of passwords in URLs with a user and a password."""
    for place in starts(text, "://"):
        if _SCHEME.search(text, max(0, place - 31), place) and (match := _CREDENTIALS.match(text, place + 3)):
            user, value = match[1].lower(), match[2]
            is_given = not is_placeholder(value) and value.lower() != user and user != "anonymous"
            if not _HOST.match(text, match.end()) and _REGEX.search(text, *match.span()):
                continue
            if is_given and is_password(unquote(value), "given"):
                yield match.span(2)


def passwords(text: str, lower: str, hints: Hints) -> Iterator[tuple[str, int, int]]:
    """Yield the kind, start and end of values that their names or headers mark as secret."""
    if "auth" in hints and ("authorization" in lower or "bearer " in lower):
        for match in _HEADER.finditer(text):
            if is_random(match[1]) and not match[1].startswith("AWS4"):  # "AWS4…" is the name of a signing method
                yield "SECRET", *match.span(1)
    if hints & _OF_NAMES:
        for is_possible, search in (("compared string" in hints, _compared), ("table" in hints, _in_tables)):
            for start, end in search(text) if is_possible else ():
                yield "PASSWORD", start, end
    for match in _FOREIGN.finditer(text) if "foreign password" in hints else ():
        for span in _values_after(text, match[0], match.start()):
            yield "PASSWORD", *span
    for word in _WORDS_OF_SECRETS:
        if word not in hints:
            continue
        for place in starts(lower, word):
            if _names_secret(text, lower, word, place):
                for span in _values_after(text, word, place):
                    yield "PASSWORD" if word.startswith("p") else "SECRET", *span


def _compared(text: str) -> Iterator[Span]:
    """Yield the places of strings that are compared with a password: `"…" == password`."""
    for match in _COMPARED.finditer(text):
        string = _STRING_BEFORE.search(text, max(0, match.start() - 204), match.start())
        if string and (span := _checked(text, *string.span("secret"), "strong")):
            yield span


def _in_tables(text: str) -> Iterator[Span]:
    """Yield the places of the values in a column of passwords of a table in Markdown or of a database's shell."""
    for line in _RULE_OF_TABLE.finditer(text):
        header = text[text.rfind("\n", 0, max(0, line.start() - 1)) + 1 : max(0, line.start() - 1)]
        header = header.rpartition("<code>")[2]  # in HTML
        columns = [
            place for place, cell in enumerate(_cells(header)) if _NAME_OF_COLUMN.fullmatch(header[slice(*cell)])
        ]
        start = line.end() + 1
        while columns and "|" in (row := text[start : start + 2_000].partition("\n")[0]):
            cells = list(_cells(row))
            for column in columns:
                if column < len(cells):
                    value = row[slice(*cells[column])]
                    first = start + cells[column][0]
                    if not _HASH.match(value) and is_password(value, "strong"):
                        yield first, first + len(value)
            start += len(row) + 1
            if _RULE_OF_TABLE.match(row):  # of the next table
                break


def _cells(row: str) -> Iterator[Span]:
    """Yield the places of the cells of a row, without blanks and marks around them."""
    begin = len(row) - len(row.lstrip(" \t>|"))
    for match in _CELL.finditer(row, begin):
        cell = match[0].strip(_AROUND_CELL)
        start = match.start() + len(match[0]) - len(match[0].lstrip(_AROUND_CELL))
        yield start, start + len(cell)


def _names_secret(text: str, lower: str, word: str, place: int) -> bool:
    if word == "key":
        end = place - (lower[place - 1 : place] in ("_", " ", "-"))
        return lower.endswith(KINDS_OF_KEYS, max(0, end - 14), end)
    if word == "pass":  # `password` marks a secret anywhere in a name, `pass` only as a last word, not in `bypass`
        before = text[max(0, place - 14) : place]
        if _OF_PASSWORD.match(text, place + 4) or _PASS.search(before):
            return True
    elif word in _WHOLE_WORDS:
        return _WHOLE_WORDS[word].match(lower, place) is not None or _IN_CAMEL_CASE.match(text, place) is not None
    else:
        return True
    return _IN_CAMEL_CASE.match(text, place) is not None


def _values_after(text: str, word: str, place: int) -> Sequence[Span]:
    """Return the places of the secret value that is assigned to the name with `word` at `place`, one for each piece."""
    match = _ASSIGNED.match(text, place + len(word))
    found = _assigned(text, word, place, match) if match else ()
    if not found and word not in _WORDS_OF_KEYS and (span := password_in_markup(text, place)):
        return (span,)
    return found or _below(text, word, place)


def _assigned(text: str, word: str, place: int, match: re.Match[str]) -> Sequence[Span]:
    if match["quoted"] or match["other"] is not None:
        return _in_quotes(text, word, place, match)
    span = _bare(text, word, place, match)
    return (span,) if span else ()


def _in_quotes(text: str, word: str, place: int, match: re.Match[str]) -> Pieces:
    if match["space"] is not None and not _is_before_space(text, place):
        return ()
    before = text[max(0, place - 60) : place]
    if match["declared"] and not _DECLARED.search(before):
        return ()
    is_argument = match["space"] is not None and "define" not in before
    between = IN_COMMAND if is_argument else IN_LIST if match["join"] else IN_CODE
    start = match.end() if match["open"] is None else match.start("open")
    start -= len(match["prefix"] or "")
    if match["quoted"] and not (match["prefix"] or "").endswith("R"):  # `R"(…)"` of C++
        pieces, end = (match.span("quoted"), *following(text, match.end(), between)), match.end()
    else:
        pieces, end = read_string(text, start, between)
    if _FORMAT.fullmatch(joined(text, pieces)):
        made = _MADE.match(text, end)
        pieces = read_string(text, made.end(), IN_LIST)[0] if made else ()
    value = joined(text, pieces)
    if len(value) >= 4 and is_password(value, _trust_in_quotes(text, word, place, value)):
        return pieces
    first = text[slice(*pieces[0])] if len(pieces) > 1 else ""
    return pieces[:1] if first and is_password(first, _trust_in_quotes(text, word, place, first)) else ()


def _bare(text: str, word: str, place: int, match: re.Match[str]) -> Span | None:
    start, end = match.span("braced" if match["braced"] else "bare")
    if match["braced"]:  # of ODBC, and not a variable in a template
        is_code = _FORMATTED.search(text, text.rfind("\n", 0, place) + 1, place) is not None
        is_code = is_code or ".format" in text[end : end + 300]
        return None if is_code or not is_mixed(match["braced"]) else _checked(text, start, end, "strong")
    # Without punctuation at the end of a sentence, and the end of bold text.
    end = start + len(match["bare"].removesuffix("**").rstrip(".:!?"))
    if text[end : end + 1] in tuple("([{") or "==" in text[start : end - 1]:  # code, and not a value
        return None
    if match["space"] is not None and not _is_before_space(text, place):
        return None
    if match["tag"] and text[end : end + 2] != "</":
        return None
    return _checked(text, start, end, _trust(text, word, place, match))


def _below(text: str, word: str, place: int) -> list[Span]:
    """Return the places of the values below a name in YAML, TOML or INI."""
    end = text.find("\n", place, place + 120)
    line = text[place:end]
    may_end_here = end > 0 and (line[-1] in ":=|>+-0123456789 \t\r" or "#" in line or "!!" in line)
    match = _ABOVE.match(text, place + len(word), end + 1) if may_end_here else None
    if match is None:
        return []
    values, is_text = values_below(text, place, match)
    found: list[Span] = []
    for pieces in values:
        value = joined(text, pieces)
        is_clear = is_text or (len(value) >= 8 and is_mixed(value) and not value.endswith((":", ",", ".")))
        if len(value) >= 4 and is_password(value, _trust_in_quotes(text, word, place, value) if is_clear else "random"):
            found += pieces
    return found


def _is_before_space(text: str, place: int) -> bool:
    return _BEFORE_SPACE.search(text, max(0, place - 60), place) is not None


def _checked(text: str, start: int, end: int, trust: Trust) -> Span | None:
    return (start, end) if is_password(text[start:end], trust) else None


def _trust_in_quotes(text: str, word: str, place: int, value: str) -> Trust:
    """Return how much the text before a value in quotes proves."""
    if word in _WORDS_OF_KEYS:
        # Short values of other names are often words or versions, but hardly ever of this one.
        return "strong" if word == "secret" and len(value) >= 8 and is_mixed(value) else "random"
    before = text[max(0, place - 200) : place]
    return "given" if _IN_CALL.search(before) or _IN_SETTINGS.search(before) else "strong"


def _trust(text: str, word: str, place: int, match: re.Match[str]) -> Trust:
    """Return how much the text around a value without quotes proves."""
    if word in _WORDS_OF_KEYS:
        return "random"
    name = text[max(0, place - 16) : match.end() - len(match["bare"])].rstrip("= ")
    if _OF_SHELL.search(name) or _is_field(text, *match.span("bare")):
        return "given"
    is_explicit = text[place : place + len(word)].isupper()  # PASSWORD=…
    if is_explicit and _SETS.search(text, max(0, place - 60), place):
        return "strong"
    is_explicit = is_explicit or has_symbol(match["bare"]) or is_mixed(match["bare"])
    return "strong" if len(match["bare"]) >= 8 and is_explicit else "random"


def _is_field(text: str, start: int, end: int) -> bool:
    """Return whether a bare value is a field of a connection string, such as `password=… host=…` or `PWD=…;`."""
    if text[start - 1] != "=":
        return False
    if not _END_OF_FIELD.match(text, end) and not _AFTER_SEPARATOR.search(text, max(0, start - 24), start):
        return False
    around = text[max(0, start - 160) : start].rpartition("\n")[2] + "\0" + text[end : end + 160].partition("\n")[0]
    return _FIELD.search(around) is not None
