"""Show training examples as the model sees them, and mark what is learned."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.records import PREFERENCE_FORMATS, Example
from tuning.settings import Settings
from tuning.tuners.hf.chat import template_note
from tuning.tuners.hf.control_words import control_words
from tuning.tuners.hf.models.base_models import find_outline, load_tokenizer
from tuning.tuners.hf.train.recipe import make_recipe
from tuning.tuners.hf.train.rows import Row, encode_row, none_fits, read_examples
from tuning.tuners.protocol import TuneOptions

_PROMPT, _LEARNED, _REJECTED = "  ", "+ ", "- "
_KEY = "Lines with + are learned. {}All other lines are only read."
_KEY_OF_REJECTED = "Lines with - are the rejected answer, which becomes less likely. "


def preview(settings: Settings, dataset: Dataset, options: TuneOptions, count: int) -> Iterator[str]:
    """Yield lines that show the first `count` training examples: for the tuner hf as tokens, else as turns.

    For the tuner hf, examples that are too long are only counted, because the training leaves them out. Raises
    TuningError if the base model cannot be found, if a line is invalid, or if no example is short enough.
    """
    total = dataset.manifest.files["train.jsonl"].rows
    count = min(count, total)
    if settings.tuner == "hf":
        yield from _in_tokens(settings, dataset, options, count)
        return
    yield f"the first {count} of {total} training examples in {dataset.address}. {_key(dataset)}"
    for number, (_, example) in enumerate(islice(read_examples(dataset), count), 1):
        yield f"\nexample {number} of {total}"
        for message in example.prompt:
            yield from _lines(_PROMPT, f"[{message.role}]\n{message.content}")
        yield from _lines(_PROMPT, "[model]")
        yield from _lines(_LEARNED, example.answer)
        if example.rejected is not None:
            yield from _lines(_REJECTED, example.rejected)


def _key(dataset: Dataset) -> str:
    return _KEY.format(_KEY_OF_REJECTED if dataset.manifest.format in PREFERENCE_FORMATS else "")


def _in_tokens(settings: Settings, dataset: Dataset, options: TuneOptions, count: int) -> Iterator[str]:
    total = dataset.manifest.files["train.jsonl"].rows
    longest = make_recipe(options, dataset.manifest.format in PREFERENCE_FORMATS).max_length
    yield (
        f"the first of {total} training examples in {dataset.address} that are short enough to train on (at most "
        f"{longest} tokens). {_key(dataset)}"
    )
    tokenizer = load_tokenizer(find_outline(settings, options.base_model, dataset))
    if note := template_note(tokenizer, dataset.manifest.format):
        yield f"note: {note}"
    shown = 0
    left_out: list[int] = []  # lengths in tokens
    for number, (_, example) in enumerate(read_examples(dataset), 1):
        row = encode_row(tokenizer, example)
        if row["length"] > longest:
            left_out.append(row["length"])
            continue
        yield ""
        yield from _example_in_tokens(tokenizer, example, row, f"example {number} of {total}")
        shown += 1
        if shown == count:
            break
    if not shown:
        raise none_fits(total, longest, min(left_out, default=0))
    if left_out:
        yield ""
        yield (
            f"note: examples that the training leaves out, because they have more than {longest} tokens "
            f"(--max-length): {len(left_out)} {'before the last one' if shown == count else 'of the others'}"
        )


def _example_in_tokens(tokenizer: Any, example: Example, row: Row, title: str) -> Iterator[str]:
    start = row["answer_start"]
    learned = f"{len(row['ids']) - start} are learned"
    if "rejected_ids" in row:
        learned += f" and {len(row['rejected_ids']) - start} are rejected"
    yield f"{title}: {start} tokens are read, {learned}"
    words = control_words(tokenizer)
    texts = [*(message.content for message in example.prompt), example.answer, example.rejected or ""]
    if mentioned := {word for text in texts for word in words.pattern.findall(text)} & set(words.ids):
        yield f"note: the post contains {', '.join(sorted(mentioned))}, which is encoded as text"
    yield from _lines(_PROMPT, _decoded(tokenizer, row["ids"][:start]))
    yield from _lines(_LEARNED, _decoded(tokenizer, row["ids"][start:]))
    yield from _lines(_REJECTED, _decoded(tokenizer, row.get("rejected_ids", [])[start:]))


def _decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    text: str = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return text


def _lines(prefix: str, text: str) -> Iterator[str]:
    """Yield the lines of a text. Control characters are escaped as in Python, so that the terminal ignores them."""
    for line in text.removesuffix("\n").split("\n") if text else ():
        printable = (char if char.isprintable() or char == "\t" else repr(char)[1:-1] for char in line)
        yield prefix + "".join(printable)
