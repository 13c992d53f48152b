"""Encode an example as one line of JSON in any of the formats, and parse such a line."""

import functools
import re
from typing import Literal, assert_never

import msgspec
import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from tuning.dataset.formats import records
from tuning.dataset.formats.records import FORMATS, PREFERENCE_FORMATS, Example, Format, Line, Message
from tuning.errors import TuningError

Numbers = npt.NDArray[np.uint32]
Body = Literal["html", "markdown", "text"]  # "text": own data, whose texts stay as they are
# Formats whose prompt is a single text, with the keys of the prompt and the answer.
ONE_TEXT: dict[Format, tuple[str, str]] = {
    "notebook": ("input_text_instruct", "output_text"),
    "text-bison": ("input_text", "output_text"),
}
# Formats with the messages of one question and one answer, which can hold own data.
CHAT_FORMATS = tuple(one for one in FORMATS if one not in ONE_TEXT and one not in PREFERENCE_FORMATS)
_LABEL = re.compile(r"\n\s*\n[^\n]*:\s*$")
_AGAIN = "Delete the dataset and run `invoke dataset` to create it again"


def instruction(template: str) -> str:
    """Return the system message: the template without a last paragraph that only introduces the question.

    Such a paragraph is one line that ends with a colon, as in "Question:".
    """
    return _LABEL.sub("", template.strip()).strip()


def as_text(template: str, title: str, body: str, body_format: Body = "markdown") -> str:
    """Return the prompt as a single text, as the seed preset does: the template, a space, the title, and the body.

    HTML follows the title directly, because its tags separate the two. Markdown follows a blank line.
    """
    return f"{template} {title}{'' if body_format == 'html' else chr(10) * 2}{body}"


def as_prompt(
    format_: Format, template: str, title: str, body: str, body_format: Body = "markdown"
) -> tuple[Message, ...]:
    """Return the prompt for a question, worded exactly as in the training examples of this format.

    With the body format "text", `title` is the system message of the row, or empty: then `template` is the one of all
    rows. Without both, the prompt has no system message.
    """
    if body_format == "text":
        return _own_prompt(title or template, body)
    if format_ in ONE_TEXT:
        return (Message("user", as_text(template, title, body, body_format)),)
    return (Message("system", instruction(template)), Message("user", f"{title}\n\n{body}"))


def as_question(
    format_: Format, template: str, title: str, body: str, body_format: Body = "markdown"
) -> tuple[Message, ...]:
    """Return the prompt for a question that a user asks the model: `as_prompt` without white space at the end."""
    if body_format == "text":
        return _own_prompt(template, f"{title}\n\n{body}".strip())
    *system, user = as_prompt(format_, template, title, body, body_format)
    return (*system, Message("user", user.content.rstrip()))


def _own_prompt(system: str, user: str) -> tuple[Message, ...]:
    return (*([Message("system", system)] if system else []), Message("user", user))


def question_of(format_: Format, template: str, example: Example, body_format: Body = "markdown") -> str:
    """Return title and body as they are in the prompt, without the template. Own data has no titles.

    If its rows have system messages of their own, these are in the place of titles.
    """
    user = example.prompt[-1].content
    if body_format == "text":
        system = _system(example)
        return f"{'' if system == template else system}\n\n{user}"
    return user.removeprefix(f"{template} ") if format_ in ONE_TEXT else user


def encode(format_: Format, example: Example) -> bytes:
    """Return the example as one line of JSON, without the newline.

    The keys are in the order of the format's documentation. Raises ValueError if the format is a preference format
    and the example has no rejected answer.
    """
    prompt, answer = example.prompt, example.answer
    user, system = prompt[-1].content, _system(example)
    has_system = len(prompt) > 1
    match format_:
        case "notebook" | "text-bison":
            line: object = dict(zip(ONE_TEXT[format_], (user, answer), strict=True))
        case "gemini":
            instructed = {"systemInstruction": {"parts": [{"text": system}]}} if has_system else {}
            line = {
                **instructed,
                "contents": [_content("user", user), _content("model", answer)],
            }
        case "messages":
            line = {"messages": [*_messages(*prompt), *_answer(answer)]}
        case "prompt-completion":
            line = {"prompt": _messages(*prompt), "completion": _answer(answer)}
        case "sharegpt":
            turns = (("system", system), ("human", user), ("gpt", answer))
            shown = turns if has_system else turns[1:]
            line = {"conversations": [{"from": speaker, "value": text} for speaker, text in shown]}
        case "alpaca":
            asked = {"instruction": system, "input": user} if has_system else {"instruction": user, "input": ""}
            line = {**asked, "output": answer}
        case "gemini-preference":
            line = {
                "system_instruction": {"parts": [{"text": system}]},
                "contents": [_content("user", user)],
                "completions": [
                    {"score": 1, "completion": _content("model", answer)},
                    {"score": 0, "completion": _content("model", _rejected(example))},
                ],
            }
        case "trl-preference":
            line = {
                "prompt": _messages(*prompt),
                "chosen": _answer(answer),
                "rejected": _answer(_rejected(example)),
            }
        case _:
            assert_never(format_)
    return orjson.dumps(line)


def encode_columns(columns: dict[str, pa.Array]) -> tuple[pa.LargeStringArray, list[Numbers]]:
    """Return each row as JSON, with the column names as keys, and the number of characters of each text by column.

    The bytes are the same as those of `encode`, but Polars encodes all rows in a few calls.
    """
    import polars as pl  # imported here because it starts threads, and no process with threads may fork workers

    frame = pl.DataFrame(pa.table(columns))
    lines = frame.select(pl.struct(pl.all()).struct.json_encode()).to_series()
    lengths = [texts.str.len_chars().to_numpy() for texts in frame]
    return lines.to_arrow(compat_level=pl.CompatLevel.oldest()), lengths


def parse_line(format_: Format, line: bytes) -> Example:
    """Return the example of a line, which is checked against the record type of the format.

    Raises TuningError if the line does not match the format.
    """
    try:
        record = _decoder(format_).decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TuningError(f"a line does not match the format {format_}: {error}", _AGAIN) from None
    return _example(record)


def _example(record: Line) -> Example:
    match record:
        case records.NotebookLine():
            return Example((Message("user", record.input_text_instruct),), record.output_text)
        case records.TextBisonLine():
            return Example((Message("user", record.input_text),), record.output_text)
        case records.GeminiLine(contents=[records.Content("user", question), records.Content("model", answer)]):
            system = record.systemInstruction
            return _asked(_text(system.parts) if system else None, _text(question), _text(answer))
        case records.MessagesLine(messages=[*prompt, Message("assistant", answer)]) if _asks(prompt):
            return Example(tuple(prompt), answer)
        case records.PromptCompletionLine(prompt=prompt, completion=[Message("assistant", answer)]) if _asks(prompt):
            return Example(tuple(prompt), answer)
        case records.ShareGptLine(
            conversations=[records.Turn("system", text), records.Turn("human", user), records.Turn("gpt", answer)]
        ):
            return _asked(text, user, answer)
        case records.ShareGptLine(conversations=[records.Turn("human", user), records.Turn("gpt", answer)]):
            return _asked(None, user, answer)
        case records.AlpacaLine(input=""):
            return _asked(None, record.instruction, record.output)
        case records.AlpacaLine():
            return _asked(record.instruction, record.input, record.output)
        case records.GeminiPreferenceLine(contents=[records.Content("user", question)], completions=[good, bad]) if (
            good.score == 1 and bad.score == 0 and good.completion.role == bad.completion.role == "model"
        ):
            answers = (_text(one.completion.parts) for one in (good, bad))
            return _asked(_text(record.system_instruction.parts), _text(question), *answers)
        case records.TrlPreferenceLine(
            prompt=prompt, chosen=[Message("assistant", chosen)], rejected=[Message("assistant", rejected)]
        ) if _asks(prompt):
            return Example(tuple(prompt), chosen, rejected)
        case _:
            raise TuningError(
                f"a line of the dataset is not a question with its answer (it was read as {type(record).__name__})",
                _AGAIN,
            )


def _asked(system: str | None, user: str, *answers: str) -> Example:
    instructed = [] if system is None else [Message("system", system)]
    return Example((*instructed, Message("user", user)), *answers)


def _system(example: Example) -> str:
    """Return the system message, or '' if there is none."""
    return example.prompt[0].content if len(example.prompt) > 1 else ""


def _asks(prompt: list[Message]) -> bool:
    return [message.role for message in prompt] in (["system", "user"], ["user"])


def _text(parts: list[records.Part]) -> str:
    return "".join(part.text for part in parts)


def _messages(*messages: Message) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _answer(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _content(role: str, text: str) -> dict[str, object]:
    return {"role": role, "parts": [{"text": text}]}


def _rejected(example: Example) -> str:
    if example.rejected is None:
        raise ValueError("a preference format needs a rejected answer")
    return example.rejected


@functools.cache
def _decoder(format_: Format) -> msgspec.json.Decoder[Line]:
    return msgspec.json.Decoder(records.LINES[format_])
