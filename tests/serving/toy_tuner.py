"""A tuner whose models answer at once or slowly, without torch."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tuning.dataset.formats.records import Message
from tuning.settings import Settings
from tuning.tuners.protocol import LIMIT, REPETITION, Answer, Model

NAME = "tests.serving.toy_tuner:ToyTuner"
KEY = "AKIAQ3EGRH5KZP7WTL2M"  # of the shape of a cloud provider's key, and nobody's


class Toy:
    """Says its own name and the question. One token is one word."""

    context = 1000

    def __init__(self, folder: Path) -> None:
        self.name = (folder / "name").read_text()

    def generate(self, prompts: Sequence[Sequence[Message]], max_new_tokens: int) -> list[Answer]:
        raise NotImplementedError

    def losses(self, examples: object, max_length: int) -> None:
        return None

    def stream(self, prompt: Sequence[Message], max_new_tokens: int) -> Iterator[str | Answer]:
        question = prompt[-1].content
        if question == "fail":
            raise ValueError("a fault of the toy")
        if question == "sleep":
            time.sleep(60)  # as a long prompt, which nothing interrupts
        if question == "count":
            for number in range(max_new_tokens):
                time.sleep(0.02)
                yield f"{number} "
            yield Answer(" ".join(map(str, range(max_new_tokens))), LIMIT)
            return
        if question == "loop":
            yield "and and"
            yield Answer("and and", REPETITION, ("a note",))
            return
        text = KEY if question == "key" else f"{self.name}: {question}"
        yield from f"\n {text} \n"
        yield Answer(text, "STOP")

    def prompt_tokens(self, prompt: Sequence[Message]) -> int:
        return sum(self.count_tokens(message.content) for message in prompt)

    def count_tokens(self, text: str) -> int:
        return len(text.split())


class ToyTuner:
    def predictor(self, settings: Settings, model: Model) -> Toy:
        return Toy(Path(model.uri))
