"""Reuse the answers of the base model smollm2 that ship with the package. Its weights never change.

``python -m tests.tuners.hf.answer.write_known_answers`` writes the file again, after the suite or the prompt has
changed.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tuning.storage import sha256_of
from tuning.tuners.protocol import Answer

FILE = Path(__file__).parent / "known_answers.json"
WEIGHTS = "model.safetensors"
CHECKED = 8  # number of known answers that are generated again; if one differs, all answers are
CHECKED_LENGTH = 500  # characters; only answers up to this length are generated again, so that the check takes seconds

Generate = Callable[[Sequence[int]], list[Answer]]  # takes the numbers of prompts and returns the answers to them


class KnownAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the answers of one model by prompt. A key is the SHA-256 of the prompt's token IDs."""

    weights_sha256: str = ""
    max_new_tokens: int = 0
    answers: dict[str, Answer] = {}
    # Keys of answers that depend on the rounding of the batch, even on the machine that wrote them. They check nothing.
    unstable: list[str] = []


_NONE = KnownAnswers()


def key_of(ids: Sequence[int]) -> str:
    """Return the key of a prompt."""
    return hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()


def find_known(folder: Path, max_new_tokens: int) -> KnownAnswers:
    """Return the known answers of the model in `folder`. There are none for other weights or another limit."""
    weights = folder / WEIGHTS
    if not weights.is_file() or not FILE.is_file():
        return _NONE
    known = msgspec.json.decode(FILE.read_bytes(), type=KnownAnswers)
    is_same = known.max_new_tokens == max_new_tokens and known.weights_sha256 == sha256_of(weights)
    return known if is_same else _NONE


def with_known(keys: Sequence[str], stored: KnownAnswers, generate: Generate) -> list[Answer]:
    """Return the answers to the prompts with these keys. Only the answers that are not known are generated.

    As a check, a few short known answers are generated again. If one differs, for example because the processor rounds
    differently, all known answers are generated again.
    """
    known = stored.answers
    numbers = [number for number, key in enumerate(keys) if key in known]
    stable = [
        number
        for number in numbers
        if keys[number] not in stored.unstable and len(known[keys[number]].text) <= CHECKED_LENGTH
    ]
    drawn = random.Random("".join(keys)).sample(stable, min(CHECKED, len(stable)))  # noqa: S311 - a fixed draw
    if numbers:
        print(
            f"note: the base model's answers to {len(numbers)} of these {len(keys)} questions are in this package; "
            f"{len(drawn)} of them are generated again, to check that this machine gives the same",
            flush=True,
        )
    now = sorted({*range(len(keys))} - {*numbers} | {*drawn})
    answers = dict(zip(now, generate(now), strict=True))
    rest = [number for number in numbers if number not in answers]
    if all(answers[number] == known[keys[number]] for number in drawn):
        answers |= {number: known[keys[number]] for number in rest}
    else:
        print("note: the known answers of the base model differ on this machine, so all are generated", flush=True)
        answers |= dict(zip(rest, generate(rest), strict=True))
    return [answers[number] for number in range(len(keys))]
