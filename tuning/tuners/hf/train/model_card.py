"""The tuned model's README: what it is, what it was made from and how, what may be done with it."""

from collections.abc import Mapping
from typing import Any

from tuning.dataset.dataset import Dataset
from tuning.tuners.hf.train.recipe import Recipe

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
Dataset `{dataset}` ({format}), made from {source}: {total} training examples, of which {too_long} have more than
{max_length} tokens and were left out, {development} were held out to choose the checkpoint, and {used} were used.
The dataset's card and `attribution.jsonl` name the source, author and licence of every example.

## Settings
| setting | value |
|---|---|
{settings}

## Measured while training
| figure | value |
|---|---|
{facts}

The development loss is the mean over held-out training examples of the mean cross entropy of the answer's tokens, in
nats. Whether the model is better than its base says the evaluation report, on other examples.

## Licence and limits
The base model's licence is {license}. The training text is {data_license}; what that asks of a model trained on it is
not settled, so name the dataset where you share this model. Answers can be wrong, out of date or unsafe to run, and can
repeat training text. {smoke}
"""


def model_card(
    base_model: str, license_: str, dataset: Dataset, recipe: Recipe, facts: Mapping[str, Any], preference: bool
) -> str:
    """The card as Markdown."""
    build = dataset.manifest.build
    method = "Preference optimization (DPO)" if preference else "Supervised fine-tuning"
    return _CARD.format(
        base_model=base_model,
        license=license_,
        tags="dpo" if preference else "sft" if recipe.full else "sft, lora",
        dataset=dataset.id,
        format=dataset.manifest.format,
        what=f"{method} with {recipe.trained}, on questions about Python and their accepted answers.",
        source=build.get("name") or build.get("source") or "an unnamed source",
        data_license=build.get("license") or "under the licence that the dataset's card names",
        total=facts["rows_total"],
        too_long=facts["rows_left_out"],
        development=facts["rows_development"],
        used=facts["rows_used"],
        max_length=recipe.max_length,
        settings=_table({name: getattr(recipe, name) for name in recipe.__struct_fields__}),
        facts=_table(facts),
        smoke="Made from random weights to test the machinery: it answers nothing." if base_model == "tiny" else "",
    )


def _table(values: Mapping[str, Any]) -> str:
    return "\n".join(f"| {name.replace('_', ' ')} | {value} |" for name, value in values.items())
