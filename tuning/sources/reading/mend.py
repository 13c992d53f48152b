"""Replace the characters that XML 1.0 forbids. One such character would make its whole row unreadable.

Some dumps contain them: raw, as bytes that are not UTF-8, or as references such as ``&#x0E;``. A reference to each half
of a surrogate pair becomes the one character that the pair stands for. See https://www.w3.org/TR/xml/#charsets
"""

import codecs
import re
from dataclasses import dataclass

REPLACEMENT = "\ufffd"
_FORBIDDEN = "\ufffe"  # stands for a forbidden character until all are replaced
_REFERENCE = re.compile("&#(?:x([0-9a-fA-F]+)|([0-9]+));")
_PAIR_OR_FORBIDDEN = re.compile("[\ud800-\udbff][\udc00-\udfff]|[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LARGEST = 0x10FFFF


@dataclass(frozen=True)
class Mended:
    """Hold a row that was mended, with its numbers of replaced characters and of joined surrogate pairs."""

    row: bytes
    replaced: int
    joined: int


def mend(row: bytes) -> Mended:
    """Return the row without forbidden characters. The time is linear in its length."""
    text = _REFERENCE.sub(_referenced, row.decode("utf-8", _HANDLER))
    joined = replaced = 0

    def allowed(match: re.Match[str]) -> str:
        nonlocal joined, replaced
        if len(match[0]) == 2:
            joined += 1
            return match[0].encode("utf-16", "surrogatepass").decode("utf-16")
        replaced += 1
        return REPLACEMENT

    text = _PAIR_OR_FORBIDDEN.sub(allowed, text)
    return Mended(text.encode(), replaced, joined)


def _referenced(match: re.Match[str]) -> str:
    """Return a forbidden character for a reference to one. Any other reference stays, because it may be "&#34;"."""
    digits = (match[1] or match[2]).lstrip("0") or "0"
    number = int(digits, 16 if match[1] else 10) if len(digits) <= 7 else _LARGEST + 1
    if number > _LARGEST:
        return _FORBIDDEN
    return chr(number) if _PAIR_OR_FORBIDDEN.match(chr(number)) else match[0]


def _not_utf8(error: UnicodeError) -> tuple[str, int]:
    """Return a surrogate that was encoded like another character, or else a forbidden character."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    try:
        surrogate = error.object[error.start : error.start + 3].decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return _FORBIDDEN, error.end
    return surrogate, error.start + 3


_HANDLER = "tuning.not_utf8"
codecs.register_error(_HANDLER, _not_utf8)
