"""Read which post a person means: an id, or an address as the site shows it."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from tuning.dataset.denied import host_of
from tuning.errors import TuningError

_ID = r"[1-9][0-9]{0,17}"
# https://stackoverflow.com/questions/1/a-title/2#2, /q/1, /q/1/77 (77 is a user), /a/2, /a/2/77
_PATH = re.compile(rf"/(?:q|questions)/(?P<question>{_ID})(?:/[^/]*)?(?:/\d*)?/?|/a/(?P<answer>{_ID})(?:/\d*)?/?")
_SITE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")  # another host would be that of no dataset
# The part after "#": an answer, or a comment on a post.
_FRAGMENT = re.compile(rf"(?:answer-)?(?P<id>{_ID})|comment\d+_(?P<commented>{_ID})")


@dataclass(frozen=True)
class Post:
    """Represent a question or an answer: its id, and the host of its site, which is empty if it was not named."""

    id: int
    site: str = ""

    def __str__(self) -> str:
        """Return the post as messages name it."""
        return f"post {self.id}{f' of {self.site}' if self.site else ''}"


def read_post(text: str) -> Post:
    """Return the post that an id or an address names. Raises TuningError if it names none."""
    text = text.strip()
    if re.fullmatch(_ID, text):
        return Post(int(text))
    try:
        address = text if "//" in text else f"https://{text}"
        parts, site = urlsplit(address), host_of(address)
    except ValueError:
        raise _unknown(text) from None
    path, fragment = _PATH.fullmatch(parts.path), _FRAGMENT.fullmatch(parts.fragment)
    if not _SITE.fullmatch(site) or not path or parts.scheme not in ("https", "http"):
        raise _unknown(text)
    if parts.fragment and not fragment:
        raise _unknown(text)
    found = next(one for match in (fragment, path) if match for one in match.groups() if one)
    return Post(int(found), site)


def _unknown(text: str) -> TuningError:
    return TuningError(
        f"{text[:200]!r} is neither the id nor the address of a post",
        "Write 123, https://stackoverflow.com/q/123 or https://stackoverflow.com/a/456",
    )
