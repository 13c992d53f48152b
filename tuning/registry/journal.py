"""Keep the journal, the one file of the registry that changes: it names the versions and the champion.

The registry is the folder ``gs://BUCKET/registry/``, which is ``var/models/`` on target local. In it are
``journal.jsonl`` and a folder for each version, with its record and its model. The files of a version are written
first, and then the journal: what the journal does not name does not exist. The journal changes by compare-and-swap, so
of two changes at the same time one comes first, and the other one is decided again.
"""

import random
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TypeVar

from tuning.errors import TuningError
from tuning.gcs.object_file import ABSENT, Content
from tuning.gcs.storage import find_storage
from tuning.records import encode_record, read_lines, unreadable
from tuning.registry.records import Action, Event
from tuning.settings import Settings
from tuning.storage import registry_address

JOURNAL = "journal.jsonl"
RECORD = "version.json"  # the first record of a version; a newer verdict gets a record of its own
_BEGAN: Action = "began"
_VERSION, _RECORD = re.compile(r"v[1-9]\d*"), re.compile(r"version(-[1-9]\d*)?\.json")
_PAUSE = 0.1  # most seconds until a change is decided again
_LOST = (
    "No command can make it again: restore it from a backup, or begin a new one, in which you choose the champion "
    'again: `invoke promote VERSION --force --reason "…"`'
)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Journal:
    """Hold the journal as it was at one moment."""

    events: list[Event]  # without the line with which it begins
    content: bytes = b""
    generation: str = ABSENT

    @property
    def champion(self) -> str | None:
        """Return the name of the released version."""
        return self.events[-1].champion if self.events else None

    @cached_property
    def records(self) -> dict[str, str]:
        """Return the names of the versions in the order of their numbers, each with the file name of its record."""
        found: dict[str, str] = {}
        for event in self.events:
            found[event.version] = event.record or found.get(event.version, RECORD)
        return {name: found[name] for name in sorted(found, key=number_of)}


def number_of(name: str) -> int:
    """Return the number in the name of a version."""
    return int(name[1:])


def new_event(action: Action, version: str, champion: str | None, reason: str = "", **fields: str) -> Event:
    """Return an event of this moment, with the reason on one line.

    Its random ID tells it from an equal event of another process.
    """
    at, identity = datetime.now(UTC).isoformat(timespec="seconds"), secrets.token_hex(8)
    line = " ".join(reason.split())
    return Event(at=at, action=action, version=version, champion=champion, id=identity, reason=line, **fields)


def read_journal(settings: Settings) -> Journal:
    """Return the journal. Raises TuningError if it is damaged, or if it is lost: there are versions without it."""
    found = read_content(settings, JOURNAL, _LOST)
    events = [] if found is None else list(read_lines(found, Event, _LOST))
    if not events and version_folders(settings):
        what = "is missing" if found is None else "is empty"
        raise TuningError(f"{shown(settings, JOURNAL)} {what}, so it does not tell the champion", _LOST)
    if found is None:
        return Journal([])
    events = [event for event in events if event.action != _BEGAN]
    for event in events:
        if not _VERSION.fullmatch(event.version) or not _RECORD.fullmatch(event.record or RECORD):
            raise TuningError(f"{found} is damaged (it names the version {event.version!r} {event.record!r})", _LOST)
    return Journal(events, found.content, found.generation)


def begin(settings: Settings) -> None:
    """Write the first line of the journal, if there is none yet.

    So versions without a journal mean that it is lost, and not that the first registration was killed.
    """
    if read_journal(settings).generation == ABSENT:
        _write(settings, [new_event(_BEGAN, "", None)], Journal([]))  # if another process began it, that is as well


def change(settings: Settings, decide: Callable[[Journal], tuple[Event | None, Result]]) -> Result:
    """Append the event that ``decide(journal)`` returns, and return what it returns beside it.

    If another process changes the journal at the same time, `decide` is called again with the new journal. If it
    returns None, nothing changes.
    """
    sent: dict[str, Result] = {}
    while True:
        journal = read_journal(settings)
        arrived = sent.keys() & {event.id for event in journal.events}
        if arrived:  # only the answer was lost
            return sent[arrived.pop()]
        event, result = decide(journal)
        if event is None or _write(settings, [event], journal):
            return result
        sent[event.id] = result
        time.sleep(random.uniform(0, _PAUSE))  # noqa: S311 - so that two processes do not meet again


def begin_again(settings: Settings, registered: Callable[[str], list[Event]]) -> None:
    """Begin a new journal if the journal is damaged or lost. A damaged one stays under another name.

    The new journal has the events that ``registered(reason)`` returns, for the versions that are there.
    """
    try:
        read_journal(settings)
    except TuningError as error:
        events = registered(f"a new journal begins here: {error}".split(". No command")[0])
        name = f"damaged-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{JOURNAL}"
        find_storage(settings).move(address(settings, JOURNAL), address(settings, name))
        _write(settings, [new_event(_BEGAN, "", None), *events], Journal([]))


def _write(settings: Settings, events: list[Event], journal: Journal) -> bool:
    """Append events to the journal, if it has not changed. Return whether it had not."""
    before = journal.content if journal.content.endswith(b"\n") or not journal.content else journal.content + b"\n"
    content = before + b"".join(encode_record(event) + b"\n" for event in events)
    return find_storage(settings).replace(address(settings, JOURNAL), content, journal.generation)


def address(settings: Settings, name: str) -> str:
    """Return the address of a file or folder of the registry."""
    return f"{registry_address(settings)}/{name}".rstrip("/")


def shown(settings: Settings, name: str) -> str:
    """Return how messages name a file or folder of the registry."""
    return find_storage(settings).shown(address(settings, name))


def read_content(settings: Settings, name: str, remedy: str) -> Content | None:
    """Return a small file of the registry, or None if it does not exist. Raises TuningError if it cannot be read."""
    try:
        return find_storage(settings).read(address(settings, name))
    except OSError as error:
        raise unreadable(shown(settings, name), error, remedy) from None


def version_folders(settings: Settings) -> list[str]:
    """Return the names of the folders of versions, in the order of their numbers, also of unfinished ones."""
    names = find_storage(settings).children(registry_address(settings))
    return sorted(filter(_VERSION.fullmatch, names), key=number_of)
