"""Generate and score answers with a local model. Import this module inside functions only, because it loads torch."""

import functools
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TextIteratorStreamer

from tuning.dataset.formats.records import Example, Message
from tuning.progress import is_shown, progress
from tuning.tuners.hf.answer.batching import generate
from tuning.tuners.hf.answer.known import Known, Loss, find_known, is_same_loss, key_of, with_known
from tuning.tuners.hf.answer.packed import pack, packed_layers, unpack
from tuning.tuners.hf.answer.scoring import example_losses
from tuning.tuners.hf.chat import decode_answer, encode, encode_prompt, skip_thoughts, stop_tokens
from tuning.tuners.hf.device import evaluation_dtype, find_processor
from tuning.tuners.hf.models.adapted import load_tuned
from tuning.tuners.hf.models.base_models import load_tokenizer
from tuning.tuners.protocol import LIMIT, REPETITION, Answer

_SHOWN = 20  # number of answers between two lines of progress


class HfPredictor:
    """Generate and score answers by greedy decoding.

    `folder` has the whole model, or, if there is a folder `base`, the adapter for the base model in that one.
    """

    def __init__(self, folder: Path, base: Path | None = None) -> None:
        self._folder = folder
        processor = find_processor()
        self._tokenizer = load_tokenizer(folder)
        self._tokenizer.padding_side = "left"  # so that every prompt ends where its answer begins
        model = load_tuned(folder, base, "auto")
        dtype = evaluation_dtype(processor, model.num_parameters())
        self._model: Any = model.to(device=processor.device, dtype=dtype)
        # Models without positions, such as Mamba, have no limit.
        self.context = getattr(model.config.get_text_config(), "max_position_embeddings", None) or sys.maxsize

    def generate(self, prompts: Sequence[Sequence[Message]], max_new_tokens: int) -> list[Answer]:
        """Return answers in the order of the prompts. Print the progress of many answers.

        A prompt that the model cannot read whole gets an empty answer with a note: reading a part would answer another
        question, and memory grows with its length.
        """
        encoded = [encode_prompt(self._tokenizer, prompt) for prompt in prompts]

        def generated(numbers: Sequence[int]) -> list[Answer]:
            answers = {number: unread for number in numbers if (unread := self._unread(encoded[number]))}
            asked = [number for number in numbers if number not in answers]
            print(f"answering {len(asked)} questions with up to {max_new_tokens} tokens each", flush=True)
            prompt_ids = [encoded[number] for number in asked]
            pieces = generate(self._answerer(), prompt_ids, max_new_tokens, self._ends())
            with progress("answering", len(asked), "questions") as advance:
                for count, (index, ids) in enumerate(pieces, start=1):
                    answers[asked[index]] = self._answer(ids, max_new_tokens)
                    advance(1)
                    if count % _SHOWN == 0 and not is_shown():
                        print(f"answered {count} of {len(asked)} questions", flush=True)
            return [answers[number] for number in numbers]

        known, keys = self._known, [key_of(ids) for ids in encoded]
        return with_known("answers", keys, known.answers_up_to(max_new_tokens), generated, known.checks)

    def stream(self, prompt: Sequence[Message], max_new_tokens: int) -> Iterator[str | Answer]:
        """Yield pieces of text as they are generated, then the complete Answer. If it is closed, generation ends."""
        ids = encode_prompt(self._tokenizer, prompt)
        if unread := self._unread(ids):
            yield unread
            return
        streamer = TextIteratorStreamer(self._tokenizer, skip_special_tokens=True)
        result: list[Any] = []  # the token IDs, or the error
        is_closed = threading.Event()

        def put(_: int, token: int) -> None:
            if is_closed.is_set():
                raise GeneratorExit
            streamer.put(torch.tensor([token]))

        def work() -> None:
            try:
                model = self._answerer()
                result.extend(new for _, new in generate(model, [ids], max_new_tokens, self._ends(), on_token=put))
            except BaseException as error:
                result.append(error)
            streamer.end()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield from skip_thoughts(streamer)
        finally:  # torch aborts the process if it ends while the thread runs
            is_closed.set()
            thread.join()
        if isinstance(result[0], BaseException):
            raise result[0]
        yield self._answer(result[0], max_new_tokens)

    def prompt_tokens(self, prompt: Sequence[Message]) -> int:
        """Return the number of tokens of a prompt."""
        return len(encode_prompt(self._tokenizer, prompt))

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of an answer's text."""
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def losses(self, examples: Sequence[Example], max_length: int) -> list[Loss]:
        """Return the loss and the number of answer tokens of each example, cut to `max_length` tokens.

        The loss of an example does not depend on the other examples.
        """
        rows = [scored_row(self._tokenizer, example, max_length) for example in examples]

        def scored(numbers: Sequence[int]) -> list[Loss]:
            with progress("scoring", len(numbers), "examples") as advance:
                return example_losses(self._scorer(), [rows[number] for number in numbers], advance)

        keys = [key_of([start, *ids]) for ids, start in rows]
        return with_known("losses", keys, self._known.losses, scored, is_same=is_same_loss)

    def _answerer(self) -> Any:
        """Return the model as it generates fastest."""
        if not packed_layers(self._model):
            pack(self._model)
        return self._model

    def _scorer(self) -> Any:
        unpack(self._model)
        return self._model

    @functools.cached_property
    def _known(self) -> Known:
        return find_known(self._folder)

    def _unread(self, ids: list[int]) -> Answer | None:
        """Return the empty answer to a prompt that leaves no room for an answer in the model's context, else None."""
        if len(ids) < self.context:
            return None
        return Answer("", LIMIT, (f"the prompt has {len(ids):,} tokens; the model reads {self.context:,}",))

    def _answer(self, ids: list[int], max_new_tokens: int) -> Answer:
        if ids[-1] in self._ends():
            return Answer(decode_answer(self._tokenizer, ids[:-1]), "STOP")
        return Answer(decode_answer(self._tokenizer, ids), LIMIT if len(ids) == max_new_tokens else REPETITION)

    def _ends(self) -> list[int]:
        return stop_tokens(self._tokenizer, self._model.generation_config)


def scored_row(tokenizer: Any, example: Example, max_length: int) -> tuple[list[int], int]:
    """Return at most `max_length` token IDs of an example, and the index of its first answer token."""
    tokens = encode(tokenizer, example.prompt, example.answer)
    return tokens.ids[:max_length], tokens.answer_start
