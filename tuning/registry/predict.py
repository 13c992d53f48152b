"""Ask a model questions, with prompts worded like its training examples, and check the answers for secrets."""

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec

from tuning.cloud.endpoint import find_endpoint
from tuning.dataset.dataset import find_dataset
from tuning.dataset.formats.codec import Body, as_question
from tuning.dataset.formats.records import Format, Message
from tuning.dataset.redact.redact import find_secrets
from tuning.errors import TuningError
from tuning.paths import expanded
from tuning.registry import registry
from tuning.registry.endpoint_predictor import EndpointPredictor
from tuning.settings import Settings
from tuning.storage import atomic_file
from tuning.target import find_target
from tuning.tuners.protocol import Answer, Predictor, StreamingPredictor, TuneOptions
from tuning.tuners.select import find_tuner

MAX_NEW_TOKENS = 512
_BATCH = 32  # number of questions of a file that are answered together


def print_answer(settings: Settings, name: str, text: str, max_new_tokens: int, *, endpoint: bool = False) -> None:
    """Ask one question and print the answer while it is generated, then its finish reason, notes and warnings.

    With `endpoint`, the deployed versions are asked, and not the version `name`. Raises TuningError if the question is
    empty, `max_new_tokens` is below 1, or there is no such model.
    """
    _check_length(max_new_tokens)
    parse_question(text)  # an empty one is an error before the model is loaded
    asked = load_endpoint(settings) if endpoint else load(settings, name)
    with contextlib.closing(ask(asked, text, max_new_tokens)) as pieces:
        is_empty = True
        for piece in pieces:
            if isinstance(piece, str):
                is_empty = is_empty and not piece.strip()
                print(piece, end="", flush=True)
                continue
            print(f"\n[{piece.model}: {piece.finish_reason}{', the answer is empty' * is_empty}]")
            for note in piece.notes:
                print(f"[note: {note}]")
            for secret in piece.secrets:
                print(f"[warning: the answer may contain a secret: {secret}]")


def write_answers(
    settings: Settings, name: str, questions: str, output: str | None, max_new_tokens: int, *, endpoint: bool = False
) -> str:
    """Answer a file of questions and return a message about the file written.

    With `endpoint`, the deployed versions are asked, and not the version `name`. Raises TuningError if `output` is
    missing, `max_new_tokens` is below 1, there is no such model, or a line of the file is not a question.
    """
    _check_length(max_new_tokens)
    if not output:
        raise TuningError("--file needs --output, the file to write the answers to")
    for _ in _questions(expanded(questions)):
        pass  # a line that is no question is an error before the model is loaded
    asked = load_endpoint(settings) if endpoint else load(settings, name)
    count = answer_file(asked, expanded(questions), expanded(output), max_new_tokens)
    return f"wrote {count} answers of {asked.name} to {output}"


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Represent one line of a file of questions: ``{"title": …, "body": …}``.

    The body is optional and has the same markup as the dataset.
    """

    title: str
    body: str = ""


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """Represent one line of a file of answers.

    `secrets` names the kinds of secrets that the answer may contain. They are not removed from `answer`.
    """

    title: str
    body: str
    answer: str
    finish_reason: str
    secrets: list[str]
    notes: list[str]
    model: str


@dataclass(frozen=True)
class Asked:
    """Hold a loaded model and the wording of its prompts."""

    name: str
    predictor: Predictor
    template: str
    format: Format
    body: Body

    def prompt(self, question: Question) -> tuple[Message, ...]:
        """Return the prompt for a question, worded like the model's training examples."""
        return as_question(self.format, self.template, question.title, question.body, self.body)


def load(settings: Settings, name: str = "champion", dataset_id: str | None = None) -> Asked:
    """Load the model `name`: ``champion``, a version such as ``v1``, or ``base``.

    Prompts for ``base`` are worded like the dataset `dataset_id`, or the newest. Raises TuningError if the version, the
    dataset or the files of the model do not exist.
    """
    if name == "base":
        dataset = find_dataset(settings, dataset_id)
        manifest = dataset.manifest
        tuner = find_tuner(settings.tuner)
        model = tuner.base(settings, dataset, TuneOptions(base_model=settings.base_model))
        predictor = tuner.predictor(settings, model)
        return Asked(settings.base_model, predictor, manifest.template, manifest.format, manifest.body)
    version = registry.find_version(settings, name)
    model = registry.open_version(settings, version)
    predictor = find_tuner(model.tuner).predictor(settings, model)
    return Asked(version.name, predictor, version.template, version.format, version.body)


def load_endpoint(settings: Settings) -> Asked:
    """Return what asks the versions that are deployed on the bucket's endpoint, as their traffic is shared.

    The prompt is worded for the version with the most traffic. If nothing is deployed there and the champion is a
    Gemini, its own endpoint is asked. Raises TuningError if the target is local, or if no version is deployed.
    """
    find_target(settings).require_google()
    endpoint = find_endpoint(settings)
    names = [one.version for one in endpoint.deployed if one.traffic] if endpoint else []
    if endpoint is None or not names:
        champion = registry.champion(settings)
        if champion and champion.tuner == "gemini":
            return load(settings, champion.name)
        raise TuningError("no version is deployed", "`invoke deploy --target gcp` deploys the champion")
    versions = [registry.find_version(settings, name) for name in names]
    predictor = EndpointPredictor(settings, endpoint, versions)
    return Asked(" or ".join(names), predictor, versions[0].template, versions[0].format, versions[0].body)


def ask(asked: Asked, text: str, max_new_tokens: int = MAX_NEW_TOKENS) -> Generator[str | Prediction]:
    """Yield pieces of the answer while it is generated, then the whole answer as a Prediction.

    The first line of `text` is the title, and the rest is the body. Raises TuningError if `text` is empty.
    """
    question = parse_question(text)
    prompt = asked.prompt(question)
    if isinstance(asked.predictor, StreamingPredictor):
        answer = None
        for piece in asked.predictor.stream(prompt, max_new_tokens):
            if isinstance(piece, Answer):
                answer = piece
            else:
                yield piece
    else:
        answer = asked.predictor.generate([prompt], max_new_tokens)[0]
        yield answer.text
    if answer is None:
        raise RuntimeError("a streaming predictor ended without its Answer")
    yield _screened(asked, question, answer)


def answer_file(asked: Asked, questions: Path, output: Path, max_new_tokens: int = MAX_NEW_TOKENS) -> int:
    """Answer each line of `questions` and return the number of answers.

    `output` is written only if all questions are answered. Raises TuningError if `questions` is missing or a line is
    not a question.
    """
    count = 0
    with atomic_file(output) as file:
        lines = _questions(questions)
        while batch := list(islice(lines, _BATCH)):
            answers = asked.predictor.generate([asked.prompt(question) for question in batch], max_new_tokens)
            for question, answer in zip(batch, answers, strict=True):
                file.write(msgspec.json.encode(_screened(asked, question, answer)) + b"\n")
            count += len(batch)
    return count


def _check_length(max_new_tokens: int) -> None:
    if max_new_tokens < 1:
        raise TuningError(f"--max-tokens must be at least 1, not {max_new_tokens}")


def parse_question(text: str) -> Question:
    """Return the question in a text: its first line is the title, and the rest is the body.

    Raises TuningError if the text is empty.
    """
    title, _, body = text.strip().partition("\n")
    if not title:
        raise TuningError("the question is empty", 'Ask one: invoke predict "How do I …"')
    return Question(title.strip(), body.strip())


def _questions(path: Path) -> Iterator[Question]:
    if not path.is_file():
        raise TuningError(f"there is no file {path}")
    decoder = msgspec.json.Decoder(Question)
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise TuningError(
                    f"line {number} of {path} is not a question ({error})",
                    'Write each as {"title": "How do I …", "body": ""}',
                ) from None


def _screened(asked: Asked, question: Question, answer: Answer) -> Prediction:
    return Prediction(
        title=question.title,
        body=question.body,
        answer=answer.text,
        finish_reason=answer.finish_reason,
        secrets=sorted({secret.kind for secret in find_secrets(answer.text)}),
        notes=list(answer.notes),
        model=answer.model or asked.name,
    )
