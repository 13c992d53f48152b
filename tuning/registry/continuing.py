"""Continue the tuning of a registered version: train its adapter further."""

from pathlib import Path

import msgspec

from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.records import PREFERENCE_FORMATS
from tuning.errors import TuningError
from tuning.evaluation.options import SMOKE_TEST_BASE
from tuning.registry import registry
from tuning.registry.records import Version
from tuning.settings import Settings
from tuning.tuners.hf.train.recipe import make_recipe
from tuning.tuners.hf.train.saved import ADAPTER
from tuning.tuners.protocol import TuneOptions
from tuning.tuners.where import trains_here


def continue_version(settings: Settings, name: str, options: TuneOptions, base_model: str | None) -> TuneOptions:
    """Return the options that train the adapter of the version `name` further.

    They name the version and the hash of its files, so the training key does too. `base_model` is the one that the user
    gave, or None: then it is that of the version. Raises TuningError if there is no such version, if it has no adapter,
    or if an option does not fit the adapter or its base.
    """
    version = registry.find_version(settings, name)
    if not trains_here(settings, settings.tuner):
        raise TuningError("--from continues the tuner hf on this machine only", "Leave out --from")
    if version.tuner != "hf" or not adapter_of(settings, version).is_dir():
        raise TuningError(
            f"{version.name} has no adapter to continue", "Choose a version that was tuned without --full"
        )
    if base_model not in (None, version.base_model):
        raise TuningError(
            f"{version.name} was tuned from {version.base_model}, not {base_model}", "Leave out --base-model"
        )
    if options.full or options.lora_rank:
        raise TuningError(
            f"--from trains the adapter of {version.name} with its own rank", "Leave out --full and --lora-rank"
        )
    options = msgspec.structs.replace(
        options, base_model=version.base_model, continues=version.name, continues_sha256=version.contents_sha256
    )
    make_recipe(options, preference=False)  # raises an error before anything is made
    return options


def check_dataset(settings: Settings, options: TuneOptions, dataset: Dataset) -> None:
    """Raise TuningError if the version that `options` continue cannot be trained on this dataset."""
    version = registry.find_version(settings, options.continues)
    if dataset.manifest.format in PREFERENCE_FORMATS:
        raise TuningError(f"--from does not continue on pairs ({dataset.manifest.format})", "Leave out --from")
    if version.base_model == SMOKE_TEST_BASE and version.dataset_id != dataset.id:
        raise TuningError(
            f"the base model {SMOKE_TEST_BASE} is made from its dataset, so {version.name} continues on "
            f"{version.dataset_id} only",
            f"Add --dataset {version.dataset_id}",
        )


def with_adapter(settings: Settings, options: TuneOptions) -> TuneOptions:
    """Return the options with the folder of the adapter, for the tuner. Raises TuningError if it has changed."""
    if not options.continues:
        return options
    version = registry.find_version(settings, options.continues)
    if version.contents_sha256 != options.continues_sha256:
        raise TuningError(f"{version.name} is no longer the version that this run continues", "Run the command again")
    return msgspec.structs.replace(options, adapter=str(adapter_of(settings, version)))


def adapter_of(settings: Settings, version: Version) -> Path:
    """Return the folder of the version's adapter, which exists unless all weights were trained."""
    return Path(registry.open_version(settings, version).uri).with_name(ADAPTER)
