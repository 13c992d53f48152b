"""Describe strings in code by patterns. The quotes inside are escaped, in the ways of the common languages.

| way | languages |
|---|---|
| `"…\\"…"`, and in a string within a string `\\"…\\\\\\"…\\"` | Python, C, Java, JavaScript, JSON, PHP, MySQL |
| `'…''…'`, `"…""…"` | SQL, C# (`@"…"`), Visual Basic, Pascal, CSV, YAML |
| `` "…`"…" `` | PowerShell |
| `'…'\\''…'`, `'…'"'"'…'` | shells |
| `"…'…"`, `'…"…'` | all of them: another quote needs no escape |

No pattern tries a character in two ways, so a search takes time linear in the length of a string.
"""

# What can stand before the first quote: `b"…"`, `f"…"`, `@"…"` of C# and Objective-C, `N'…'` of SQL, `$'…'` of shells.
PREFIX = r"(?:[brufBRUFLN]{1,2}|[@$]{1,2})"
# The quotes around a string. Doubled quotes begin one within a string of a language that escapes quotes so.
QUOTES = r"(?:\\{3}|\\)?(?:\"\"\"|'''|(?:\"\"|'')(?=[^\s\"'`,;:)+&.\]}|])|[\"'`])"
# An escaped quote in a text without quotes around it.
ESCAPED = r"\\[\"'`](?=[^\s\"'`,;|<>()\[\]{}])"


def text_in(quote: str, forbidden: str = "", length: str = "4,300") -> str:
    """Return the pattern of the text between two quotes, the first of which is the group `quote`.

    It has `length` characters, none of them white space or `forbidden` (as in a set of characters), and the second
    quote follows it.
    """
    same = rf"(?P={quote})"
    inner = rf"{same}(?:{same}|\\{same}{same}|\"'\"{same}|'\"'{same})"  # doubled, or as in a shell
    other = rf"(?<=\w)(?:`[\"'$]|(?!{same})[\"'`])(?=\w)"  # not next to a symbol: `'"+name+"'` is no text
    piece = rf"(?>\\\\\\[\"'`]|\\[\\\"'`]|[^\s\"'`{forbidden}]|{inner}|{other})"
    return rf"{piece}{{{length}}}?(?=(?!{inner}){same})"
