"""Known answers of a model are used as long as a few of them, generated again, are the same."""

import itertools
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from tuning.storage import sha256_of
from tuning.tuners.hf.answer import known
from tuning.tuners.hf.answer.known import (
    CHECKED,
    CHECKED_LENGTH,
    SAME_LOSS,
    Known,
    find_known,
    is_same_loss,
    key_of,
    with_known,
)
from tuning.tuners.protocol import Answer

KEYS = [key_of([1, number]) for number in range(40)]


class Model:
    """Answers prompt N with "N", and notes what it was asked."""

    def __init__(self, **others: str) -> None:
        self.calls: list[list[int]] = []
        self.others = others

    def generate(self, numbers: Sequence[int]) -> list[Answer]:
        self.calls.append(list(numbers))
        return [answer(self.others.get(f"n{number}", str(number))) for number in numbers]


def answer(text: str) -> Answer:
    return Answer(text, "STOP")


def answers_of(numbers: Sequence[int]) -> dict[str, Answer]:
    return {KEYS[number]: answer(str(number)) for number in numbers}


def known_of(numbers: Sequence[int], unstable: Sequence[int] = ()) -> Known:
    return Known(answers=answers_of(numbers), unstable=[KEYS[number] for number in unstable])


def answered(keys: Sequence[str], stored: Known, generate: Callable[[Sequence[int]], list[Answer]]) -> list[Answer]:
    return with_known("answers", keys, stored.answers, generate, stored.checks)


EXPECTED = [answer(str(number)) for number in range(40)]


def test_known_answers_are_used_and_eight_of_them_are_generated_again(capsys: pytest.CaptureFixture[str]) -> None:
    model = Model()
    assert answered(KEYS, known_of(range(39)), model.generate)[:39] == EXPECTED[:39]
    assert (
        "39 of these 40 answers of the base model are in this package; 8 of them are made again"
        in capsys.readouterr().out
    )
    model = Model()
    assert answered(KEYS, known_of(range(40)), model.generate) == EXPECTED
    (asked,) = model.calls
    assert len(asked) == CHECKED == 8
    assert asked == sorted(asked)
    again = Model()
    answered(KEYS, known_of(range(40)), again.generate)
    assert again.calls == model.calls, "the same prompts are checked each time"


def test_answers_that_are_not_known_are_generated_in_the_same_pass() -> None:
    model = Model()
    assert answered(KEYS, known_of(range(10, 40)), model.generate) == EXPECTED
    (asked,) = model.calls
    assert asked[:10] == list(range(10))
    assert len(asked) == 10 + CHECKED


def test_if_one_differs_all_are_generated(capsys: pytest.CaptureFixture[str]) -> None:
    model = Model()
    answered(KEYS, known_of(range(40)), model.generate)
    checked = model.calls[0][3]
    other = Model(**{f"n{checked}": "rounded in another way"})
    found = answered(KEYS, known_of(range(40)), other.generate)
    assert found[checked] == answer("rounded in another way")
    assert sorted(other.calls[0] + other.calls[1]) == list(range(40)), "each once"
    assert "the known answers of the base model differ on this machine" in capsys.readouterr().out


def test_answers_that_depend_on_the_batch_are_used_but_check_nothing() -> None:
    model = Model()
    answered(KEYS, known_of(range(40)), model.generate)
    drawn = model.calls[0]
    other = Model(**{f"n{number}": "rounded in another way" for number in drawn})
    assert answered(KEYS, known_of(range(40), unstable=drawn), other.generate) == EXPECTED
    (asked,) = other.calls
    assert len(asked) == CHECKED
    assert not set(asked) & set(drawn)


def test_long_answers_are_used_but_check_nothing() -> None:
    long = {f"n{number}": "x" * (CHECKED_LENGTH + 1) for number in range(0, 40, 2)}
    stored = Known(answers=dict(zip(KEYS, Model(**long).generate(range(40)), strict=True)))
    model = Model(**long)
    answered(KEYS, stored, model.generate)
    (asked,) = model.calls
    assert len(asked) == CHECKED
    assert all(number % 2 for number in asked)


def test_an_answer_that_ended_for_another_reason_differs() -> None:
    stored = Known(answers={key: Answer(one.text, "MAX_TOKENS") for key, one in answers_of(range(40)).items()})
    assert answered(KEYS, stored, Model().generate) == EXPECTED


@pytest.mark.parametrize("count", [0, 1, 7, 8])
def test_few_known_answers_are_all_generated_again(count: int) -> None:
    model = Model()
    assert answered(KEYS[:count], known_of(range(40)), model.generate) == EXPECTED[:count]
    assert model.calls[0] == list(range(count))


def test_a_key_tells_prompts_apart() -> None:
    draw = random.Random(3)  # noqa: S311 - test data
    prompts = [[draw.randrange(100) for _ in range(5)] for _ in range(100)] + [[1, 23], [12, 3], [1, 2, 3], []]
    assert len({key_of(ids) for ids in prompts}) == len(prompts)
    assert key_of((1, 2)) == key_of([1, 2])


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model's folder with invented weights, whose answers to prompts up to 96 tokens are known."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    record = Known(
        weights_sha256=sha256_of(folder / "model.safetensors"), max_new_tokens=96, answers=answers_of(range(3))
    )
    (tmp_path / "known.json").write_bytes(msgspec.json.encode(record))
    monkeypatch.setattr(known, "FILE", tmp_path / "known.json")
    return folder


def test_only_the_same_weights_and_limit_have_known_answers(stored: Path) -> None:
    assert find_known(stored).answers_up_to(96) == answers_of(range(3))
    assert find_known(stored).answers_up_to(97) == {}
    (stored / "model.safetensors").write_bytes(b"other weights")
    assert find_known(stored) == Known()


def test_a_model_in_several_files_or_a_package_without_known_answers_has_none(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_known(stored.parent) == Known()
    monkeypatch.setattr(known, "FILE", stored / "no file")
    assert find_known(stored) == Known()


@pytest.mark.parametrize(
    ("change", "is_same"),
    [((0.0, 0), True), ((SAME_LOSS / 2, 0), True), ((SAME_LOSS * 2, 0), False), ((0.0, 1), False)],
)
def test_known_losses_are_used_if_eight_of_them_differ_by_rounding_only(
    change: tuple[float, int], is_same: bool
) -> None:
    stored = {key: (1.0 + number, 10 + number) for number, key in enumerate(KEYS)}
    asked: list[list[int]] = []

    def score(numbers: Sequence[int]) -> list[tuple[float, int]]:
        asked.append(list(numbers))
        return [(1.0 + number + change[0], 10 + number + change[1]) for number in numbers]

    found = with_known("losses", KEYS, stored, score, is_same=is_same_loss)
    assert len(asked[0]) == CHECKED
    assert sorted(itertools.chain(*asked)) == (asked[0] if is_same else list(range(40)))
    made = asked[0] if is_same else range(40)
    assert found == [score([number])[0] if number in made else stored[KEYS[number]] for number in range(40)]
