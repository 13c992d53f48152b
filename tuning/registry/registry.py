"""Keep model versions and the champion. `tuning.registry.journal` says where, and what makes a version exist.

A version does not change, except that a newer verdict replaces its verdict.
"""

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from tuning.errors import TuningError
from tuning.gcs.object_file import ABSENT, PARALLEL
from tuning.gcs.storage import find_storage, keep_files
from tuning.records import decode_record, record_bytes
from tuning.registry.journal import (
    RECORD,
    Journal,
    address,
    begin,
    begin_again,
    change,
    new_event,
    number_of,
    read_content,
    read_journal,
    shown,
    version_folders,
)
from tuning.registry.local_copy import local_copy
from tuning.registry.model_folder import MODEL as MODEL_FILE
from tuning.registry.model_folder import is_unchanged, open_model
from tuning.registry.records import Action, Candidate, Event, Version
from tuning.resource_errors import in_one_line
from tuning.settings import Settings
from tuning.storage import sha256_of
from tuning.target import command_in_words, find_target
from tuning.tuners.protocol import Model

MODEL = "model"
_PROMOTED: tuple[Action, ...] = ("promoted", "promoted by force")
_ROLLED_BACK: Action = "rolled back"
_CHANGES = (*_PROMOTED, _ROLLED_BACK)  # the events that can change the champion
_WEIGHTS = (".safetensors", ".bin", ".pt", ".gguf")


def versions(settings: Settings) -> list[Version]:
    """Return all versions, the oldest first. Raises TuningError if the journal or a version's record is damaged."""
    return _versions(settings, read_journal(settings))


def find_version(settings: Settings, name: str) -> Version:
    """Return the version `name`, which can be ``champion``. Raises TuningError if there is no such version."""
    return _find(settings, read_journal(settings), name)


def champion(settings: Settings) -> Version | None:
    """Return the released version, if there is one. Raises TuningError if the journal or this version is lost."""
    return _champion(settings, read_journal(settings))


def history(settings: Settings) -> list[Event]:
    """Return all events, the oldest first. Raises TuningError if the journal is damaged or lost."""
    return read_journal(settings).events


def unfinished(settings: Settings) -> list[str]:
    """Return the names of the folders of killed registrations: not in the journal, and without all files."""
    names = read_journal(settings).records
    return [name for name in version_folders(settings) if name not in names and not _is_whole(settings, name)]


def model_address(settings: Settings, version: Version) -> str:
    """Return the address of the folder of a version's model files."""
    return address(settings, f"{version.name}/{MODEL}")


def model_folder(settings: Settings, version: Version) -> Path:
    """Return a folder of this machine with a version's model files. From a bucket, they are downloaded once.

    Raises TuningError if a downloaded file is not the one that was registered.
    """
    return local_copy(settings, version, model_address(settings, version))


def small_files(settings: Settings, version: Version) -> Path:
    """Return a folder of this machine with the version's files except the weights, such as its tokenizer.

    Raises TuningError as `model_folder` does.
    """
    small = {name: sha256 for name, sha256 in version.files.items() if not name.endswith(_WEIGHTS)}
    return local_copy(settings, msgspec.structs.replace(version, files=small), model_address(settings, version))


def open_version(settings: Settings, version: Version) -> Model:
    """Return the model of a version. Warn on stderr if a file is not as it was registered.

    Raises TuningError if ``model.json`` is damaged or the weights are missing.
    """
    folder = model_folder(settings, version)
    model = open_model(folder)
    if not is_unchanged(folder, version.contents_sha256):
        print(f"warning: the files in {folder} have changed since {version.name} was registered", file=sys.stderr)
    return model


def describe(settings: Settings, version: Version) -> Model:
    """Return ``model.json`` of a version, without its weights. Raises TuningError if the file is damaged or missing."""
    name = f"{version.name}/{MODEL}/{MODEL_FILE}"
    remedy = _remedy(settings, version.name)
    if found := read_content(settings, name, remedy):
        return decode_record(found.content, Model, str(found), remedy)
    raise TuningError(f"{shown(settings, name)} is missing", remedy)


def register(settings: Settings, candidate: Candidate, files: Path) -> tuple[Version, bool]:
    """Register the model in the folder `files` under the next free name. Return the version and whether it is new.

    A model with a known training key is not registered again; if its verdict differs, the
    new verdict is recorded. Raises TuningError if the registry is damaged or locked, or the disk is full.
    """
    storage = find_storage(settings)
    with in_one_line(), storage.reserved("models/.register", "the model registry"):
        begin(settings)
        if known := _same_training(settings, read_journal(settings), candidate):
            return _judge_again(settings, known, candidate), False
        paths = {path.relative_to(files).as_posix(): path for path in sorted(files.rglob("*")) if path.is_file()}
        version = _claim(settings, candidate, {name: sha256_of(path) for name, path in paths.items()})
        folder = address(settings, version.name)

        def decide(now: Journal) -> tuple[Event | None, Version | None]:
            if other := _same_training(settings, now, candidate):
                return None, other
            return new_event("registered", version.name, now.champion, training_key=version.training_key), None

        try:
            keep_files(settings, paths, model_address(settings, version), last=MODEL_FILE)
        except BaseException:
            storage.clear(folder)
            raise
        if other := change(settings, decide):  # another process registered it at the same time
            storage.clear(folder)
            return _judge_again(settings, other, candidate), False
    return version, True


class ChampionChangedError(TuningError):
    """Say that a version was compared with, or was to replace, another champion than the current one."""


def promote(settings: Settings, name: str, *, force: bool = False, reason: str = "") -> tuple[Version, bool]:
    """Make a version the champion. Return it and whether the champion changed.

    If it is the champion already, only a new `reason` is recorded, as one more promotion, which `rollback` ignores. So
    a command that was killed can be repeated.

    Unless `force` and a `reason` are given, raises TuningError if the verdict allows no release, and
    ChampionChangedError if it is against another champion than the current one. Raises ChampionChangedError if another
    process changes the champion at the same time, and TuningError if there is no such version. With `force`, a lost
    journal is replaced by a new one.
    """
    if force and reason.strip():
        begin_again(settings, lambda why: _registered(settings, name, why))
    first: list[str | None] = []  # the champion when the command began

    def decide(now: Journal) -> tuple[Event | None, tuple[Version, bool]]:
        version = _find(settings, now, name)
        if force and not reason.strip():
            raise TuningError("--force needs --reason, which is recorded")
        if version.name == now.champion:
            action: Action = "promoted by force" if force else "promoted"
            event, last = new_event(action, version.name, version.name, reason=reason), now.events[-1]
            is_known = not event.reason or (event.version, event.reason) == (last.version, last.reason)
            return None if is_known else event, (version, False)
        _refuse_another(first, now, f"{version.name} was being promoted")
        if not version.verdict.passed and not force:
            raise TuningError(
                f"{version.name} may not be released ({version.verdict.status}: {version.verdict.reasons[0]})",
                'Tune a better model, or promote this one with --force --reason "…"',
            )
        current = _read(settings, now, now.champion) if force and now.champion else _champion(settings, now)
        is_lost = now.champion is not None and current is None
        opponent = current.name if current and not current.verdict.smoke_test else None  # a smoke test does not count
        if not force and version.verdict.champion != opponent:
            raise ChampionChangedError(
                f"{version.name} was compared with {version.verdict.champion or 'no champion'}, but the champion now "
                f"is {opponent or 'none'}",
                f"Run {command_in_words(settings, 'tune')} again to compare it with the current champion",
            )
        is_allowed = not is_lost and version.verdict.passed and version.verdict.champion == opponent
        action = "promoted" if is_allowed else "promoted by force"
        return new_event(action, version.name, version.name, reason=reason), (version, True)

    return change(settings, decide)


def rollback(settings: Settings, reason: str = "", name: str = "") -> tuple[str, str | None, bool]:
    """Undo the last promotion, which is that of the version `name` if one is given.

    Return the names of the former champion and the current one, which is None if there is none, and whether the
    champion changed. It does not if its last change was this rollback: that of `name`, or any if none is given. So a
    command that was killed can be repeated, and only with a name is the promotion before undone too.

    Raises TuningError if there is no champion, if it is not `name`, or if one of the two versions is missing, and
    ChampionChangedError if another process changes the champion at the same time.
    """
    first: list[str | None] = []

    def decide(now: Journal) -> tuple[Event | None, tuple[str, str | None, bool]]:
        _refuse_another(first, now, "the last promotion was being rolled back")
        last = next((event for event in reversed(now.events) if event.action in _CHANGES), None)
        if last and last.action == _ROLLED_BACK and name in ("", last.version):
            return None, (last.version, now.champion, False)
        line = _line_of_champions(now.events)
        if not line:
            raise TuningError("there is no champion to roll back", "Run `invoke models` to list the versions")
        if name not in ("", line[-1]):
            raise TuningError(f"{name} is not the champion, so it cannot be rolled back", f"{line[-1]} is the champion")
        before = _find(settings, now, line[-1])
        after = _find(settings, now, line[-2]) if len(line) > 1 else None
        event = new_event(_ROLLED_BACK, before.name, after.name if after else None, reason=reason)
        return event, (before.name, event.champion, True)

    return change(settings, decide)


def _refuse_another(first: list[str | None], now: Journal, doing: str) -> None:
    """Raise ChampionChangedError if the champion is not the one of the first call, which `first` remembers."""
    first.append(now.champion)
    if now.champion != first[0]:
        what = f"{now.champion} became the champion" if now.champion else f"{first[0]} was rolled back"
        raise ChampionChangedError(
            f"{what} while {doing}", "`invoke models --history` shows it. Run the command again if you still want it"
        )


def _line_of_champions(events: list[Event]) -> list[str]:
    """Return the promoted versions that were not rolled back, the oldest promotion first.

    A promotion of the version that is champion already only records a reason, so it does not count.
    """
    line: list[str] = []
    for event in events:
        if event.action in _PROMOTED and line[-1:] != [event.version]:
            line.append(event.version)
        elif event.action == _ROLLED_BACK and line:
            line.pop()
    return line


def _same_training(settings: Settings, now: Journal, candidate: Candidate) -> Version | None:
    """Return the version with the training key of the candidate. Only old events do not tell the key."""
    keys = {event.version: event.training_key for event in now.events if event.training_key}
    for name in now.records:
        version = (
            _read(settings, now, name) if keys.get(name, candidate.training_key) == candidate.training_key else None
        )
        if version and version.training_key == candidate.training_key:
            return version
    return None


def _claim(settings: Settings, candidate: Candidate, files: dict[str, str]) -> Version:
    """Write the record of a version under the next free name, and return the version.

    A name that a killed registration has taken is left out; `invoke clean` deletes its files. On target local, no other
    registration runs now, so the same training takes its name again.
    """
    storage, number = find_storage(settings), max(map(number_of, read_journal(settings).records), default=0) + 1
    while True:
        version = Version(name=f"v{number}", files=files, **msgspec.structs.asdict(candidate))
        record = address(settings, f"{version.name}/{RECORD}")
        if storage.replace(record, record_bytes(version), ABSENT):
            return version
        if not find_target(settings).has_bucket:
            left = _read_record(settings, version.name, RECORD)
            if left and left.training_key == candidate.training_key:
                storage.clear(address(settings, version.name))
                continue
        number += 1


def _judge_again(settings: Settings, known: Version, candidate: Candidate) -> Version:
    """Record another verdict on a version: in a record of its own, which the journal then names."""
    if known.verdict == candidate.verdict:
        return known
    known = msgspec.structs.replace(
        known,
        verdict=candidate.verdict,
        metrics=candidate.metrics,
        answer_metrics=candidate.answer_metrics,
        run_id=candidate.run_id,
    )
    storage, number = find_storage(settings), 2
    while not storage.replace(address(settings, f"{known.name}/version-{number}.json"), record_bytes(known), ABSENT):
        number += 1

    def decide(now: Journal) -> tuple[Event, None]:
        record, status = f"version-{number}.json", known.verdict.status
        return new_event("judged again", known.name, now.champion, reason=status, record=record), None

    change(settings, decide)
    return known


def _registered(settings: Settings, name: str, why: str) -> list[Event]:
    """Return the events of a new journal: each version that is whole was registered. `name` must be one of them."""
    found = []
    for folder in version_folders(settings):
        children = find_storage(settings).children(address(settings, folder))
        records = sorted((one for one in children if re.fullmatch(r"version(-\d+)?\.json", one)), key=_number_of_record)
        version = _read_record(settings, folder, records[-1]) if records else None
        if version and _is_whole(settings, folder):
            event = new_event("registered", folder, None, reason=why, record=records[-1])
            found.append(msgspec.structs.replace(event, at=version.created_at, training_key=version.training_key))
    if name not in [event.version for event in found]:
        raise TuningError(
            f"there is no model {name!r}",
            f"Versions that a new journal can name: {', '.join(event.version for event in found) or 'none'}",
        )
    return found


def _is_whole(settings: Settings, name: str) -> bool:
    """Return whether the folder of a version has all files. The last one to be written is ``model.json``."""
    return MODEL_FILE in find_storage(settings).children(address(settings, f"{name}/{MODEL}"))


def _number_of_record(name: str) -> int:
    return 1 if name == RECORD else int(name.removeprefix("version-").removesuffix(".json"))


def _versions(settings: Settings, now: Journal) -> list[Version]:
    with ThreadPoolExecutor(PARALLEL) as pool:
        found = list(pool.map(lambda name: _read(settings, now, name), now.records))
    return [version for version in found if version]


def _find(settings: Settings, now: Journal, name: str) -> Version:
    if name == "champion":
        if found := _champion(settings, now):
            return found
        raise _no_champion(settings, now)
    if found := _read(settings, now, name):
        return found
    listed = ", ".join(version.name for version in _versions(settings, now)) or "none"
    is_left = name in version_folders(settings)
    why = f": {shown(settings, '')} has its folder, but the journal does not name it" if is_left else ""
    raise TuningError(f"there is no model {name!r}{why}", f"Registered versions: {listed}")


def _no_champion(settings: Settings, now: Journal) -> TuningError:
    """Return the error for a registry without a champion: none was released yet, or the last one was rolled back."""
    last = next((event for event in reversed(now.events) if event.action in _CHANGES), None)
    tune, models = command_in_words(settings, "tune"), command_in_words(settings, "models")
    advice = f"Run {tune}, or name a version ({models} lists them)"
    if last is None:
        return TuningError("there is no champion yet", advice)
    undone = promotion_command(settings, last.version)
    return TuningError(
        f"there is no champion, because {last.version} was rolled back", f"{undone} undoes that" if undone else advice
    )


def promotion_command(settings: Settings, name: str) -> str | None:
    """Return the command that makes a version the champion if there is none, or None if the version is not there."""
    found = _read(settings, read_journal(settings), name)
    if found is None:
        return None
    is_allowed = found.verdict.passed and found.verdict.champion is None  # what `promote` asks without --force
    return command_in_words(settings, f"promote {name}" if is_allowed else f'promote {name} --force --reason "…"')


def _champion(settings: Settings, now: Journal) -> Version | None:
    if now.champion is None:
        return None
    if found := _read(settings, now, now.champion):
        return found
    raise TuningError(
        f"the champion {now.champion} is missing from {shown(settings, '')}",
        "No command can make it again: restore it from a backup, or choose another champion: "
        '`invoke promote VERSION --force --reason "…"`',
    )


def _read(settings: Settings, now: Journal, name: str) -> Version | None:
    """Return a version, or None if the journal does not name it or a person deleted its folder to give it up."""
    if name not in now.records:
        return None
    if version := _read_record(settings, name, now.records[name]):
        return version
    if name in version_folders(settings):
        where = shown(settings, f"{name}/{now.records[name]}")
        raise TuningError(f"{where} is missing", _remedy(settings, name))
    return None


def _read_record(settings: Settings, name: str, record: str) -> Version | None:
    remedy = _remedy(settings, name)
    found = read_content(settings, f"{name}/{record}", remedy)
    if found is None:
        return None
    version = decode_record(found.content, Version, str(found), remedy)
    if version.name != name:
        raise TuningError(f"{found} is damaged (it names {version.name})", remedy)
    return version


def _remedy(settings: Settings, name: str) -> str:
    return (
        f"No command can make it again: restore it from a backup, or delete {shown(settings, name)} "
        "to give up this version"
    )
