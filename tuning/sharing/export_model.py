"""Export a registered local model as a folder that other programs load.

It is complete: weights, tokenizer, card, licences and the attribution of the training data. No file names a folder of
this machine.
"""

import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Literal, NamedTuple

from tuning.dataset.card.notice import NOTICE
from tuning.dataset.dataset import ATTRIBUTION, MANIFEST, Dataset, find_dataset, is_out_of_reach
from tuning.errors import TuningError
from tuning.paths import expanded
from tuning.records import numbered_lines
from tuning.registry import registry
from tuning.registry.records import Version
from tuning.resource_errors import in_one_line
from tuning.settings import Settings
from tuning.sharing.gguf import write_gguf
from tuning.sharing.model_card import DATA, Exported, card, notice
from tuning.storage import atomic_folder, sha256_of, write_bytes
from tuning.tuners.hf.device import EXACT
from tuning.tuners.hf.models.adapted import BASE, base_of
from tuning.tuners.hf.models.base_models import HubBase, hub_base, load_tokenizer
from tuning.tuners.hf.train.saved import ADAPTER, adapter_settings

Form = Literal["merged", "adapter", "gguf"]


class Folder(NamedTuple):
    """Describe an exported folder."""

    path: Path
    version: Version
    files: int
    bytes: int
    licence: str
    has_attribution: bool  # false if the dataset is not in this home


def export_model(settings: Settings, name: str, form: Form, output: str = "") -> Folder:
    """Write the version `name` to the folder `output` (empty: NAME-FORM in the current folder), whole or not at all.

    Raises TuningError if `output` exists, if there is no such version, if Google keeps its weights, or if it does not
    have this form.
    """
    version = registry.find_version(settings, name)
    target = expanded(output or f"{version.name}-{form}").absolute()
    if target.exists():
        raise TuningError(f"{target} exists", "Name another folder with --output, or delete this one")
    if version.tuner == "gemini":
        raise TuningError(
            f"{version.name} is a Gemini model, whose weights Google keeps", "Export a local version (`invoke models`)"
        )
    model = registry.open_version(settings, version)
    weights = Path(model.uri)
    dataset = _dataset(settings, version)
    licence = str(model.facts.get("license") or "unknown")
    is_small = float(str(model.facts.get("parameters") or "inf")) <= EXACT
    exported = Exported(version, form, _base(version, weights), licence, dataset, is_small)
    with in_one_line(), atomic_folder(target) as folder:
        base = None if form == "adapter" else base_of(settings, weights)  # None: the whole model was kept
        match form:
            case "adapter":
                _write_adapter(exported, weights.with_name(ADAPTER), folder)
            case "merged":
                _write_whole(base, weights, folder)
            case "gguf" if base is None:
                write_gguf(settings, version, weights, folder)
            case "gguf":
                with tempfile.TemporaryDirectory(dir=folder, prefix=".merge-") as whole:
                    _write_whole(base, weights, Path(whole))
                    write_gguf(settings, version, Path(whole), folder)
        _write_texts(exported, weights.with_name("README.md"), folder)
        files = [path for path in folder.rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
    return Folder(target, version, len(files), size, licence, dataset is not None)


def in_lines(folder: Folder, form: Form) -> Iterator[str]:
    """Yield lines that say what was written, and how to load it."""
    yield f"{folder.version.name} as {form}: {folder.files} files, {folder.bytes / 1e6:,.1f} MB in {folder.path}"
    if not folder.has_attribution:
        yield (
            f"warning: the dataset {folder.version.dataset_id} is not in this home, so the folder does not name the "
            "authors of the training data. Add its attribution.jsonl and NOTICE.md before you share the model"
        )
    yield f"its README.md shows how to load it; the base model's licence is {folder.licence}"


def _dataset(settings: Settings, version: Version) -> Dataset | None:
    """Return the dataset of a version, or None if it is not in this home. Raises TuningError if it is damaged."""
    folder = settings.datasets_dir / version.dataset_id
    try:
        return find_dataset(settings, version.dataset_id)
    except TuningError:
        if (folder / MANIFEST).exists() and not is_out_of_reach(settings, folder):
            raise
        return None


def _base(version: Version, weights: Path) -> HubBase:
    """Return the base as the adapter names it. Those of earlier versions of the project name the folder of the base."""
    adapter = weights.with_name(ADAPTER)
    named = adapter_settings(adapter) if adapter.is_dir() else {}
    base = hub_base(version.base_model, Path(str(named.get("base_model_name_or_path") or "")))
    return base._replace(revision=str(named.get("revision") or base.revision))


def _write_whole(base: Path | None, weights: Path, folder: Path) -> None:
    """Write the whole model: a copy, or, if only the adapter was kept, its `base` with the adapter merged."""
    if base is None:
        shutil.copytree(weights, folder, dirs_exist_ok=True)
        return
    from tuning.tuners.hf.train.saving import write_merged  # it loads torch

    write_merged(base, weights, load_tokenizer(weights), folder)


def _write_adapter(exported: Exported, adapter: Path, folder: Path) -> None:
    version = exported.version
    if not adapter.is_dir():
        raise TuningError(f"{version.name} has no adapter, because all its weights were trained", "Use --form merged")
    if not exported.base.name:
        raise TuningError(
            f"the base model of {version.name} ({exported.base_in_words}) is not on the Hugging Face hub, so nobody "
            "else can load the adapter",
            "Use --form merged",
        )
    from tuning.tuners.hf.train.saving import name_base  # it loads torch

    shutil.copytree(adapter, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(BASE))
    name_base(folder, exported.base)


def _write_texts(exported: Exported, training_card: Path, folder: Path) -> None:
    """Write the card, the licences, and who wrote the training data."""
    write_bytes(folder / "README.md", card(exported, training_card).encode())
    write_bytes(folder / NOTICE, notice(exported).encode())
    if exported.licence.lower() == "apache-2.0":
        text = distribution("python-qa-tuning").read_text("licenses/LICENSE")
        if not text:
            raise TuningError("the installed package lacks its file LICENSE", "Run `pip install -e .` again")
        write_bytes(folder / "LICENSE", text.encode())
    if exported.dataset:
        (folder / DATA).mkdir()
        _copy_attribution(exported.dataset, folder / DATA)


def _copy_attribution(dataset: Dataset, folder: Path) -> None:
    """Copy the attribution and the notice of a dataset. Raises TuningError if one is missing, or not as it was made."""
    again = f"Delete {dataset.folder} and run `invoke dataset` to create the dataset again"
    for name in (ATTRIBUTION, NOTICE):
        source, facts = dataset.source(name), dataset.manifest.files.get(name)
        with (folder / name).open("wb") as copy:
            copy.writelines(line for _, line in numbered_lines(source, again))
        if facts and sha256_of(folder / name) != facts.sha256:
            raise TuningError(f"{source} is damaged (it is not the file that {MANIFEST} describes)", again)
