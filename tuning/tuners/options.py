"""Resolve the dataset and tuning options of the command line."""

import msgspec

from tuning.command_line.options import BuildOptions, OwnOptions, SplitOptions, TuningOptions
from tuning.dataset.formats.codec import CHAT_FORMATS
from tuning.dataset.formats.records import Format
from tuning.dataset.options import DatasetOptions, resolve_options
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.tuners.hf.models.base_models import find_tokenizer
from tuning.tuners.hf.models.quantized import check_installed
from tuning.tuners.hf.train.processes import check_nodes
from tuning.tuners.hf.train.recipe import make_recipe
from tuning.tuners.protocol import TuneOptions
from tuning.tuners.select import find_tuner
from tuning.tuners.where import trains_here, trains_on_vertex

_MACHINE = ("machine_cpus", "machine_memory", "accelerator", "accelerator_count", "spot", "disk_gb", "nodes")
_SETTINGS = ("tuner", "base_model", "budget", "run_answers", *_MACHINE)


def tuning_settings(
    settings: Settings, tuning: TuningOptions, seed: int | None = None, *, continues: bool = False
) -> tuple[Settings, TuneOptions]:
    """Return the settings and the tuning options that result from the given ones. `seed` is None if not given.

    The returned base model is the one that is tuned: the tuner gemini replaces the default of local tuning. With
    `continues`, that of a version follows, and `continue_version` checks the options that depend on it. Raises
    TuningError if options exclude each other or if the base model can no longer be tuned.
    """
    given = tuning.given() if seed is None else tuning.given() | {"seed": seed}
    machine = [f"--{name.replace('_', '-')}" for name in _MACHINE if name in given]
    if machine and trains_here(settings, "hf"):
        raise TuningError(f"{machine[0]} is about a machine on Vertex AI", "Leave it out, or add --target gcp")
    settings = msgspec.structs.replace(settings, **{name: given.pop(name) for name in _SETTINGS if name in given})
    options = TuneOptions(**{"base_model": settings.base_model} | given)
    if options.full and options.lora_rank:
        raise TuningError("--full trains all weights and --lora-rank trains an adapter", "Use only one of them")
    if options.steps and options.epochs:
        raise TuningError("--steps and --epochs both say how long to train", "Use only one of them")
    find_tuner(settings.tuner)
    for name in ("keep", "quantize", "shard"):
        if getattr(options, name) and settings.tuner != "hf":
            raise TuningError(f"--{name} is for the tuner hf only", "Leave it out")
    if options.quantize and trains_here(settings, settings.tuner):  # the image has what it needs
        check_installed(options.quantize)
    if settings.tuner == "hf" and not continues:
        recipe = make_recipe(options, preference=False)  # raises an error before anything is made
        if trains_on_vertex(settings, settings.tuner):
            check_nodes(settings.nodes, recipe.batch_size, preference=False)
            if options.keep == "adapter" and options.base_model == "tiny":
                raise TuningError(
                    "the base model tiny is made on one machine, so other steps cannot load its adapter",
                    "Leave out --keep",
                )
    if settings.tuner != "gemini":
        if machine and settings.tuner != "hf":
            raise TuningError(f"{machine[0]} is for the tuner hf only", "Leave it out")
        return settings, options
    if options.full:
        raise TuningError("the tuner gemini trains adapters only", "Leave out --full or use --tuner hf")
    if machine:
        raise TuningError(f"the tuner gemini trains on Google's own machines, without {machine[0]}", "Leave it out")
    from tuning.tuners.gemini.models import base_model

    return settings, msgspec.structs.replace(options, base_model=base_model(settings, options))


def dataset_options(
    settings: Settings, preset: str | None, made: SplitOptions, base_model: str = "", max_length: int | None = None
) -> DatasetOptions:
    """Return the dataset options that result from `made`, the given ones, and `max_length`, and find the tokenizer.

    The tokenizer is that of the model named by ``tokenizer``, else of `base_model` if it is trained on this machine.
    The seed preset uses none. The model is downloaded if it is missing, so that the same command always builds the same
    dataset. The maximum length of a tuning run is not a dataset option: runs with different lengths share a dataset and
    are compared on the same questions. Raises TuningError if an option is invalid or if the model or its tokenizer
    cannot be found.
    """
    options = resolve_options(preset, settings.tuner, **made.given(), max_length=max_length)
    named = str(options.tokenizer or "")
    wanted = named or (base_model if trains_here(settings, settings.tuner) and not options.is_seed else "")
    if not wanted:
        return options
    folder = find_tokenizer(settings, wanted)
    if named and folder is None:
        raise TuningError(f"the model {named} has no tokenizer.json to count tokens with", "Choose another --tokenizer")
    return msgspec.structs.replace(options, tokenizer=folder)


def check_own(own: OwnOptions, build: BuildOptions, made: SplitOptions, preset: str | None) -> None:
    """Raise TuningError if an option of a mart, or of a split by the mart, is given together with own data."""
    if not own.train:
        raise TuningError("--eval needs --train", "Name the training examples, or leave out --eval")
    if build.given() or preset:
        name = "preset" if preset else next(iter(build.given())).replace("_", "-")
        raise TuningError(f"--train uses own data, so --{name}, which concerns a mart, cannot be given", "Leave it out")
    if own.eval_ and (given := made.given().keys() & {"split", "eval_fraction"}):
        raise TuningError(f"--eval names the evaluation split, so --{min(given).replace('_', '-')} cannot be given too")
    refuse_mart_options(made)


def refuse_mart_options(made: SplitOptions) -> None:
    """Raise TuningError if an option of the dataset does not suit own data."""
    if made.body:
        raise TuningError("own data stays as it is, so --body cannot be given", "Leave it out")
    if made.split == "time" or made.split_date:
        raise TuningError("own data has no dates to split by", "Use --split hash or random, or name --eval")
    if made.format and made.format not in CHAT_FORMATS:
        raise TuningError(f"own data cannot be written as {made.format}", f"Use one of: {', '.join(CHAT_FORMATS)}")


def own_format(wanted: Format) -> Format:
    """Return the format in which own data is asked like a dataset of the format `wanted`: itself, or messages."""
    return wanted if wanted in CHAT_FORMATS else "messages"
