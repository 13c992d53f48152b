r"""Read the rules that a person adds with `--redact-rules FILE`.

The file is TOML and has one table per rule:

    [[rule]]
    name = "TICKET"                           # the kind that the manifest and the card count
    pattern = 'ticket (?P<secret>ACME-\d{4})' # RE2 syntax; replaces the group "secret", or else the whole match
    placeholder = "ACME-0000"                 # optional; the default is <TICKET>
    keywords = ["ACME-"]                      # optional; only texts that contain one of these are searched

RE2 (https://github.com/google/re2/wiki/Syntax) needs linear time for a search, so no pattern can block the run. It has
no lookaround and no backreferences.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec

from tuning.errors import TuningError

_MOST_MATCHES = 5_000  # of a rule in one text: a bound on the time for a pattern that matches nearly everywhere
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]


class OwnRule(NamedTuple):
    """Represent a rule of the file, ready to search."""

    name: str
    placeholder: str
    keywords: tuple[str, ...]
    pattern: Any  # compiled by RE2
    group: int  # number of the group to replace; 0: the whole match

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the places that the rule matches. Raises TuningError if there are more than 5,000."""
        if self.keywords and not any(keyword in text for keyword in self.keywords):
            return
        if not text.isascii():
            text = text.encode("utf-8", "replace").decode()  # RE2 refuses lone surrogates
        matches = self.pattern.finditer(text)
        for match in islice(matches, _MOST_MATCHES):
            start, end = match.span(self.group)
            if start < end:
                yield start, end
        if next(matches, None):
            raise TuningError(
                f"--redact-rules: the rule {self.name} matches more than {_MOST_MATCHES:,} places in one post",
                "Make its pattern narrower",
            )


class _Rule(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(pattern=r"\A[A-Z][A-Z0-9_]{0,39}\Z")]
    pattern: _Text
    placeholder: str = ""
    keywords: Annotated[list[_Text], msgspec.Meta(max_length=1_000)] = []


class _File(msgspec.Struct, forbid_unknown_fields=True):
    rule: Annotated[list[_Rule], msgspec.Meta(min_length=1, max_length=1_000)]


# Neither a control token of a model such as `<s>`, nor a line break or a backtick, which could end a code block.
_PLACEHOLDER = re.compile(r"<[A-Z][A-Z0-9_]{1,39}>|[A-Za-z0-9][A-Za-z0-9 _.:/@+-]{0,59}")


@functools.lru_cache(maxsize=1)
def load_rules(path: Path) -> Sequence[OwnRule]:
    """Return the rules of a file. Raises TuningError with one line if the file or one of its rules is not valid."""
    try:
        file = msgspec.toml.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise TuningError(f"--redact-rules: {path} cannot be read ({error.strerror})") from None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:  # ValueError: a number of 4,300 digits
        raise _invalid(path, str(error).splitlines()[0]) from None
    return tuple(_compiled(path, number, rule) for number, rule in enumerate(file.rule, 1))


def _compiled(path: Path, number: int, rule: _Rule) -> OwnRule:
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        pattern = re2.compile(rule.pattern, options)
    except re2.error as error:
        reason = error.args[0]
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise _invalid(path, f"the pattern of rule {number} ({rule.name}) is not valid in RE2: {reason}") from None
    if pattern.search(""):
        raise _invalid(path, f"the pattern of rule {number} ({rule.name}) matches an empty text")
    placeholder = rule.placeholder or f"<{rule.name}>"
    if not _PLACEHOLDER.fullmatch(placeholder):
        raise _invalid(
            path,
            f"the placeholder of rule {number} ({rule.name}) may be <CAPITALS>, or letters, digits, blanks and _.:/@+-",
        )
    return OwnRule(rule.name, placeholder, tuple(rule.keywords), pattern, pattern.groupindex.get("secret", 0))


def _invalid(path: Path, reason: str) -> TuningError:
    return TuningError(f"--redact-rules: {path}: {reason}", "Each [[rule]] needs a name in capitals and a pattern")
