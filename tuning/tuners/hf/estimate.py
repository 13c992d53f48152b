"""Estimate the tokens and the time of a local tuning from measured speeds."""

from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.records import PREFERENCE_FORMATS
from tuning.dataset.tokens import BYTES_PER_TOKEN
from tuning.settings import Settings
from tuning.tuners.hf.device import find_processor
from tuning.tuners.hf.train.recipe import Recipe, steps_of
from tuning.tuners.hf.train.rows import read_examples
from tuning.tuners.protocol import Estimate

# Tokens per second, measured on two cores that support bfloat16. The keys are the base model and whether all weights
# are trained, which uses fp32.
_RATES = {("smollm2", False): 300.0, ("smollm2", True): 190.0, ("tiny", True): 6000.0}
_OF_PAIRS = 0.3  # factor for preference pairs: both answers go through the model and through the reference model
_SECONDS_AROUND = 25.0  # for loading, losses of held-out rows, and saving


def estimate(settings: Settings, dataset: Dataset, recipe: Recipe, base_model: str) -> Estimate:
    """Estimate tokens and seconds. Local work costs no money.

    Tokens are estimated from characters, so that no model must be downloaded first. `seconds` is NaN if no speed was
    measured for the base model on this processor. Raises TuningError if a line of the train split is invalid.
    """
    del settings
    lengths = [
        (
            sum(len(message.content) for message in example.prompt)
            + max(len(example.answer), len(example.rejected or ""))
        )
        / BYTES_PER_TOKEN
        for _, example in read_examples(dataset)
    ]
    fitting = [length for length in lengths if length <= recipe.max_length]
    examples = steps_of(recipe, max(1, len(fitting))) * recipe.batch_size if fitting else 0
    tokens = round(examples * sum(fitting) / len(fitting)) if fitting else 0
    processor = find_processor()
    notes = [
        f"about {len(lengths) - len(fitting)} of {len(lengths)} examples have more than {recipe.max_length} tokens"
    ]
    rate = _RATES.get((base_model, recipe.full))
    if rate and dataset.manifest.format in PREFERENCE_FORMATS:
        rate *= _OF_PAIRS
    if rate is None or processor.device == "cuda":
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
