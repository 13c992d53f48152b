"""Generate and score answers with a local model. Import this module inside functions only, because it loads torch."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TextIteratorStreamer

from tuning.dataset.formats.records import Example, Message
from tuning.tuners.hf.answer.batching import generate
from tuning.tuners.hf.answer.known import find_known, key_of, with_known
from tuning.tuners.hf.answer.scoring import example_losses
from tuning.tuners.hf.chat import decode_answer, encode, encode_prompt, skip_thoughts, stop_tokens
from tuning.tuners.hf.device import answering_dtype, find_processor, scoring_dtype
from tuning.tuners.hf.models.base_models import load_model, load_tokenizer
from tuning.tuners.protocol import Answer

_SHOWN = 20  # number of answers between two lines of progress


class HfPredictor:
    """Generate and score answers with the model in `folder`, by greedy decoding. An adapter must be merged into it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        processor = find_processor()
        self._tokenizer = load_tokenizer(folder)
        self._tokenizer.padding_side = "left"  # so that every prompt ends where its answer begins
        model = load_model(folder, "auto")
        self._scoring = scoring_dtype(processor, model.num_parameters())
        self._answering = answering_dtype(processor, model.num_parameters())
        self._model: Any = model.to(device=processor.device)

    def generate(self, prompts: Sequence[Sequence[Message]], max_new_tokens: int) -> list[Answer]:
        """Return answers in the order of the prompts. Print the progress of many answers."""
        encoded = [encode_prompt(self._tokenizer, prompt) for prompt in prompts]
        known = find_known(self._folder, max_new_tokens)

        def generated(numbers: Sequence[int]) -> list[Answer]:
            answers: dict[int, Answer] = {}
            chosen = [encoded[number] for number in numbers]
            for index, ids in generate(self._model.to(self._answering), chosen, max_new_tokens, self._ends()):
                answers[index] = self._answer(ids)
                if len(answers) % _SHOWN == 0:
                    print(f"answered {len(answers)} of {len(chosen)} questions", flush=True)
            return [answers[index] for index in range(len(chosen))]

        return with_known([key_of(ids) for ids in encoded], known, generated)

    def stream(self, prompt: Sequence[Message], max_new_tokens: int) -> Iterator[str | Answer]:
        """Yield pieces of text as they are generated, then the complete Answer."""
        padded = self._tokenizer.pad({"input_ids": [encode_prompt(self._tokenizer, prompt)]}, return_tensors="pt")
        streamer = TextIteratorStreamer(self._tokenizer, skip_prompt=True, skip_special_tokens=True)
        result: list[Any] = []  # the token IDs, or the error

        def work() -> None:
            try:
                result.append(
                    self._generate(padded, max_new_tokens, streamer)[0, padded["input_ids"].shape[1] :].tolist()
                )
            except BaseException as error:
                result.append(error)
                streamer.end()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        yield from skip_thoughts(streamer)
        thread.join()
        if isinstance(result[0], BaseException):
            raise result[0]
        yield self._answer(result[0])

    def losses(self, examples: Sequence[Example], max_length: int) -> list[tuple[float, int]]:
        """Return the loss and the number of answer tokens of each example, cut to `max_length` tokens.

        The loss of an example does not depend on the other examples.
        """
        rows = []
        for example in examples:
            tokens = encode(self._tokenizer, example.prompt, example.answer)
            rows.append((tokens.ids[:max_length], tokens.answer_start))
        return example_losses(self._model.to(self._scoring), rows)

    def _generate(self, padded: Any, max_new_tokens: int, streamer: Any = None) -> torch.Tensor:
        with torch.inference_mode():
            ids: torch.Tensor = self._model.to(self._answering).generate(
                **padded.to(self._model.device),
                max_new_tokens=max_new_tokens,
                do_sample=False,
                num_beams=1,
                eos_token_id=self._ends(),
                pad_token_id=self._tokenizer.pad_token_id,
                streamer=streamer,
            )
        return ids

    def _answer(self, ids: list[int]) -> Answer:
        ends = set(self._ends())
        end = next((index for index, token in enumerate(ids) if token in ends), None)
        text = decode_answer(self._tokenizer, ids[:end])
        return Answer(text, "STOP" if end is not None else "MAX_TOKENS")

    def _ends(self) -> list[int]:
        return stop_tokens(self._tokenizer, self._model.generation_config)
