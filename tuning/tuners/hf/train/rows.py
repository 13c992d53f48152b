"""Encode the train split as token IDs on disk, and hold out a few groups for early stopping."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.records import Example
from tuning.errors import TuningError
from tuning.sampling import salted
from tuning.tuners.hf.chat import Tokens, encode, template_note
from tuning.tuners.hf.train.processes import ALONE, Group
from tuning.tuners.hf.train.recipe import Recipe, steps_of

ROWS = "rows"  # the folder of the encoded rows, which exists only until the training ends


class Row(TypedDict):
    """Hold one encoded example. If it is too long, it has no token IDs.

    In a preference format, `length` is that with the longer answer.
    """

    ids: list[int]
    answer_start: int
    length: int  # tokens
    rejected_ids: NotRequired[list[int]]  # only in a preference format
    group: NotRequired[int]


@dataclass(frozen=True)
class Rows:
    """Hold the encoded rows. `train` and `development` are `datasets.Dataset` objects, memory-mapped from disk.

    Their columns are the fields of `Row`.
    """

    train: Any
    development: Any
    total: int  # lines of train.jsonl
    too_long: int  # lines left out because they have more than `max_length` tokens

    def announcement(self, recipe: Recipe) -> str:
        """Return the line that says on how many of the training examples the model is tuned, why, and how often."""
        kept, steps = len(self.train), steps_of(recipe, len(self.train))
        used = min(kept, steps * recipe.batch_size)
        passes = steps * recipe.batch_size / kept
        often = f", {round(passes, 1):,g} times each" if passes > 1 else ""
        held_out = f"{len(self.development)} {'is' if len(self.development) == 1 else 'are'}"
        capped = " (--steps or --epochs sets another length)" if steps < recipe.steps else ""
        taken = "step of {} uses" if steps == 1 else "steps of {} use"
        return (
            f"training on {used} of {self.total} examples: {self.too_long} have more than {recipe.max_length} tokens,"
            f" {held_out} held out to watch the training, and {steps} {taken.format(recipe.batch_size)}"
            f" {'all' if used == kept else used} of the other {kept}{often}{capped}"
        )


def read_rows(tokenizer: Any, dataset: Dataset, recipe: Recipe, work: Path, group: Group = ALONE) -> Rows:
    """Encode train.jsonl into the folder `work`. Raises TuningError if a line is invalid or no example is short enough.

    The development rows are whole groups of the train split. They do not come from the evaluation split: it decides on
    the release, so it must not also choose the checkpoint. The first process of each machine encodes, and the others of
    the machine read its files.
    """
    import datasets

    datasets.disable_progress_bars()
    if group.is_first_here:
        note = template_note(tokenizer, dataset.manifest.format)
        if note and group.is_main:
            print(f"note: {note}", flush=True)
        encoded = _encode(tokenizer, dataset, recipe.max_length, work)
        group.tell_here([file["filename"] for file in encoded.cache_files])
    else:
        files: list[str] = group.tell_here(None)
        encoded = datasets.concatenate_datasets([datasets.Dataset.from_file(file) for file in files])
    fits = [index for index, length in enumerate(encoded["length"]) if length <= recipe.max_length]
    if not fits:
        raise none_fits(len(encoded), recipe.max_length, min(encoded["length"], default=0))
    groups = list(encoded["group"])
    held_out = _held_out([groups[index] for index in fits], recipe.development_rows, recipe.seed)
    return Rows(
        train=encoded.select([index for index in fits if groups[index] not in held_out]),
        development=encoded.select([index for index in fits if groups[index] in held_out]),
        total=len(encoded),
        too_long=len(encoded) - len(fits),
    )


def none_fits(examples: int, longest: int, shortest: int) -> TuningError:
    """Return the error of a training whose examples all have more than `longest` tokens, and the shortest this many."""
    return TuningError(
        f"none of the {examples} training examples has at most {longest} tokens",
        f"Raise --max-length: the shortest has {shortest} tokens",
    )


def _encode(tokenizer: Any, dataset: Dataset, max_length: int, work: Path) -> Any:
    import datasets

    arguments = {"tokenizer": tokenizer, "dataset": dataset, "max_length": max_length}
    try:
        return datasets.Dataset.from_generator(_encoded, gen_kwargs=arguments, cache_dir=str(work))
    except datasets.exceptions.DatasetGenerationError as error:
        raise error.__cause__ or error from None  # the original error, such as an invalid line or a full disk


def _encoded(tokenizer: Any, dataset: Dataset, max_length: int) -> Iterator[Row]:
    """Yield one row per line of train.jsonl. If the line is too long, the row has no token IDs."""
    for group, example in read_examples(dataset):
        row = encode_row(tokenizer, example)
        if row["length"] > max_length:
            row["ids"] = []
            if "rejected_ids" in row:
                row["rejected_ids"] = []
        row["group"] = group
        yield row


def read_examples(dataset: Dataset) -> Iterator[tuple[int, Example]]:
    """Yield the group and the example of each line of train.jsonl, in order. Raises TuningError for an invalid line."""
    for attribution, example in dataset.pairs("train"):
        yield attribution.group, example


def encode_row(tokenizer: Any, example: Example) -> Row:
    """Return an example as a row without its group."""
    chosen = encode(tokenizer, example.prompt, example.answer)
    row: Row = {"ids": chosen.ids, "answer_start": chosen.answer_start, "length": len(chosen.ids)}
    if example.rejected is not None:
        rejected: Tokens = encode(tokenizer, example.prompt, example.rejected)
        row["rejected_ids"] = rejected.ids
        row["length"] = max(len(chosen.ids), len(rejected.ids))
        row["answer_start"] = min(chosen.answer_start, rejected.answer_start)
    return row


def _held_out(groups: list[int], wanted: int, seed: int) -> set[int]:
    """Return groups with at most `wanted` rows in total, and at most 5% of all rows. A salted hash chooses them."""
    wanted = min(wanted, len(groups) // 20)
    sizes: dict[int, int] = {}
    for group in groups:
        sizes[group] = sizes.get(group, 0) + 1
    chosen: set[int] = set()
    rows = 0
    for group in sorted(sizes, key=lambda group: salted("development", seed, group)):
        if rows + sizes[group] <= wanted:
            chosen.add(group)
            rows += sizes[group]
    return chosen
