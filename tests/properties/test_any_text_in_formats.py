"""An example with any texts is one line of JSON in every format, and parses back to the same example."""

import json

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from tests.properties.any_text import any_text, attempt
from tuning.dataset.formats.codec import (
    ONE_TEXT,
    as_prompt,
    encode,
    encode_columns,
    instruction,
    parse_line,
    question_of,
)
from tuning.dataset.formats.records import FORMATS, PREFERENCE_FORMATS, Example, Format, Message

formats = st.sampled_from(FORMATS)
LONG = "é\x00\u2028<|im_end|>" * 100_000


@given(formats, any_text, any_text, any_text, any_text, any_text)
@example("messages", "", "", "", "", "")
@example("gemini", "", " ", "\n", " ", "\t")
@example("trl-preference", "T", "t", LONG, LONG, LONG)
def test_any_example_is_one_line_that_reads_back(
    format_: Format, template: str, title: str, body: str, answer: str, rejected: str
) -> None:
    one = Example(
        as_prompt(format_, template, title, body), answer, rejected if format_ in PREFERENCE_FORMATS else None
    )
    line = encode(format_, one)
    assert len(line.splitlines()) == 1
    assert isinstance(json.loads(line), dict)
    assert parse_line(format_, line) == one
    assert question_of(format_, template, one) == f"{title}\n\n{body}"


@given(st.sampled_from(sorted(ONE_TEXT)), st.lists(st.tuples(any_text, any_text), min_size=1, max_size=6))
def test_columns_are_encoded_as_single_examples_are(format_: Format, texts: list[tuple[str, str]]) -> None:
    columns = {name: pa.array([pair[at] for pair in texts]) for at, name in enumerate(ONE_TEXT[format_])}
    lines, lengths = encode_columns(columns)
    assert [line.encode() for line in lines.to_pylist()] == [
        encode(format_, Example((Message("user", question),), answer)) for question, answer in texts
    ]
    assert [some.tolist() for some in lengths] == [[len(pair[at]) for pair in texts] for at in range(2)]


@given(formats, st.binary(max_size=60) | any_text.map(str.encode))
def test_any_other_line_is_refused_in_one_line(format_: Format, content: bytes) -> None:
    _, line = attempt(lambda: parse_line(format_, content))
    assert "invoke dataset" in line


@given(formats, st.data())
def test_a_damaged_line_is_an_example_or_refused_in_one_line(format_: Format, data: st.DataObject) -> None:
    rejected = "no" if format_ in PREFERENCE_FORMATS else None
    line = bytearray(encode(format_, Example(as_prompt(format_, "T", "t", "b"), "a", rejected)))
    for _ in range(data.draw(st.integers(1, 3))):
        line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    again, _ = attempt(lambda: parse_line(format_, bytes(line)))
    assert again is None or parse_line(format_, encode(format_, again)) == again


@given(any_text)
def test_the_instruction_of_a_template_is_its_own_instruction(template: str) -> None:
    assert instruction(template) == instruction(template).strip()
    assert instruction(template) in template
