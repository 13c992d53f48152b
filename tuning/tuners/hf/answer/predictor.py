"""A local model that answers and scores. Import it inside functions only: it loads torch."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TextIteratorStreamer

from tuning.dataset.formats.records import Example, Message
from tuning.tuners.hf.answer.scoring import example_losses
from tuning.tuners.hf.chat import encode, encode_prompt
from tuning.tuners.hf.device import find_processor, inference_dtype
from tuning.tuners.hf.models.base_models import load_model, load_tokenizer
from tuning.tuners.protocol import Answer

# Prompts answered together: a step of the cache costs nearly the same for one as for many, until memory is full.
_PROMPTS = 16


class HfPredictor:
    """Greedy decoding, with a cache. The model lies in `folder`, an adapter merged into it."""

    def __init__(self, folder: Path) -> None:
        processor = find_processor()
        self._tokenizer = load_tokenizer(folder)
        self._tokenizer.padding_side = "left"  # so that every prompt ends where its answer begins
        model = load_model(folder, "auto")
        dtype = inference_dtype(processor, model.num_parameters())
        self._model: Any = model.to(device=processor.device, dtype=dtype)

    def generate(self, prompts: Sequence[Sequence[Message]], max_new_tokens: int) -> list[Answer]:
        """Answers in the order of the prompts. Batches are of like length, so that little is padded."""
        encoded = [encode_prompt(self._tokenizer, prompt) for prompt in prompts]
        order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))
        answers: dict[int, Answer] = {}
        for start in range(0, len(order), _PROMPTS):
            batch = order[start : start + _PROMPTS]
            padded = self._tokenizer.pad({"input_ids": [encoded[index] for index in batch]}, return_tensors="pt")
            new = self._generate(padded, max_new_tokens)[:, padded["input_ids"].shape[1] :]
            answers |= {index: self._answer(ids) for index, ids in zip(batch, new.tolist(), strict=True)}
        return [answers[index] for index in range(len(encoded))]

    def stream(self, prompt: Sequence[Message], max_new_tokens: int) -> Iterator[str | Answer]:
        """Pieces of text as they are made, then the whole Answer."""
        padded = self._tokenizer.pad({"input_ids": [encode_prompt(self._tokenizer, prompt)]}, return_tensors="pt")
        streamer = TextIteratorStreamer(self._tokenizer, skip_prompt=True, skip_special_tokens=True)
        made: list[Any] = []

        def work() -> None:
            try:
                made.append(
                    self._generate(padded, max_new_tokens, streamer)[0, padded["input_ids"].shape[1] :].tolist()
                )
            except BaseException as error:
                made.append(error)
                streamer.end()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        yield from (piece for piece in streamer if piece)
        thread.join()
        if isinstance(made[0], BaseException):
            raise made[0]
        yield self._answer(made[0])

    def losses(self, examples: Sequence[Example], max_length: int) -> list[tuple[float, int]]:
        """As the protocol says. An example's loss does not depend on the examples beside it."""
        rows = []
        for example in examples:
            tokens = encode(self._tokenizer, example.prompt, example.answer)
            rows.append((tokens.ids[:max_length], tokens.answer_start))
        return example_losses(self._model, rows)

    def _generate(self, padded: Any, max_new_tokens: int, streamer: Any = None) -> torch.Tensor:
        with torch.inference_mode():
            made: torch.Tensor = self._model.generate(
                **padded.to(self._model.device),
                max_new_tokens=max_new_tokens,
                do_sample=False,
                num_beams=1,
                eos_token_id=self._ends(),
                pad_token_id=self._tokenizer.pad_token_id,
                streamer=streamer,
            )
        return made

    def _answer(self, ids: list[int]) -> Answer:
        ends = set(self._ends())
        end = next((index for index, token in enumerate(ids) if token in ends), None)
        text = self._tokenizer.decode(ids[:end], skip_special_tokens=True).strip()
        return Answer(text, "STOP" if end is not None else "MAX_TOKENS")

    def _ends(self) -> list[int]:
        """Tokens that end an answer: the tokenizer's, and those of the model's own settings."""
        more = self._model.generation_config.eos_token_id
        return sorted({self._tokenizer.eos_token_id, *([more] if isinstance(more, int) else more or [])})
