"""Have the model of a version on this machine: in the registry's own folder, or downloaded from its bucket."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import orjson

from tuning.errors import TuningError
from tuning.gcs.object_file import PARALLEL
from tuning.gcs.storage import find_storage
from tuning.progress import progress
from tuning.registry.records import Version
from tuning.settings import Settings
from tuning.storage import local_path, locked, remove, sha256_of
from tuning.target import find_target


def local_copy(settings: Settings, version: Version, uri: str) -> Path:
    """Return a folder of this machine with the version's model, whose files are in the folder at `uri`.

    From a bucket, it is downloaded once to ``var/cache/models/``, under a hash of its files. A download appears there
    when it is whole and each file has the hash of the version's record. A cached file that has changed is downloaded
    again. Raises TuningError if a file is missing or has another hash.
    """
    if not find_target(settings).has_bucket:
        return local_path(settings, uri)
    _check_names(version)
    key = hashlib.sha256(orjson.dumps(version.files, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
    folder = settings.cache_dir / "models" / key
    if not _is_whole(folder, version):
        with locked(settings.cache_dir / f"model-{key}.lock", f"the model of {version.name}"):
            if not _is_whole(folder, version):  # another process may have downloaded it
                _download(settings, version, uri, folder)
    if os.access(folder, os.W_OK):
        os.utime(folder)  # `invoke clean` keeps what was used
    return folder


def _download(settings: Settings, version: Version, uri: str, folder: Path) -> None:
    """Download the files beside `folder`, check them, and give them its name. A killed download goes on later."""
    partial, storage = folder.with_name(f".{folder.name}.part"), find_storage(settings)
    with progress(f"downloading {version.name}", len(version.files), "files") as advance:

        def fetch(name: str) -> bool:
            storage.get(f"{uri}/{name}", partial / name)
            advance(1)
            return sha256_of(partial / name) == version.files[name]

        with ThreadPoolExecutor(PARALLEL) as pool:
            is_right = dict(zip(version.files, pool.map(fetch, version.files), strict=True))
    if wrong := [name for name in version.files if not is_right[name]]:
        remove(partial)
        raise TuningError(
            f"{uri}/{wrong[0]} is not the file that was registered as {version.name}: its SHA-256 differs",
            "Restore the object, or choose another version (`invoke models`)",
        )
    remove(folder)
    partial.rename(folder)


def _is_whole(folder: Path, version: Version) -> bool:
    """Return whether the folder has the version's files, and no others."""
    here = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return here.keys() == version.files.keys() and all(sha256_of(here[name]) == version.files[name] for name in here)


def _check_names(version: Version) -> None:
    """Raise TuningError if the record names no files, or one that would not be in the folder."""
    wrong = [name for name in version.files if PurePosixPath(name).is_absolute() or ".." in name.split("/")]
    if wrong or not version.files:
        raise TuningError(
            f"the record of {version.name} is damaged (it names {f'the file {wrong[0]!r}' if wrong else 'no file'})",
            "Restore it from a backup, or choose another version (`invoke models`)",
        )
