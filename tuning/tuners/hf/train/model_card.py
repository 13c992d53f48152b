"""Write the README of a tuned model: data, settings, measurements, licence and limits."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tuning.dataset.dataset import Dataset
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


def model_card(
    base_model: str, license_: str, dataset: Dataset, recipe: Recipe, facts: Mapping[str, Any], preference: bool
) -> str:
    """Return the README as Markdown."""
    build, settings = dataset.manifest.build, recipe.__struct_fields__
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
        settings=_table(as_it_was(msgspec.to_builtins(recipe), facts)),
        facts=_table({name: value for name, value in facts.items() if name not in {"recipe", *settings}}),
        measured="It was measured on quantized weights, but the model that was saved and evaluated is not quantized. "
        if recipe.quantize
        else "",
        smoke="The base model has random weights and only tests the pipeline, so the answers are meaningless."
        if base_model == "tiny"
        else "",
    )
    return visible(card)


def _table(values: Mapping[str, Any]) -> str:
    rows = ((name.replace("_", " "), value_in_words(value)) for name, value in values.items() if value != "")
    return "\n".join(f"| {name} | {value} |" for name, value in rows)


def as_it_was(settings: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings of a training in words. What the training measured stands before a setting that differs."""
    found = {}
    for name, setting in settings.items():
        measured = facts.get(name, setting)
        # The epochs are a setting only without steps.
        is_set = measured != setting and setting and not (name == "epochs" and settings.get("steps"))
        found[name] = value_in_words(measured) + (f" (the setting was {value_in_words(setting)})" if is_set else "")
    return found


def value_in_words(value: object) -> str:
    """Return a value as a person reads it: no braces, brackets, True or None."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {value_in_words(one)}" for name, one in value.items()) or "none"
    if isinstance(value, list | tuple):
        return "; ".join(map(value_in_words, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
