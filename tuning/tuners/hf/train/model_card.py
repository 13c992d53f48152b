"""Write the README of a tuned model: data, settings, measurements, licence and limits."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tuning.dataset.dataset import Dataset
from tuning.numbers import number_of
from tuning.tuners.hf.train.recipe import Recipe
from tuning.visible import visible

_CARD = """\
---
base_model: {base_model}
library_name: transformers
license: {license}
tags: [{tags}]
---
# {base_model}, tuned on dataset {dataset}

{what}

## Data
Dataset `{dataset}` ({format}), built from {source}: {total} training examples. Used for training: {used}. Held out to
choose the checkpoint: {development}. Left out because they have more than {max_length} tokens: {too_long}. {origin}

## Settings
| setting | value |
|---|---|
{settings}

## Measured while training
| figure | value |
|---|---|
{facts}

The development loss is the cross entropy per answer token in nats, averaged over each held-out training example and
then over the examples. {measured}The evaluation report, on other examples, shows whether the model is better than its
base.

## Licence and limits
The licence of the base model is {license}. The licence of the training text is {data_license}. It is not settled what
that licence requires of a model trained on the text, so name the dataset when you share this model. Answers can be
wrong, out of date or unsafe to run, and can repeat training text. {smoke}
"""

# The names of settings and measured facts in the report and on the card, where the words of the code do not tell.
NAMES = {
    "most_epochs": "passes over the examples, at most (0: no limit)",
    "epochs": "passes over the examples",
    "batch_size": "examples per step",
    "max_length": "tokens of an example, at most",
    "warmup": "share of the steps in which the learning rate rises",
    "lora_rank": "rank of the adapter (0: all weights are trained)",
    "lora_share": "share of the layers with an adapter",
    "step_size": "share of the trained change that is added to the base",
    "pull": "weight of the pull to the base (KL divergence)",
    "evaluations": "measurements of the development loss",
    "patience": "measurements without a better loss that end the training",
    "development_rows": "examples held out to watch the training",
    "continues": "continues the version",
    "quantize": "base quantized in training",
    "shard": "weights shared among the GPUs",
    "full": "all weights are trained",
    "trained": "what is trained",
    "rows_total": "training examples",
    "rows_left_out": "examples left out because they are too long",
    "rows_used": "examples trained on",
    "rows_cut": "examples cut at the limit of the service",
    "tokens": "tokens trained on (since the last start)",
    "training_seconds": "seconds of the steps",
    "seconds": "seconds with loading and saving",
    "parameters": "weights",
    "parameters_trained": "weights that are trained",
    "license": "licence of the base",
    "base": "the base",
    "steps_skipped": "steps skipped (overflow in fp16)",
    "development_loss_before": "development loss before the training",
    "development_margin": "development reward margin",
    "development_accuracy": "development pairs ranked correctly, share",
}
MEASURED = {"development_rows": "rows_development"}  # settings, and the names of what was measured of them
ROWS = ("rows_total", "rows_left_out", "rows_used")  # which a sentence tells
_LARGE = 1_000  # from here on, four digits are too few
_NOTHING = (("resumed_from_step", 0), ("tokens", 0), ("tokens_per_second", 0))


def model_card(
    base_model: str, license_: str, dataset: Dataset, recipe: Recipe, facts: Mapping[str, Any], preference: bool
) -> str:
    """Return the README as Markdown."""
    build, settings = dataset.manifest.build, msgspec.to_builtins(recipe)
    source = dataset.manifest.source_name
    is_own = build.get("kind") == "own"
    texts = source if is_own else f"questions of {source} and their accepted answers"
    origin = "The dataset's NOTICE.md names their files; their licence is not known here."
    if not is_own:
        origin = "The dataset's card and `attribution.jsonl` name the source, author and licence of every example."
    method = "Preference optimization (DPO)" if preference else "Supervised fine-tuning"
    card = _CARD.format(
        base_model=base_model,
        license=license_,
        tags="dpo" if preference else "sft" if recipe.full else "sft, lora",
        dataset=dataset.id,
        format=dataset.manifest.format,
        what=f"{method} with {recipe.trained}, on {texts}.",
        source=source,
        origin=origin,
        data_license=build.get("license") or ("not known here" if is_own else "named in the dataset's card"),
        total=facts["rows_total"],
        too_long=facts["rows_left_out"],
        development=facts["rows_development"],
        used=facts["rows_used"],
        max_length=recipe.max_length,
        settings=_table(settings_in_words(settings, facts)),
        facts=_table(facts_in_words(settings, {name: facts[name] for name in facts if name not in ROWS})),
        measured="It was measured on quantized weights, but the model that was saved and evaluated is not quantized. "
        if recipe.quantize
        else "",
        smoke="The base model has random weights and only tests the pipeline, so the answers are meaningless."
        if base_model == "tiny"
        else "",
    )
    return visible(card)


def _table(rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"| {name} | {text} |" for name, text in rows)


def settings_in_words(settings: Mapping[str, Any], facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the settings of a training with their names, as a person reads them, without those that say nothing.

    What the training did stands before a setting that differs.
    """
    found = []
    for name, setting in settings.items():
        done = facts.get(MEASURED.get(name, name), setting)
        # The passes are a setting only without steps.
        is_set = done != setting and setting and not (name == "epochs" and settings.get("steps"))
        if done != "":
            text = _in_words(name, done) + (f" (the setting was {_in_words(name, setting)})" if is_set else "")
            found.append((NAMES.get(name, name.replace("_", " ")), text))
    return found


def facts_in_words(settings: Mapping[str, Any], facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a training measured with its names, without what `settings_in_words` shows and what says nothing."""
    told = {"recipe", *settings, *(MEASURED[name] for name in settings if name in MEASURED)}
    return [
        (NAMES.get(name, name.replace("_", " ")), _in_words(name, value))
        for name, value in facts.items()
        if name not in told and value != "" and not isinstance(value, list | dict) and (name, value) not in _NOTHING
    ]


def _in_words(name: str, value: object) -> str:
    """Return a setting or a fact as text: a number with commas, or with the digits of its kind."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value_in_words(value)
    if isinstance(value, int):
        return str(value) if name == "seed" else f"{value:,}"
    return number_of(name, value) if name.startswith("development_") or value >= _LARGE else f"{value:.4g}"


def value_in_words(value: object) -> str:
    """Return a value as a person reads it: no braces, brackets, True or None."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {value_in_words(one)}" for name, one in value.items()) or "none"
    if isinstance(value, list | tuple):
        return "; ".join(map(value_in_words, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
