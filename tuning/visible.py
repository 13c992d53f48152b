"""Show the characters that deceive a reader: they reorder, hide or erase text on a screen.

https://trojansource.codes and https://www.unicode.org/reports/tr36/ describe what such characters are used for.
"""

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import IO, Any

# Control characters except tab, line break and carriage return, which deceives only if it can erase a line. Then soft
# hyphens, bidirectional marks, embeddings, overrides and isolates, line separators, and characters without a width:
# joiners, fillers, tags.
CHARACTERS = (
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
DECEPTIVE = re.compile(CHARACTERS + "|\r(?!\n)")


def visible(text: str, characters: re.Pattern[str] = DECEPTIVE) -> str:
    """Return the text with its deceptive characters, or these ones, as numbers in braces, such as ``{U+202E}``."""
    return characters.sub(lambda match: f"{{U+{ord(match[0]):04X}}}", text)


@contextlib.contextmanager
def visible_output() -> Iterator[None]:
    """Show the deceptive characters in all that the block prints to stdout."""
    if sys.stdout is None:  # it was closed before this process began
        yield
        return
    with contextlib.redirect_stdout(_Visible(sys.stdout)):
        yield


class _Visible:
    """Write to a stream with all characters visible."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(visible(text))

    def writelines(self, lines: Iterator[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
