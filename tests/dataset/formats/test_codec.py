"""A line of each format has the documented form, and parses back to the same example."""

import json
import sys

import pyarrow as pa
import pytest

from tests.marts import TEMPLATE
from tuning.dataset.formats.codec import as_prompt, encode, encode_columns, instruction, parse_line, question_of
from tuning.dataset.formats.records import FORMATS, PREFERENCE_FORMATS, Example, Format, Message
from tuning.errors import TuningError

SYSTEM = (
    "Please answer the following Stackoverflow question on Python. "
    "Answer it like you are a developer answering Stackoverflow questions."
)
EXPECTED: dict[Format, dict[str, object]] = {
    "notebook": {"input_text_instruct": f"{TEMPLATE} T\n\nB", "output_text": "A"},
    "text-bison": {"input_text": f"{TEMPLATE} T\n\nB", "output_text": "A"},
    "gemini": {
        "systemInstruction": {"parts": [{"text": SYSTEM}]},
        "contents": [
            {"role": "user", "parts": [{"text": "T\n\nB"}]},
            {"role": "model", "parts": [{"text": "A"}]},
        ],
    },
    "messages": {
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": "T\n\nB"},
            {"role": "assistant", "content": "A"},
        ]
    },
    "prompt-completion": {
        "prompt": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "T\n\nB"}],
        "completion": [{"role": "assistant", "content": "A"}],
    },
    "sharegpt": {
        "conversations": [
            {"from": "system", "value": SYSTEM},
            {"from": "human", "value": "T\n\nB"},
            {"from": "gpt", "value": "A"},
        ]
    },
    "alpaca": {"instruction": SYSTEM, "input": "T\n\nB", "output": "A"},
    "gemini-preference": {
        "system_instruction": {"parts": [{"text": SYSTEM}]},
        "contents": [{"role": "user", "parts": [{"text": "T\n\nB"}]}],
        "completions": [
            {"score": 1, "completion": {"role": "model", "parts": [{"text": "A"}]}},
            {"score": 0, "completion": {"role": "model", "parts": [{"text": "R"}]}},
        ],
    },
    "trl-preference": {
        "prompt": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "T\n\nB"}],
        "chosen": [{"role": "assistant", "content": "A"}],
        "rejected": [{"role": "assistant", "content": "R"}],
    },
}


def example(format_: Format, title: str = "T", body: str = "B", answer: str = "A") -> Example:
    rejected = "R" if format_ in PREFERENCE_FORMATS else None
    return Example(as_prompt(format_, TEMPLATE, title, body), answer, rejected)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_line_is_as_documented_and_reads_back(format_: Format) -> None:
    line = encode(format_, example(format_))
    assert json.loads(line) == EXPECTED[format_]
    assert parse_line(format_, line) == example(format_)
    assert question_of(format_, TEMPLATE, example(format_)) == "T\n\nB"


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("text", ['" \\ / \x7f \u2028 é 漢 🐍', "```python\nprint('x')\n```", "a\r\nb\tc"])
def test_any_text_reads_back_unchanged_from_one_line(format_: Format, text: str) -> None:
    made = example(format_, body=text, answer=text)
    assert b"\n" not in encode(format_, made)
    assert parse_line(format_, encode(format_, made)) == made


@pytest.mark.parametrize(
    ("format_", "line"),
    [
        ("notebook", b'{"input_text":"q","output_text":"a"}'),
        ("messages", b'{"messages":[{"role":"assistant","content":"a"},{"role":"user","content":"q"}]}'),
        ("messages", b'{"messages":[{"role":"user","content":1},{"role":"assistant","content":"a"}]}'),
        ("messages", b'{"messages":[{"role":"user","content":"q"}'),
        ("sharegpt", b'{"conversations":[{"from":"human","value":"q"},{"from":"human","value":"a"}]}'),
        ("alpaca", b'{"instruction":"i","input":"q"}'),
        ("gemini", b'{"systemInstruction":{"parts":[{"text":"s"}]},"contents":[]}'),
        ("gemini-preference", encode("gemini-preference", example("gemini-preference")).replace(b":1,", b":0,")),
        ("trl-preference", b'{"prompt":[],"chosen":[],"rejected":[]}'),
    ],
)
def test_a_line_of_another_shape_is_refused(format_: Format, line: bytes) -> None:
    with pytest.raises(TuningError):
        parse_line(format_, line)


def test_html_joins_title_and_body_as_the_seed_does() -> None:
    prompt = as_prompt("notebook", TEMPLATE, "Title", "<p>Body</p>", "html")
    assert prompt[0].content == f"{TEMPLATE} Title<p>Body</p>"


def test_the_instruction_is_the_template_without_the_label_of_the_question() -> None:
    assert instruction(TEMPLATE) == SYSTEM
    assert instruction("Answer briefly.") == "Answer briefly."
    assert instruction("Answer.\n\nBe brief: one line.\n\nQuestion:\n") == "Answer.\n\nBe brief: one line."
    assert instruction("Question:\n") == "Question:"


def test_a_column_at_a_time_gives_the_same_bytes_for_every_character() -> None:
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    questions = ["".join(characters[at : at + 97]) for at in range(0, len(characters), 97)]
    answers = [text[::-1] for text in questions]
    columns = {"input_text": pa.array(questions), "output_text": pa.array(answers)}
    lines, lengths = encode_columns(columns)
    expected = [
        encode("text-bison", Example((Message("user", question),), answer))
        for question, answer in zip(questions, answers, strict=True)
    ]
    assert [line.encode() for line in lines.to_pylist()] == expected
    assert [length.tolist() for length in lengths] == [[len(text) for text in texts] for texts in (questions, answers)]
