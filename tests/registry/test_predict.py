"""Asking a model: its wording, its streaming, and the screen for secrets."""

from collections.abc import Iterator

import msgspec
import pytest

from tuning.dataset.formats.records import Message
from tuning.errors import TuningError
from tuning.registry import registry
from tuning.registry.model_folder import count_seen, open_model
from tuning.registry.predict import Asked, Prediction, Question, answer_file, ask, load, print_answer
from tuning.tuners.protocol import Answer

KEY = "AKIAQ3EGRH5KZP7WTL2M"  # of the shape of a cloud provider's key, and nobody's


class Echo:
    """Answers with the question, all at once."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix

    def generate(self, prompts, max_new_tokens) -> list[Answer]:
        return [Answer(self.prefix + prompt[-1].content, "STOP", ("a note",)) for prompt in prompts]

    def losses(self, examples, max_length) -> None:
        return None


class Typing(Echo):
    """The same, letter by letter."""

    def stream(self, prompt, max_new_tokens) -> Iterator[str | Answer]:
        yield from prompt[-1].content
        yield Answer(prompt[-1].content, "MAX_TOKENS")


def asked(predictor: object, format_: str = "messages") -> Asked:
    return Asked("v1", predictor, "Answer the question.", format_, "markdown")


def test_a_question_is_worded_as_the_training_rows():
    prompt = asked(Echo()).prompt(Question("How do I sort?", "A list of numbers."))
    assert prompt == (
        Message("system", "Answer the question."),
        Message("user", "How do I sort?\n\nA list of numbers."),
    )
    assert asked(Echo()).prompt(Question("How do I sort?"))[-1].content == "How do I sort?"
    assert asked(Echo(), "notebook").prompt(Question("How?", "So.")) == (
        Message("user", "Answer the question. How?\n\nSo."),
    )


def test_an_answer_streams_and_ends_with_the_whole():
    *pieces, last = ask(asked(Typing()), "Why?")
    assert pieces == ["W", "h", "y", "?"]
    assert (last.answer, last.finish_reason, last.secrets) == ("Why?", "MAX_TOKENS", [])


def test_a_predictor_that_cannot_stream_gives_its_answer_in_one_piece():
    piece, last = ask(asked(Echo()), "Why?\nBecause")
    assert piece == last.answer == "Why?\n\nBecause"
    assert last.notes == ["a note"]


def test_a_secret_in_an_answer_is_marked_and_not_edited():
    piece, last = ask(asked(Echo(f"key = '{KEY}' ")), "Why?")
    assert KEY in piece
    assert KEY in last.answer
    assert len(last.secrets) == 1


def test_an_empty_question_is_refused():
    with pytest.raises(TuningError, match="the question is empty"):
        list(ask(asked(Echo()), "  \n "))


def test_a_file_of_questions_becomes_a_file_of_answers_in_the_same_order(tmp_path):
    questions, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    questions.write_text("".join(f'{{"title": "Q{number}", "body": "B"}}\n' for number in range(70)) + "\n")
    assert answer_file(asked(Echo()), questions, output) == 70
    rows = [msgspec.json.decode(line, type=Prediction) for line in output.read_bytes().splitlines()]
    assert [row.answer for row in rows] == [f"Q{number}\n\nB" for number in range(70)]
    assert (rows[0].model, rows[0].finish_reason) == ("v1", "STOP")


@pytest.mark.parametrize("line", ["not json", '{"question": "x"}', '{"title": 3}', "[]", '{"title": "\udce4"}'])
def test_a_line_that_is_no_question_is_named_and_no_file_appears(tmp_path, line):
    questions, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    questions.write_text(f'{{"title": "fine"}}\n{line}\n', errors="surrogateescape")
    with pytest.raises(TuningError, match="line 2 of"):
        answer_file(asked(Echo()), questions, output)
    assert not output.exists()


def test_a_missing_file_of_questions_is_one_line(tmp_path):
    with pytest.raises(TuningError, match="there is no file"):
        answer_file(asked(Echo()), tmp_path / "none.jsonl", tmp_path / "out.jsonl")


def test_a_version_answers_with_its_own_template(settings, version, model_files, monkeypatch, capsys):
    registry.register(settings, version(template="Be brief."), model_files)
    registry.promote(settings, "v1")
    seen = []

    class Tuner:
        def predictor(self, settings, model):
            seen.append(model.uri)
            return Typing()

    monkeypatch.setattr("tuning.registry.predict.find_tuner", lambda name: Tuner())
    assert load(settings).prompt(Question("x"))[0].content == "Be brief."
    assert seen == [str(settings.models_dir / "v1" / "model" / "weights")]
    print_answer(settings, "champion", "Why?", 5)
    assert capsys.readouterr().out == "Why?\n[v1: MAX_TOKENS]\n"
    monkeypatch.setattr(Typing, "stream", lambda self, prompt, limit: iter(["\n", " \n", Answer("", "REPETITION")]))
    print_answer(settings, "champion", "Why?", 5)
    assert capsys.readouterr().out.endswith("[v1: REPETITION, the answer is empty]\n")


def test_without_a_champion_predict_says_what_to_do(settings):
    with pytest.raises(TuningError, match="there is no champion yet"):
        load(settings)


def test_a_model_folder_that_lost_its_weights_is_one_line(model_files):
    (model_files / "weights" / "model.bin").unlink()
    (model_files / "weights").rmdir()
    with pytest.raises(TuningError, match="has no weights"):
        open_model(model_files)


def test_examples_seen_in_training_are_counted_by_question_or_group(model_files):
    import numpy as np

    assert count_seen(model_files, np.array([1, 70, 80]), np.array([1, 5, 90])) == 2
