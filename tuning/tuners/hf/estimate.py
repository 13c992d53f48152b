"""Estimate the tokens and the time of a local tuning from measured speeds."""

from collections.abc import Iterator

from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.records import PREFERENCE_FORMATS, Example
from tuning.dataset.tokens import BYTES_PER_TOKEN
from tuning.errors import TuningError
from tuning.resource_errors import in_one_line
from tuning.sampling import draw
from tuning.settings import Settings
from tuning.tuners.hf.device import Processor, find_processor
from tuning.tuners.hf.models.base_models import find_outline, is_here, is_on_hub, load_outline, load_tokenizer
from tuning.tuners.hf.train.batches import TOKENS, micro_batch
from tuning.tuners.hf.train.memory import (
    Shape,
    check_device_memory,
    check_memory,
    measure,
    model_bytes,
    training_bytes,
    weights_bytes,
)
from tuning.tuners.hf.train.processes import count_processes, fitting_gpus
from tuning.tuners.hf.train.recipe import Recipe, keeps_adapter, make_recipe, steps_of
from tuning.tuners.hf.train.rows import encode_row, read_examples
from tuning.tuners.protocol import Estimate, TuneOptions
from tuning.tuners.where import trains_here

# Tokens per second, measured on two cores that support bfloat16. The keys are the base model and whether all weights
# are trained, which uses fp32.
_RATES = {("smollm2", False): 300.0, ("smollm2", True): 190.0, ("tiny", True): 6000.0}
SAMPLE = 2_000  # examples whose tokens are counted; more would take longer than an estimate may
_OF_PAIRS = 0.3  # factor for preference pairs: both answers go through the model and through the reference model
_SECONDS_AROUND = 25.0  # for loading, losses of held-out rows, and saving


def estimate(settings: Settings, dataset: Dataset, recipe: Recipe, base_model: str) -> Estimate:
    """Estimate tokens and seconds. Local work costs no money.

    Tokens are counted, as the training counts them, if the base model is on this machine. If it is not, they are
    estimated from characters, so that no model must be downloaded first. `seconds` is NaN if no speed was measured for
    the base model on this processor. Raises TuningError if a line of the train split is invalid.
    """
    lengths, total, how = _lengths(settings, dataset, base_model)
    fitting = [length for length in lengths if length <= recipe.max_length]
    rows = round(total * len(fitting) / len(lengths)) if fitting else 0
    examples = steps_of(recipe, rows) * recipe.batch_size if rows else 0
    tokens = round(examples * sum(fitting) / len(fitting)) if fitting else 0
    too_long = len(lengths) - len(fitting)
    processor = find_processor()
    notes = [
        f"{too_long:,} of {len(lengths):,} examples have more than {recipe.max_length} tokens ({how})",
        *_memory(settings, dataset, recipe, base_model, processor),
    ]
    rate = _RATES.get((base_model, recipe.full))
    if rate and dataset.manifest.format in PREFERENCE_FORMATS:
        rate *= _OF_PAIRS
    if rate is None or processor.device != "cpu":
        notes.append(
            f"no speed was measured for {base_model} with {recipe.trained} on {processor.name}: the time is unknown"
        )
    return Estimate(
        examples=examples,
        tokens=tokens,
        seconds=round(tokens / rate + _SECONDS_AROUND, 1) if rate and processor.device == "cpu" else float("nan"),
        dollars=0.0,
        notes=notes,
    )


def _memory(settings: Settings, dataset: Dataset, recipe: Recipe, base_model: str, processor: Processor) -> list[str]:
    """Return a note about the memory of the training on this machine, if the shape of the base model is known.

    Raises TuningError if the training cannot fit.
    """
    if not trains_here(settings, "hf"):
        return []
    shape = _shape(settings, dataset, base_model)
    if not isinstance(shape, Shape):
        return shape
    preference = dataset.manifest.format in PREFERENCE_FORMATS
    gpus = count_processes(recipe.batch_size, preference)
    shared = check_memory(shape, recipe, processor, 1, gpus)
    kept = _kept(recipe, shape, base_model, processor.half)
    least = _least(shape, recipe, processor.half, gpus if shared else 1)
    if processor.device != "cpu" or recipe.quantize or recipe.max_length > TOKENS["cpu"] or preference:
        where = " on each GPU" * (processor.device == "cuda")
        return [f"memory{where}: more than {least}; the rest was not measured here", *kept]
    tokens = micro_batch(recipe.batch_size, recipe.max_length, TOKENS["cpu"]) * recipe.max_length
    most = training_bytes(shape, recipe, processor.half, tokens, tokens)
    return [f"memory: at most about {most / 1e9:,.1f} GB, of which {least}", *kept]


def check_device(
    settings: Settings,
    dataset: Dataset,
    options: TuneOptions,
    there: float,
    device: str,
    gpus: tuple[int, int] = (1, 1),
) -> list[str]:
    """Return a note about the memory of the training on a device with `there` bytes, if the model's shape is known.

    The device computes in 16 bits, and `device` is its name. `gpus`: how many of it each machine has, or
    0 if it is a CPU, and how many machines there are. Raises TuningError if the training cannot fit.
    """
    preference = dataset.manifest.format in PREFERENCE_FORMATS
    recipe = make_recipe(options, preference)
    shape = _shape(settings, dataset, options.base_model)
    if not isinstance(shape, Shape):
        return shape
    together = 1 if preference or not gpus[0] else fitting_gpus(recipe.batch_size, *gpus) * gpus[1]
    shared = check_device_memory(shape, recipe, True, there, f"the {device} has", together)
    least = _least(shape, recipe, True, together if shared else 1)
    memory = f"memory: more than {least} on each {device}, which has {there / 1e9:,.1f} GB; the rest was not measured"
    return [memory, *_kept(recipe, shape, options.base_model, True)]


def _least(shape: Shape, recipe: Recipe, half: bool, parts: int) -> str:
    """Return the least memory of a training whose weights are in this number of parts."""
    least = weights_bytes(shape, recipe, half) / parts / 1e9
    return f"{least:,.1f} GB for weights, gradients and optimizer" + f", shared among {parts} GPUs" * (parts > 1)


def _kept(recipe: Recipe, shape: Shape, base_model: str, half: bool) -> list[str]:
    """Return notes if only the adapter will be kept, and if the model that answers needs more than the training."""
    notes = []
    if recipe.quantize:
        whole = f"{model_bytes(shape.parameters, half) / 1e9:,.1f} GB"
        notes.append(f"only the training uses {recipe.quantize[0]}-bit weights: the weights that answer need {whole}")
    if keeps_adapter(recipe, shape.parameters, base_model):
        notes.append(
            "only the adapter is kept, and loaded on the base model; with --keep merged, the whole model is kept too"
        )
    return notes


def _shape(settings: Settings, dataset: Dataset, base_model: str) -> Shape | list[str]:
    """Return the shape of a base model that is here or on the hub, or a note that says why it is unknown, if any."""
    if not is_here(settings, base_model) and not is_on_hub(base_model):
        return []
    with in_one_line():
        try:
            return measure(load_outline(find_outline(settings, base_model, dataset)))
        except TuningError as error:
            if is_here(settings, base_model):
                raise
            return [f"memory: unknown, because {error}"]


def _lengths(settings: Settings, dataset: Dataset, base_model: str) -> tuple[list[float], int, str]:
    """Return the lengths of the training examples in tokens, or of a sample; the number of all; and how they are known.

    Raises TuningError if a line of the train split is invalid, or if the base model's tokenizer cannot be loaded.
    """
    total = 0

    def numbered() -> Iterator[tuple[int, Example]]:
        nonlocal total
        for _, example in read_examples(dataset):
            total += 1
            yield total, example

    if not is_here(settings, base_model):
        lengths = [
            (sum(len(one.content) for one in example.prompt) + max(len(example.answer), len(example.rejected or "")))
            / BYTES_PER_TOKEN
            for _, example in numbered()
        ]
        return (
            lengths,
            total,
            f"estimated from characters, as {base_model} is not on this machine; the tuning counts them",
        )
    with in_one_line():
        tokenizer = load_tokenizer(find_outline(settings, base_model, dataset))
    sample = draw("tokens", numbered(), SAMPLE, lambda one: one[0])
    counted = [float(encode_row(tokenizer, example)["length"]) for _, example in sample]
    return counted, total, "counted" if total <= SAMPLE else f"counted on a sample of {total:,} examples"
