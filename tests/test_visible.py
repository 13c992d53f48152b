"""Characters that hide or reorder text: what a person reads shows them, and what a model reads keeps them."""

import subprocess
from pathlib import Path

import pytest

from tests.dataset.folders import made
from tests.evaluation.test_report import inputs
from tests.marts import row, words
from tests.test_command_line import invoke
from tuning.evaluation.report import as_html, as_markdown
from tuning.visible import visible, visible_output

BIDI = "\u202e"
ZERO_WIDTH = "\u200b"


@pytest.mark.parametrize(
    "character", [*"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200d\ufeff\x1b\x07\x9b"]
)
def test_a_character_that_deceives_is_shown_by_its_number(character: str) -> None:
    assert visible(f"a{character}b") == f"a{{U+{ord(character):04X}}}b"


def test_other_text_stays_as_it_is() -> None:
    text = "tabs\tand lines\r\nand “quotes”, é, e\u0301, 漢字, עברית, العربية, 👍🏽 and ❤\ufe0f"
    assert visible(text) == text
    assert visible("good\rbad") == "good{U+000D}bad"


def test_a_message_on_the_terminal_shows_them(tmp_path: Path) -> None:
    path = tmp_path / f"stmp{BIDI}lmx.7z"
    path.write_text("not an archive")
    result: subprocess.CompletedProcess[str] = invoke("ingest", str(path), TUNING_HOME=str(tmp_path / "home"))
    assert result.returncode == 1
    assert result.stderr.startswith("error: stmp{U+202E}lmx.7z is not a readable 7z archive")
    assert BIDI not in result.stdout + result.stderr


def test_what_a_command_prints_shows_them(capsys: pytest.CaptureFixture[str]) -> None:
    with visible_output():
        print(f"a{ZERO_WIDTH}\x1b[31mb")
    assert capsys.readouterr().out == "a{U+200B}{U+001B}[31mb\n"


def test_the_card_shows_and_counts_them_and_the_examples_keep_them(tmp_path: Path) -> None:
    rows = [row(number) for number in range(1, 61)]
    for one in rows[:7]:
        one["question_title"] += f" {BIDI}backwards{BIDI}"
        one["answer_body"] += f"<p>{words(one['answer_id'])}{ZERO_WIDTH}x</p>"
    rows[20]["question_author_name"] = f"Ann{BIDI}"
    rows[30]["tags"] = ["python", f"pan{ZERO_WIDTH}das"]
    dataset = made(tmp_path / "with", rows)
    card, page = ((dataset.folder / name).read_text() for name in ("README.md", "card.html"))
    assert BIDI not in card + page
    assert ZERO_WIDTH not in card + page
    assert "pan{U+200B}das" in page
    examples = "".join((dataset.folder / f"{split}.jsonl").read_text() for split in ("train", "eval"))
    attribution = (dataset.folder / "attribution.jsonl").read_text()
    count = sum(
        BIDI in line or f"Ann{BIDI}" in about
        for line, about in zip(examples.splitlines(), attribution.splitlines(), strict=True)
    )
    assert count > 1
    assert f"| U+202E right-to-left override | {count} |" in card
    assert f'<td>U+202E right-to-left override</td><td class="number">{count}</td>' in page
    assert "U+200B zero width space" in card
    assert "hide or reorder text" not in (made(tmp_path / "without", rows[40:]).folder / "README.md").read_text()


def test_the_report_shows_them_in_the_answers_of_a_model() -> None:
    shown = inputs(answer=f"use {BIDI}tsil a{ZERO_WIDTH}")
    assert "use {U+202E}tsil a{U+200B}" in as_html(shown)
    for text in (as_html(shown), as_markdown(shown)):
        assert not {BIDI, ZERO_WIDTH} & set(text)
