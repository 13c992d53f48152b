"""Send a dataset or a registered model to the Hugging Face hub, with its card, licence and attribution.

What is sent is one commit, so a repository never has a part of it.
"""

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tuning.dataset.card.notice import NOTICE
from tuning.dataset.dataset import ATTRIBUTION, MANIFEST, find_dataset
from tuning.errors import TuningError
from tuning.gcs.access import is_loopback
from tuning.settings import Settings
from tuning.sharing.export_model import Form, export_model
from tuning.sharing.model_card import front_matter
from tuning.tuners.hf.environment import go_online

_VERSION = re.compile(r"v\d+|champion")
_CARD = "README.md"
_NOT_OURS = frozenset({".gitattributes"})  # the hub writes it
LOGIN = "Run `hf auth login`, or set HF_TOKEN to a token that may write (https://huggingface.co/settings/tokens)"


@dataclass(frozen=True)
class Parcel:
    """Hold what is sent: the files by their name in the repository."""

    kind: Literal["dataset", "model"]
    name: str
    files: dict[str, Path]
    content: str  # in numbers

    @property
    def bytes(self) -> int:
        """Return the size of all files."""
        return sum(path.stat().st_size for path in self.files.values())


def push(settings: Settings, name: str, to: str, *, public: bool, form: Form, say: Callable[[str], None]) -> str:
    """Send the dataset or model version `name` to the repository ``hf://USER/NAME``. Return its address.

    First, `say` what is sent, in numbers. A new repository is private unless `public`. Raises TuningError if the
    repository's name is not valid, if there is no token, if the card names no licence, if authors are not named, if the
    repository is public and `public` was not given, if it has other files, or if the hub refuses.
    """
    go_online()
    api, repository = _api(), _repository(to)
    with tempfile.TemporaryDirectory(dir=_folder(settings), prefix=".push-") as work:
        if _VERSION.fullmatch(name):
            parcel = _model(settings, name, form, Path(work) / "model")
        else:
            parcel = _dataset(settings, name)
        licence = front_matter(parcel.files[_CARD].read_text(encoding="utf-8")).get("license")
        if not licence:
            raise TuningError(f"the card of {parcel.name} names no licence", f"Add it to {parcel.files[_CARD]}")
        go_online()  # loading a tokenizer for an export turns it off
        with _hub_errors(api, repository):
            found = _found(api, repository, parcel.kind)
            is_private = not public if found is None else found.private
            where = f"{'a new' if found is None else 'the'} {'private' if is_private else 'public'} {parcel.kind}"
            say(f"sending {parcel.name} to {where} repository {repository} on {api.endpoint}")
            say(f"{len(parcel.files)} files, {parcel.bytes / 1e6:,.1f} MB, {parcel.content}, licence {licence}:")
            for path, file in sorted(parcel.files.items()):
                say(f"  {path} {file.stat().st_size:,} bytes")
            if found is None:
                api.create_repo(repository, repo_type=parcel.kind, private=not public)
            else:
                _check_found(found, parcel, repository, public=public)
            return _commit(api, repository, parcel)


def _folder(settings: Settings) -> Path:
    settings.cache_dir.mkdir(parents=True, exist_ok=True)
    return settings.cache_dir


def _repository(to: str) -> str:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    repository = to.removeprefix("hf://")
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise TuningError(f"{to} is no name on the hub ({error})", "Write --to hf://USER/NAME") from None
    return repository


def _api() -> Any:
    """Return the client of the hub. Raises TuningError if there is no token, or it would be sent unencrypted."""
    from huggingface_hub import HfApi, get_token

    api = HfApi(library_name="python-qa-tuning")
    if not api.endpoint.startswith("https://") and not is_loopback(api.endpoint):
        raise TuningError(
            f"HF_ENDPOINT {api.endpoint} would receive the token without encryption",
            "Use https or a server on loopback",
        )
    if not get_token():
        raise TuningError("there is no token for the Hugging Face hub", LOGIN)
    return api


def _model(settings: Settings, name: str, form: Form, folder: Path) -> Parcel:
    exported = export_model(settings, name, form, str(folder))
    if not exported.has_attribution:
        raise TuningError(
            f"the dataset {exported.version.dataset_id} of {exported.version.name} is not in this home, so the authors "
            "of the training data cannot be named",
            "Restore the dataset's folder, or make the dataset again",
        )
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return Parcel("model", exported.version.name, files, f"form {form}")


def _dataset(settings: Settings, name: str) -> Parcel:
    dataset = find_dataset(settings, name)
    if dataset.objects:
        raise TuningError(
            f"the large files of dataset {dataset.id} are in Cloud Storage ({dataset.address})",
            "Copy them to a machine and push there: gcloud storage cp -r",
        )
    names = [*dataset.manifest.files, MANIFEST, ATTRIBUTION, _CARD, NOTICE, "card.html"]
    files = {one: dataset.folder / one for one in names}
    if missing := [one for one, path in files.items() if not path.is_file()]:
        raise TuningError(f"dataset {dataset.id} lacks {', '.join(missing)}", "Delete its folder and make it again")
    rows = ", ".join(f"{facts.rows:,} rows in {one}" for one, facts in sorted(dataset.manifest.files.items()))
    return Parcel("dataset", dataset.id, files, rows)


def _found(api: Any, repository: str, kind: str) -> Any:
    """Return what the hub knows of the repository, or None if there is none."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return api.repo_info(repository, repo_type=kind)
    except RepositoryNotFoundError as error:
        if error.response.status_code == 404:
            return None
        raise


def _check_found(found: Any, parcel: Parcel, repository: str, *, public: bool) -> None:
    if not found.private and not public:
        raise TuningError(f"{repository} is public", "Add --public to send to it, or name another repository")
    there = {one.rfilename for one in found.siblings or ()}
    if other := sorted(there - parcel.files.keys() - _NOT_OURS):
        raise TuningError(
            f"{repository} has files that would stay beside the new ones: {', '.join(other[:3])}",
            "Delete them there, or name another repository",
        )


def _commit(api: Any, repository: str, parcel: Parcel) -> str:
    from huggingface_hub import CommitOperationAdd

    added = [CommitOperationAdd(path, file) for path, file in sorted(parcel.files.items())]
    done = api.create_commit(repository, added, commit_message=f"Add {parcel.name}", repo_type=parcel.kind)
    return str(done.repo_url)


@contextlib.contextmanager
def _hub_errors(api: Any, repository: str) -> Iterator[None]:
    """Raise TuningError, without the token, for an error of the hub or the connection."""
    import httpx2
    from huggingface_hub import get_token
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code
        reason = _without_token(error.server_message or str(error), get_token())
        hint = {401: LOGIN, 403: f"Use a token that may write to {repository}"}.get(
            status, "Correct it, and push again"
        )
        raise TuningError(f"the hub refused {repository} (HTTP {status}: {reason})", hint) from None
    except (ValueError, RuntimeError, OSError, httpx2.HTTPError) as error:
        if isinstance(error, OSError) and error.filename:
            raise  # a file on this machine
        reason = _without_token(f"{error} {error.__cause__ or ''}", get_token())
        raise TuningError(f"{repository} was not sent to {api.endpoint} ({reason})", "Run the command again") from None


def _without_token(text: str, token: str | None) -> str:
    return (text.replace(token, "…") if token else text).strip()
