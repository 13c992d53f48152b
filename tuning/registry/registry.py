"""Keep model versions in ``var/models/``: one folder per version, and a journal of events that names the champion.

Each event rewrites ``journal.jsonl`` as a whole, so a crash cannot leave an incomplete line. The journal names every
version before its folder exists, so a version that it does not name shows that it was lost. A version does not change,
except that a newer verdict replaces its verdict. Only one process writes at a time.
"""

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tuning.errors import TuningError
from tuning.records import encode_record, read_lines, read_record, write_record
from tuning.registry.model_folder import is_unchanged, open_model
from tuning.registry.records import Action, Candidate, Event, Version
from tuning.resource_errors import in_one_line
from tuning.settings import Settings
from tuning.storage import atomic_folder, locked, write_bytes
from tuning.tuners.protocol import Model

RECORD = "version.json"
MODEL = "model"
_JOURNAL = "journal.jsonl"
_LOST = (
    "No command can make it again: restore it from a backup, or begin a new one, in which you choose the champion "
    'again: `invoke promote VERSION --force --reason "…"`'
)


def versions(settings: Settings) -> list[Version]:
    """Return all versions, the oldest first. Raises TuningError if a version's record is damaged."""
    return [_read(settings.models_dir / name) for name in _names(settings)]


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
    """Return the released version, if there is one. Raises TuningError if the journal or this version is lost."""
    name = _champion_name(settings)
    if name and name not in _names(settings):
        raise TuningError(
            f"the champion {name} is missing from {settings.models_dir}",
            "No command can make it again: restore it from a backup, or choose another champion: "
            '`invoke promote VERSION --force --reason "…"`',
        )
    return find_version(settings, name) if name else None


def history(settings: Settings) -> list[Event]:
    """Return all events, the oldest first. Raises TuningError if the journal is damaged or lacks a version."""
    path, names = settings.models_dir / _JOURNAL, _names(settings)
    if not names and not path.exists():
        return []
    events = list(read_lines(path, Event, _LOST))
    unknown = [name for name in names if name not in {event.version for event in events}]
    if unknown:
        what = f"does not name the version {unknown[0]}" if events else "is empty"
        raise TuningError(f"{path} {what}, so it does not tell the champion", _LOST)
    return events


def model_folder(settings: Settings, version: Version) -> Path:
    """Return the folder of a version's model files."""
    return settings.models_dir / version.name / MODEL


def open_version(settings: Settings, version: Version) -> Model:
    """Return the model of a version. Warn on stderr if a file is not as it was registered.

    Raises TuningError if ``model.json`` is damaged or the weights are missing.
    """
    folder = model_folder(settings, version)
    model = open_model(folder)
    if not is_unchanged(folder, version.contents_sha256):
        print(f"warning: the files in {folder} have changed since {version.name} was registered", file=sys.stderr)
    return model


def register(settings: Settings, candidate: Candidate, files: Path) -> tuple[Version, bool]:
    """Register the model in the folder `files` under the next free name. Return the version and whether it is new.

    A model with a known training key is not registered again; if its verdict differs, the
    new verdict is recorded. Raises TuningError if the registry is damaged or locked, or the disk is full.
    """
    with _writing(settings):
        for known in versions(settings):
            if known.training_key == candidate.training_key:
                return _judge_again(settings, known, candidate), False
        number = max((int(known.name[1:]) for known in versions(settings)), default=0) + 1
        version = Version(name=f"v{number}", **msgspec.structs.asdict(candidate))
        with in_one_line(), atomic_folder(settings.models_dir / version.name) as folder:
            shutil.copytree(files, folder / MODEL, copy_function=_link)
            write_record(folder / RECORD, version)
            _note(settings, "registered", version.name, _champion_name(settings))
    return version, True


class ChampionChangedError(TuningError):
    """Say that a version was compared with another champion than the current one."""


def promote(settings: Settings, name: str, *, force: bool = False, reason: str = "") -> tuple[Version, bool]:
    """Make a version the champion. Return it and whether the champion changed.

    If it is the champion already, only a `reason` is recorded, as one more promotion, which `rollback` ignores.

    Unless `force` and a `reason` are given, raises TuningError if the verdict allows no release, and
    ChampionChangedError if it is against another champion than the current one. Raises TuningError if there is no such
    version. With `force`, a lost journal is replaced by a new one.
    """
    with _writing(settings):
        version = find_version(settings, name)
        if force and not reason.strip():
            raise TuningError("--force needs --reason, which is recorded")
        if force:
            _replace_lost_journal(settings)
        if version.name == _champion_name(settings):
            if reason.strip():
                _note(settings, "promoted by force" if force else "promoted", version.name, version.name, reason)
            return version, False
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
        is_known = _champion_name(settings) in (None, *_names(settings))
        is_allowed = is_known and version.verdict.passed and version.verdict.champion == _opponent(settings)
        action: Action = "promoted" if is_allowed else "promoted by force"
        _note(settings, action, version.name, version.name, reason)
    return version, True


def rollback(settings: Settings, reason: str = "") -> tuple[Version, Version | None]:
    """Undo the last promotion. Return the former champion and the current one, which is None if there is none.

    Raises TuningError if there is no champion, or if one of the two versions is missing.
    """
    with _writing(settings):
        events = history(settings)
        line = _line_of_champions(events)
        if not line:
            raise TuningError("there is no champion to roll back", "Run `invoke models` to list the versions")
        before = find_version(settings, line[-1])
        now = find_version(settings, line[-2]) if len(line) > 1 else None
        _note(settings, "rolled back", before.name, now.name if now else None, reason)
    return before, now


def _line_of_champions(events: list[Event]) -> list[str]:
    """Return the promoted versions that were not rolled back, the oldest promotion first.

    A promotion of the version that is champion already only records a reason, so it does not count.
    """
    line: list[str] = []
    for event in events:
        if event.action in ("promoted", "promoted by force") and line[-1:] != [event.version]:
            line.append(event.version)
        elif event.action == "rolled back" and line:
            line.pop()
    return line


def _judge_again(settings: Settings, known: Version, candidate: Candidate) -> Version:
    if known.verdict == candidate.verdict:
        return known
    known = msgspec.structs.replace(
        known, verdict=candidate.verdict, metrics=candidate.metrics, run_id=candidate.run_id
    )
    write_record(settings.models_dir / known.name / RECORD, known)
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
    _write_journal(settings, [*history(settings), event])


def _write_journal(settings: Settings, events: list[Event]) -> None:
    write_bytes(settings.models_dir / _JOURNAL, b"".join(encode_record(event) + b"\n" for event in events))


def _replace_lost_journal(settings: Settings) -> None:
    """Begin a new journal if the journal is damaged or lacks a version. The old file stays under another name."""
    try:
        history(settings)
    except TuningError as error:
        path, now = settings.models_dir / _JOURNAL, datetime.now(UTC)
        if path.exists():
            path.rename(path.with_name(f"damaged-{now:%Y%m%d-%H%M%S-%f}-{_JOURNAL}"))
        reason = f"a new journal begins here: {error}".split(". No command")[0]
        _write_journal(
            settings,
            [
                Event(at=version.created_at, action="registered", version=version.name, champion=None, reason=reason)
                for version in versions(settings)
            ],
        )


def _names(settings: Settings) -> list[str]:
    """Return the names of the versions that have a folder, the oldest first."""
    folders = (path.name for path in settings.models_dir.glob("v*") if path.is_dir())
    return sorted((name for name in folders if re.fullmatch(r"v\d+", name)), key=lambda name: int(name[1:]))


def _read(folder: Path) -> Version:
    remedy = f"No command can make it again: restore it from a backup, or delete {folder} to give up this version"
    version = read_record(folder / RECORD, Version, remedy)
    if version.name != folder.name:
        raise TuningError(f"{folder / RECORD} is damaged (it names {version.name})", remedy)
    return version


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
