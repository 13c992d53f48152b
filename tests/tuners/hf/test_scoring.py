import itertools
import math
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from tests.tuners.tuner_datasets import helpful, question
from tuning.dataset.formats.records import Example, Message
from tuning.tuners.hf.answer.predictor import HfPredictor
from tuning.tuners.hf.answer.scoring import Batch, answer_token_losses, collate
from tuning.tuners.hf.chat import encode
from tuning.tuners.hf.models.base_models import load_model, load_tokenizer
from tuning.tuners.protocol import LIMIT, Answer


def test_answer_losses_equal_those_of_all_logits(local_model: Path) -> None:
    model, tokenizer = load_model(local_model, torch.float32), load_tokenizer(local_model)
    rows = [encode(tokenizer, question(number), helpful(number) * (number + 1)) for number in range(3)]
    batch = collate(rows, tokenizer.pad_token_id)
    with torch.no_grad():
        losses, counts = answer_token_losses(model, batch)
        logits = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
    whole = functional.cross_entropy(logits[:, :-1].transpose(1, 2), batch.labels[:, 1:], reduction="none")
    expected = whole[batch.labels[:, 1:] != -100]
    assert counts.tolist() == [len(row.ids) - row.answer_start for row in rows]
    assert torch.allclose(losses, expected, atol=1e-5)


def test_padding_is_masked_where_its_token_also_ends_an_answer() -> None:
    batch: Batch = collate([([5, 6, 2], 1), ([5, 2], 1)], padding=2)
    assert batch.input_ids.tolist() == [[5, 6, 2], [5, 2, 2]]
    assert batch.attention_mask.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch.labels.tolist() == [[-100, 6, 2], [-100, 2, -100]]


def test_an_example_scores_the_same_beside_any_others(local_model: Path) -> None:
    predictor = HfPredictor(local_model)
    examples = [Example(question(number), helpful(number) * (1 + number % 4)) for number in range(8)]
    together = predictor.losses(examples, max_length=512)
    alone = [predictor.losses([example], max_length=512)[0] for example in examples]
    assert together == alone


def test_a_prompt_that_fills_the_length_leaves_nothing_to_score(local_model: Path) -> None:
    predictor = HfPredictor(local_model)
    ((loss, tokens),) = predictor.losses([Example(question(1), helpful(1))], max_length=4)
    assert math.isnan(loss)
    assert tokens == 0


def test_a_cut_answer_is_scored_as_far_as_it_goes(local_model: Path) -> None:
    predictor = HfPredictor(local_model)
    tokenizer = load_tokenizer(local_model)
    example = Example(question(1), helpful(1))
    start = encode(tokenizer, example.prompt, example.answer).answer_start
    ((_, tokens),) = predictor.losses([example], max_length=start + 5)
    assert tokens == 5


def test_random_weights_are_as_uncertain_as_their_vocabulary(local_model: Path) -> None:
    ((loss, _),) = HfPredictor(local_model).losses([Example(question(1), helpful(1))], max_length=512)
    vocabulary = load_model(local_model, torch.float32).config.vocab_size
    assert loss == pytest.approx(math.log(vocabulary), rel=0.05)


def test_generation_ends_when_the_reader_of_a_streamed_answer_goes_away(
    local_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    words = load_tokenizer(local_model)("one two three\n")["input_ids"]

    def endless(*_: object, on_token: Callable[[int, int], None], **__: object) -> Iterator[tuple[int, list[int]]]:
        try:
            for token in itertools.cycle(words):
                on_token(0, token)
        finally:
            ended.append(1)
        yield 0, []

    monkeypatch.setattr("tuning.tuners.hf.answer.predictor.generate", endless)
    pieces = HfPredictor(local_model).stream(question(1), max_new_tokens=1_000_000)
    assert isinstance(pieces, Generator)
    next(pieces)
    pieces.close()
    assert ended == [1]


def test_a_prompt_beyond_the_context_gets_an_empty_answer_with_a_note(local_model: Path) -> None:
    predictor = HfPredictor(local_model)
    short, long = question(1), (Message("user", "list " * 3000),)
    unread = Answer("", LIMIT, (f"the prompt has {predictor.prompt_tokens(long):,} tokens; the model reads 2,048",))
    alone = predictor.generate([short], 8)
    assert predictor.context == 2048
    assert predictor.generate([long, short, long], 8) == [unread, *alone, unread]
    assert list(predictor.stream(long, 8)) == [unread]
