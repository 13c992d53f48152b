"""Tokens per second of the hf tuner beside `transformers.Trainer` with its own defaults, and of batched generation.

`bench(settings)` is what `invoke bench --train` calls. By hand: python -m tests.bench.train_bench [DATASET ID]
"""

import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tests.bench.measure import Measured, Row, Subject, failures, measure
from tuning.dataset.dataset import Dataset, find_dataset, open_dataset
from tuning.dataset.formats.codec import parse_line
from tuning.settings import Settings, load_settings
from tuning.tuners.hf.device import find_processor
from tuning.tuners.hf.environment import set_up_libraries
from tuning.tuners.hf.models.base_models import find_base_model, load_model, load_tokenizer
from tuning.tuners.hf.train.batches import plan_batches
from tuning.tuners.hf.train.recipe import RECIPES, Recipe
from tuning.tuners.hf.train.rows import Rows, read_rows
from tuning.tuners.hf.tuner import HfTuner
from tuning.tuners.protocol import Model

OURS, UNPULLED = "hf tuner", "hf tuner, no pull toward the base"
PLAIN, PLAIN_ADAPTER = "Trainer, its defaults", "Trainer, an adapter on every layer"
TOGETHER, ALONE = "answers in batches", "one prompt at a time"
_EVALUATED = 32  # examples of the evaluation split


def bench(settings: Settings, dataset_id: str | None = None, steps: int = RECIPES["smollm2"].steps) -> list[Row]:
    """Rates of the same training rows each way (tokens, padding not counted), and of the same answers.

    Plain training is compared twice: with all weights, which is what the Trainer does when it is told nothing, and with
    an adapter of our rank on every layer at our learning rate. Ours runs twice, because the pull toward the base, which
    neither of them has, costs another forward pass.
    """
    dataset = find_dataset(settings, dataset_id)
    base = find_base_model(settings, "smollm2", dataset)
    shared = (str(dataset.folder), str(base))
    training = measure(
        [
            Subject(OURS, "tests.bench.train_bench:ours", (*shared, steps, True)),
            Subject(UNPULLED, "tests.bench.train_bench:ours", (*shared, steps, False)),
            Subject(PLAIN, "tests.bench.train_bench:plain", (*shared, steps, False)),
            Subject(PLAIN_ADAPTER, "tests.bench.train_bench:plain", (*shared, steps, True)),
        ],
        repeat=1,
    )
    (generation,) = measure([Subject(TOGETHER, "tests.bench.train_bench:answers", shared)], repeat=1)
    together, alone = generation.counts["together"], generation.counts["alone"]
    tokens = generation.counts["tokens"]
    tuner, unpulled, defaults, adapter = training
    return [
        *(
            _row(one, defaults, {"loss is no worse": one.counts["loss"] <= defaults.counts["loss"] + 1e-3})
            for one in (tuner, unpulled)
        ),
        *(
            _row(one, tuner, {"loss": round(one.counts["loss"], 3), "tuner's": round(tuner.counts["loss"], 3)})
            for one in (defaults, adapter)
        ),
        Row(TOGETHER, ALONE, "tokens", round(tokens / together, 1), round(alone / together, 2), generation.peak, {}),
    ]


def _row(subject: Measured, baseline: Measured, counts: dict[str, Any]) -> Row:
    one, other = subject.counts, baseline.counts
    rate = one["tokens"] / one["seconds"]
    return Row(
        subject.name,
        baseline.name,
        "tokens",
        round(rate, 1),
        round(other["seconds"] / one["seconds"], 2),
        subject.peak,
        counts,
    )


def ours(dataset_folder: str, base: str, steps: int, pull: bool) -> dict[str, Any]:
    """The tuner's own training. `seconds` is of the training alone, `loss` per example of the evaluation split."""
    dataset, recipe = open_dataset(Path(dataset_folder)), _recipe(steps)
    if not pull:
        recipe = msgspec.structs.replace(recipe, pull=0.0)
    with tempfile.TemporaryDirectory() as name:
        tokenizer, rows, tokens = _rows(dataset, Path(base), recipe, Path(name))
        from tuning.tuners.hf.train.training import Log, train, training_model

        processor = find_processor()
        trained = train(
            training_model(Path(base), recipe, processor), tokenizer, rows, recipe, processor, Log(Path(name))
        )
        loss = _loss(trained.model.merge_and_unload(), tokenizer, dataset)
        return {"tokens": tokens, "seconds": trained.tokens / trained.tokens_per_second, "loss": loss}


def plain(dataset_folder: str, base: str, steps: int, adapter: bool) -> dict[str, Any]:
    """transformers.Trainer as its documentation starts with it: fp32, rows in random order, padded to the longest."""
    dataset, recipe = open_dataset(Path(dataset_folder)), _recipe(steps)
    with tempfile.TemporaryDirectory() as name:
        tokenizer, rows, tokens = _rows(dataset, Path(base), recipe, Path(name))
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

        model, rank = load_model(Path(base), torch.float32), recipe.lora_rank
        if adapter:
            lora = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
            model = get_peft_model(model, lora)
        arguments = TrainingArguments(
            str(Path(name) / "plain"),
            num_train_epochs=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=find_processor().device == "cpu",
            **({"learning_rate": recipe.learning_rate} if adapter else {}),
        )
        planned = rows.train.select(_plan(rows, recipe)).map(_as_plain, remove_columns=rows.train.column_names)
        trainer = Trainer(
            model=model, args=arguments, train_dataset=planned, data_collator=DataCollatorForSeq2Seq(tokenizer)
        )
        seconds, _ = _timed(trainer.train)
        loss = _loss(model.merge_and_unload() if adapter else model, tokenizer, dataset)
        return {"tokens": tokens, "seconds": seconds, "loss": loss}


def answers(dataset_folder: str, base: str, prompts: int = 16, tokens: int = 48) -> dict[str, Any]:
    """Seconds for the same answers, together and one after the other."""
    predictor = HfTuner().predictor(load_settings(), Model(tuner="hf", base_model="smollm2", uri=base))
    asked = [example.prompt for example in _evaluation_examples(open_dataset(Path(dataset_folder)), prompts)]
    predictor.generate(asked[:1], 4)  # the first call is slower
    together, _ = _timed(lambda: predictor.generate(asked, tokens))
    alone, _ = _timed(lambda: [predictor.generate([prompt], tokens) for prompt in asked])
    return {"together": together, "alone": alone, "tokens": len(asked) * tokens}


def _recipe(steps: int) -> Recipe:
    set_up_libraries()
    return msgspec.structs.replace(RECIPES["smollm2"], steps=steps, development_rows=0)


def _rows(dataset: Dataset, base: Path, recipe: Recipe, work: Path) -> tuple[Any, Rows, int]:
    tokenizer = load_tokenizer(base)
    rows = read_rows(tokenizer, dataset, recipe, work / "rows")
    return tokenizer, rows, sum(rows.train[row]["length"] for row in _plan(rows, recipe))


def _plan(rows: Rows, recipe: Recipe) -> Sequence[int]:
    return plan_batches(rows.train["length"], recipe.batch_size, recipe.steps, recipe.seed)


def _as_plain(row: dict[str, Any]) -> dict[str, Any]:
    start = row["answer_start"]
    return {
        "input_ids": row["ids"],
        "attention_mask": [1] * len(row["ids"]),
        "labels": [-100] * start + row["ids"][start:],
    }


def _loss(model: Any, tokenizer: Any, dataset: Dataset) -> float:
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        predictor = HfTuner().predictor(load_settings(), Model(tuner="hf", base_model="smollm2", uri=folder))
    found = predictor.losses(_evaluation_examples(dataset, _EVALUATED), 384) or []
    losses = [loss for loss, _ in found if not math.isnan(loss)]
    return sum(losses) / len(losses)


def _evaluation_examples(dataset: Dataset, count: int) -> list[Any]:
    """The shortest of the first lines: time is better spent on many examples than on long ones."""
    with dataset.file("eval").open("rb") as file:
        lines = [line for line, _ in zip(file, range(10 * count), strict=False)]
    return [parse_line(dataset.manifest.format, line) for line in sorted(lines, key=len)[:count]]


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.monotonic()
    made = work()
    return time.monotonic() - started, made


if __name__ == "__main__":
    measured = bench(load_settings(), sys.argv[1] if len(sys.argv) > 1 else None)
    print("\n".join(json.dumps(one.as_json()) for one in measured))
    sys.exit("\n".join(failures(measured)) or 0)
