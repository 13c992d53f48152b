"""Keep model versions in ``var/models/``: one folder per version, and a journal of events that names the champion.

Each event rewrites ``journal.jsonl`` as a whole, so a crash cannot leave an incomplete line. A version does not change,
except that a newer verdict replaces its verdict. Only one process writes at a time.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tuning.errors import TuningError
from tuning.registry.records import Action, Event, Version
from tuning.resource_errors import in_one_line
from tuning.settings import Settings
from tuning.storage import atomic_folder, locked, write_bytes, write_json

RECORD = "version.json"
MODEL = "model"
_JOURNAL = "journal.jsonl"


def versions(settings: Settings) -> list[Version]:
    """Return all versions, the oldest first. Raises TuningError if a version's record is damaged."""
    found = [_read(path) for path in settings.models_dir.glob(f"v*/{RECORD}")]
    return sorted(found, key=lambda version: int(version.name[1:]))


def find_version(settings: Settings, name: str) -> Version:
    """Return the version `name`, which can be ``champion``. Raises TuningError if there is no such version."""
    if name == "champion":
        if found := champion(settings):
            return found
        raise TuningError("there is no champion yet", "Run `invoke tune`, or choose one with `invoke promote VERSION`")
    known = {version.name: version for version in versions(settings)}
    if name not in known:
        listed = ", ".join(known) or "none"
        raise TuningError(f"there is no model {name!r}", f"Registered versions: {listed}")
    return known[name]


def champion(settings: Settings) -> Version | None:
    """Return the released version, if there is one. Raises TuningError if the journal is damaged."""
    events = history(settings)
    name = events[-1].champion if events else None
    return find_version(settings, name) if name else None


def history(settings: Settings) -> list[Event]:
    """Return all events, the oldest first. Raises TuningError if the journal is damaged."""
    path = settings.models_dir / _JOURNAL
    if not path.exists():
        return []
    try:
        return [msgspec.json.decode(line, type=Event) for line in path.read_bytes().splitlines()]
    except msgspec.DecodeError as error:
        raise TuningError(f"{path} is damaged ({error})", "Restore it from a backup, or remove its last line") from None


def model_folder(settings: Settings, version: Version) -> Path:
    """Return the folder of a version's model files."""
    return settings.models_dir / version.name / MODEL


def register(settings: Settings, version: Version, files: Path) -> Version:
    """Register the model in the folder `files` under the next free name, and return the version.

    `version.name` is ignored. A model with a known training key is not registered again; if its verdict differs, the
    new verdict is recorded. Raises TuningError if the registry is damaged or locked, or the disk is full.
    """
    with _writing(settings):
        for known in versions(settings):
            if known.training_key == version.training_key:
                return _judge_again(settings, known, version)
        number = max((int(known.name[1:]) for known in versions(settings)), default=0) + 1
        version = msgspec.structs.replace(version, name=f"v{number}")
        with in_one_line(), atomic_folder(settings.models_dir / version.name) as folder:
            shutil.copytree(files, folder / MODEL, copy_function=_link)
            write_json(folder / RECORD, msgspec.to_builtins(version))
        _note(settings, "registered", version.name, _champion_name(settings))
    return version


class ChampionChangedError(TuningError):
    """Say that a version was compared with another champion than the current one."""


def promote(settings: Settings, name: str, *, force: bool = False, reason: str = "") -> Version:
    """Make a version the champion and return it.

    Unless `force` and a `reason` are given, raises TuningError if the verdict allows no release, and
    ChampionChangedError if it is against another champion than the current one. Raises TuningError if there is no such
    version.
    """
    with _writing(settings):
        version = find_version(settings, name)
        if force and not reason.strip():
            raise TuningError("--force needs --reason, which is recorded")
        if version.name == _champion_name(settings):
            return version
        if not version.verdict.passed and not force:
            raise TuningError(
                f"{version.name} may not be released ({version.verdict.status}: {version.verdict.reasons[0]})",
                'Tune a better model, or promote this one with --force --reason "…"',
            )
        if not force and version.verdict.champion != (opponent := _opponent(settings)):
            raise ChampionChangedError(
                f"{version.name} was compared with {version.verdict.champion or 'no champion'}, but the champion now "
                f"is {opponent or 'none'}",
                "Run `invoke tune` again to compare it with the current champion",
            )
        is_allowed = version.verdict.passed and version.verdict.champion == _opponent(settings)
        action: Action = "promoted" if is_allowed else "promoted by force"
        _note(settings, action, version.name, version.name, reason)
    return version


def rollback(settings: Settings, reason: str = "") -> tuple[Version, Version | None]:
    """Undo the last promotion. Return the former champion and the current one, which is None if there is none.

    Raises TuningError if there is no champion.
    """
    with _writing(settings):
        events = history(settings)
        line = _line_of_champions(events)
        if not line:
            raise TuningError("there is no champion to roll back", "Run `invoke models` to list the versions")
        previous = line[-2] if len(line) > 1 else None
        _note(settings, "rolled back", line[-1], previous, reason)
    return find_version(settings, line[-1]), find_version(settings, previous) if previous else None


def _line_of_champions(events: list[Event]) -> list[str]:
    """Return the promoted versions that were not rolled back, the oldest promotion first."""
    line: list[str] = []
    for event in events:
        if event.action in ("promoted", "promoted by force"):
            line.append(event.version)
        elif event.action == "rolled back":
            line.pop()
    return line


def _judge_again(settings: Settings, known: Version, version: Version) -> Version:
    if known.verdict == version.verdict:
        return known
    known = msgspec.structs.replace(known, verdict=version.verdict, metrics=version.metrics, run_id=version.run_id)
    write_json(settings.models_dir / known.name / RECORD, msgspec.to_builtins(known))
    _note(settings, "judged again", known.name, _champion_name(settings), known.verdict.status)
    return known


def _opponent(settings: Settings) -> str | None:
    """Return the champion with which a new version must be compared, or None. A smoke test does not count."""
    found = champion(settings)
    return found.name if found and not found.verdict.smoke_test else None


def _champion_name(settings: Settings) -> str | None:
    events = history(settings)
    return events[-1].champion if events else None


def _note(settings: Settings, action: Action, version: str, champion_now: str | None, reason: str = "") -> None:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    event = Event(at=at, action=action, version=version, champion=champion_now, reason=reason)
    lines = [msgspec.json.encode(event) for event in [*history(settings), event]]
    write_bytes(settings.models_dir / _JOURNAL, b"\n".join(lines) + b"\n")


def _read(path: Path) -> Version:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Version)
    except msgspec.DecodeError as error:
        raise TuningError(f"{path} is damaged ({error})", "Delete the folder of this version") from None


@contextlib.contextmanager
def _writing(settings: Settings) -> Iterator[None]:
    with locked(settings.models_dir / ".lock", "the model registry", timeout=60):
        yield


def _link(source: str, target: str) -> None:
    """Create a hard link, because models are large and never change. Copy the file if a link is not possible."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
