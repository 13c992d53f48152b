"""Test the rules that a person adds in a file."""

import time
from pathlib import Path

import pytest

from tests.marts import TEMPLATE
from tuning.dataset.options import DatasetOptions, dataset_id, resolve_options
from tuning.dataset.redact.own_rules import load_rules
from tuning.dataset.redact.redact import redact
from tuning.dataset.rows.pairs import Pair, Rules, clean_and_filter
from tuning.errors import TuningError

TICKETS = """
[[rule]]
name = "TICKET"
pattern = 'ticket (?P<secret>ACME-\\d{4})'
keywords = ["ACME-"]

[[rule]]
name = "HOST"
pattern = '\\w+\\.corp\\.acme\\.com'
placeholder = "host.example.com"
"""


def write(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(content, encoding="utf-8")
    return path


def test_a_group_or_the_whole_match_is_replaced_by_the_placeholder(tmp_path: Path) -> None:
    rules = load_rules(write(tmp_path, TICKETS))
    text, kinds = redact("Für ticket ACME-1234 😀 see db1.corp.acme.com, not ACME-1234.", rules)
    assert text == "Für ticket <TICKET> 😀 see host.example.com, not ACME-1234."
    assert kinds == ("TICKET", "HOST")
    assert redact("ticket AC ME-1234", rules) == ("ticket AC ME-1234", ())


def test_rules_of_the_file_come_before_the_other_kinds(tmp_path: Path) -> None:
    rules = load_rules(write(tmp_path, '[[rule]]\nname = "STAFF"\npattern = "[a-z]+@acme-mail[.]com"\n'))
    assert redact("ann@acme-mail.com, joe@other-mail.com", rules)[0] == "<STAFF>, <EMAIL>"


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("[[rule]\n", "rules.toml"),
        ("", "missing required field `rule`"),
        ("rule = []", "length >= 1"),
        ('[[rule]]\nname = "A1"\n', "missing required field `pattern`"),
        ('[[rule]]\nname = "a b"\npattern = "x"\n', "matching regex"),
        ('[[rule]]\nname = "A1"\npatern = "x"\n', "unknown field `patern`"),
        ('[[rule]]\nname = "A1"\npattern = 3\n', "Expected `str`"),
        ('[[rule]]\nname = "A1"\npattern = "(a"\n', r"rule 1 \(A1\) is not valid in RE2: missing \)"),
        ('[[rule]]\nname = "A1"\npattern = "(?=a)"\n', "invalid perl operator"),
        ('[[rule]]\nname = "A1"\npattern = "a*"\n', "matches an empty text"),
        ('[[rule]]\nname = "A1"\npattern = "a"\nplaceholder = "<s>"\n', "placeholder of rule 1"),
        ('[[rule]]\nname = "A1"\npattern = "a"\nplaceholder = "```"\n', "placeholder of rule 1"),
        ('[[rule]]\nname = "A1"\npattern = "a"\nkeywords = [""]\n', "length >= 1"),
        (f"rule = {'9' * 5000}", "integer string conversion"),
        (f"rule = {'[' * 9999}", "recursion"),
    ],
)
def test_a_file_that_is_not_valid_is_one_clear_line(tmp_path: Path, content: str, part: str) -> None:
    with pytest.raises(TuningError, match=part) as error:
        resolve_options(redact_rules=str(write(tmp_path, content)))
    assert str(error.value).startswith("--redact-rules: ")
    assert "\n" not in str(error.value)


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(TuningError, match=r"nothing\.toml cannot be read"):
        resolve_options(redact_rules=str(tmp_path / "nothing.toml"))


def test_no_pattern_can_block_the_run(tmp_path: Path) -> None:
    content = '[[rule]]\nname = "LOOP"\npattern = "(x+x+)+y"\n\n[[rule]]\nname = "MANY"\npattern = "z(.*q)?"\n'
    loop, many = load_rules(write(tmp_path, content))
    started = time.process_time()
    assert redact("x" * 100_000, [loop])[1] == ()
    with pytest.raises(TuningError, match="MANY matches more than 5,000 places in one post"):
        redact("z" * 30_000, [many])
    assert time.process_time() - started < 10


def test_the_content_of_the_file_is_part_of_the_id_and_the_seed_preset_refuses_it(tmp_path: Path) -> None:
    def identity(options: DatasetOptions) -> str:
        return dataset_id("0", options.recorded(), {}, {})

    path = write(tmp_path, TICKETS)
    first = identity(resolve_options(redact_rules=str(path)))
    path.write_text(TICKETS.replace("ticket ", ""))
    assert first not in (identity(resolve_options(redact_rules=str(path))), identity(resolve_options()))
    assert "redact_rules" not in resolve_options().recorded()
    with pytest.raises(TuningError, match="--preset seed sets --redact-rules itself"):
        resolve_options("seed", redact_rules=str(path))


def test_pairs_are_redacted_by_the_rules_and_counted(tmp_path: Path) -> None:
    options = resolve_options(redact_rules=str(write(tmp_path, TICKETS)))
    question = "<p>How do I close ticket ACME-1234 on db1.corp.acme.com with a script in Python?</p>"
    pair = Pair(0, "Closing ticket ACME-1234", question, "<p>Call the function for it, then close the file.</p>")
    clean_and_filter([pair], Rules(options=options, template=TEMPLATE, base_url="https://stackoverflow.com"))
    assert pair.title == "Closing ticket <TICKET>"
    assert pair.changes == ["converted to Markdown", "redacted 1 HOST", "redacted 2 TICKET"]
