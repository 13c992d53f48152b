"""Greedy decoding in a batch that rows leave and enter gives what transformers gives for each prompt alone."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from tuning.tuners.hf.answer import batching
from tuning.tuners.hf.answer.batching import generate, guess, repeats_itself

LIMIT = 40
ENDS = [5, 7]
_SIZES = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def prompts(count: int = 40) -> list[list[int]]:
    draw = random.Random(1)  # noqa: S311 - test data
    return [[draw.randrange(8, 60) for _ in range(draw.randrange(2, 30))] for _ in range(count)]


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**_SIZES)).eval()


@pytest.fixture(scope="module")
def sliding() -> Any:
    """A model whose layers see only the last eight tokens."""
    torch.manual_seed(0)
    config = MistralConfig(**_SIZES, sliding_window=8, attn_implementation="eager")
    return MistralForCausalLM(config).eval()


def alone(model: Any, prompt: list[int], limit: int = LIMIT, ends: Sequence[int] = ENDS) -> list[int]:
    """What transformers generates for one prompt."""
    ids = model.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        max_new_tokens=limit,
        do_sample=False,
        eos_token_id=list(ends),
        pad_token_id=0,
    )
    new: list[int] = ids[0, len(prompt) :].tolist()
    return new


@pytest.fixture(scope="module")
def expected(model: Any) -> dict[int, list[int]]:
    return {number: alone(model, prompt) for number, prompt in enumerate(prompts())}


@pytest.mark.parametrize("rows", [1, 2, 5, 16, 100])
def test_each_row_is_what_transformers_generates_for_it_alone(
    model: Any, expected: dict[int, list[int]], rows: int
) -> None:
    lengths = {len(ids) for ids in expected.values()}
    assert min(lengths) < 10 < LIMIT == max(lengths), "some rows end early and some at the limit"
    assert dict(generate(model, prompts(), LIMIT, ENDS, rows)) == expected


def test_rows_come_out_as_they_end_and_each_once(model: Any, expected: dict[int, list[int]]) -> None:
    found = list(generate(model, prompts(), LIMIT, ENDS, 16))
    assert sorted(number for number, _ in found) == list(range(40))
    lengths = [len(ids) for _, ids in generate(model, prompts(16), LIMIT, ENDS, 16)]
    assert lengths == sorted(lengths), "of one batch, the shortest answers come first"


def test_the_end_token_is_included_and_ends_the_row(model: Any, expected: dict[int, list[int]]) -> None:
    ended = [ids for ids in expected.values() if len(ids) < LIMIT]
    assert ended
    for number, ids in generate(model, prompts(), LIMIT, ENDS, 5):
        assert not set(ids[:-1]) & set(ENDS)
        assert ids[-1] in ENDS or len(ids) == LIMIT, number


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_no_row_is_longer_than_the_limit(model: Any, expected: dict[int, list[int]], limit: int) -> None:
    found = dict(generate(model, prompts(), limit, ENDS, 5))
    assert found == {number: ids[:limit] for number, ids in expected.items()}


def test_a_row_goes_past_the_spare_room_of_the_cache(model: Any) -> None:
    limit = 2 * batching._SPARE + 10
    prompt = prompts()[0]
    ids = dict(generate(model, [prompt, prompt[:3]], limit, [], 2))
    whole = model.generate(torch.tensor([prompt]), max_new_tokens=limit, do_sample=False, pad_token_id=0)
    assert len(ids[0]) == len(ids[1]) == limit
    assert ids[0] == whole[0, len(prompt) :].tolist()


def test_without_prompts_there_are_no_answers(model: Any) -> None:
    assert list(generate(model, [], LIMIT, ENDS)) == []


@pytest.mark.parametrize("rows", [1, 5, 100])
def test_with_a_sliding_window_rows_only_leave(sliding: Any, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    def no_row_enters(*_: object) -> None:
        raise AssertionError("a sliding window cannot be padded")

    monkeypatch.setattr(batching._Batch, "join", no_row_enters)
    expected = {number: alone(sliding, prompt) for number, prompt in enumerate(prompts())}
    assert len({len(ids) for ids in expected.values()}) > 5
    assert dict(generate(sliding, prompts(), LIMIT, ENDS, rows)) == expected


def test_a_row_that_only_repeats_itself_is_stopped(model: Any) -> None:
    limit, no_end = 300, [1000]
    found = dict(generate(model, prompts(), limit, no_end, 16))
    stopped = [number for number, ids in found.items() if len(ids) < limit]
    assert stopped
    for number in stopped[:3]:
        ids = found[number]
        whole = alone(model, prompts()[number], limit, no_end)
        assert whole[: len(ids)] == ids
        assert len(whole) == limit, "without the stop, it goes on to the limit"
        assert repeats_itself(ids)
        assert not any(repeats_itself(ids[:end]) for end in range(len(ids))), "stopped as soon as possible"


@pytest.mark.parametrize(
    ("tokens", "repeating"),
    [
        ([9, *[4] * 95], False),
        ([9, *[4] * 96], True),
        ([*range(20)] * 5, True),
        ([*range(20)] * 5 + [3], False),
        ([*range(64)] * 5, True),
        ([*range(65)] * 6, False),
        ([*range(30)] * 4, False),
        ([], False),
    ],
)
def test_a_repetition_is_five_times_the_same_in_a_row(tokens: list[int], repeating: bool) -> None:
    assert repeats_itself(tokens) == repeating


@pytest.mark.parametrize(
    ("tokens", "length", "expected"),
    [
        ([1, 2, 3, 9, 1, 2], 5, [3, 9, 1]),  # two tokens in common, so three guesses
        ([1, 2, 3, 9, 1, 2], 2, [3, 9]),
        ([1, 2, 3, 7, 2, 4, 1, 2], 1, [3]),  # two in common win over the later place with one
        ([5, 1, 5, 2, 5], 9, [2, 5]),  # the last of equal places
        ([4, 4, 4], 9, [4, 4, 4]),
        ([1, 2, 1, 2, 1, 2], 9, [1, 2, 1, 2, 1]),
        ([*range(20), *range(20)], 99, [*range(13)]),
        ([1, 2, 3], 9, []),
        ([1], 9, []),
    ],
)
def test_a_guess_continues_the_place_with_most_in_common(tokens: list[int], length: int, expected: list[int]) -> None:
    assert guess(tokens, length) == expected


@pytest.mark.parametrize("wrong", [False, True])
def test_guesses_change_the_number_of_passes_and_not_the_tokens(
    model: Any, monkeypatch: pytest.MonkeyPatch, wrong: bool
) -> None:
    limit, few = 90, prompts(5)
    expected = {number: alone(model, prompt, limit) for number, prompt in enumerate(few)}
    passes: list[int] = []
    forward = batching._Batch._forward
    monkeypatch.setattr(
        batching._Batch,
        "_forward",
        lambda batch, ids, *rest: passes.append(ids.shape[1]) or forward(batch, ids, *rest),  # type: ignore[func-returns-value]
    )
    if wrong:
        draw = random.Random(2)  # noqa: S311 - test data
        monkeypatch.setattr(
            batching, "guess", lambda _, length: [draw.randrange(60) for _ in range(draw.randint(0, max(length, 0)))]
        )
    assert dict(generate(model, few, limit, ENDS, 8)) == expected
    tokens = max(map(len, expected.values()))
    assert max(passes[1:]) > 1
    assert len(passes) > tokens * 0.8 if wrong else len(passes) < tokens * 0.6


def test_what_all_prompts_begin_with_is_read_once_and_the_rest_by_length(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    beginning = list(range(3, 23))
    begun = sorted(([*beginning, *prompt] for prompt in prompts()), key=len)
    expected = {number: alone(model, prompt) for number, prompt in enumerate(begun)}
    read: list[tuple[int, ...]] = []
    forward = batching._Batch._forward
    monkeypatch.setattr(
        batching._Batch,
        "_forward",
        lambda batch, ids, *rest: read.append(tuple(ids.shape)) or forward(batch, ids, *rest),  # type: ignore[func-returns-value]
    )
    assert dict(generate(model, begun, LIMIT, ENDS)) == expected
    together = batching._READ_TOGETHER
    widths = [len(begun[together - 1]) - len(beginning), len(begun[-1]) - len(beginning)]
    assert widths[0] < widths[1]
    assert read[:4] == [(1, 20), (together, widths[0]), (1, 20), (40 - together, widths[1])]
