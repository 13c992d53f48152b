"""The sample: natural questions, escaped answers, the same on every run."""

import html
import logging
import os
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tuning.settings import PROJECT_ROOT
from tuning.sources.sample import docs
from tuning.sources.sample.docs import Entry, entries
from tuning.sources.sample.markup import inline, to_html
from tuning.sources.sample.rows import AUTHOR, FIRST_ID, sample_rows
from tuning.sources.sample.wording import question

Threads = list[tuple[dict[str, Any], list[dict[str, Any]]]]


@pytest.fixture(scope="module")
def threads() -> Threads:
    return list(sample_rows(2500, "3.11"))


def test_it_is_the_same_in_every_process_folder_and_home(tmp_path: Path) -> None:
    code = (
        "import hashlib, sys; from tuning.sources.sample.rows import sample_rows;"
        "print(hashlib.sha256(repr(list(sample_rows(10**6, '3.11'))).encode()).hexdigest())"
    )
    outputs = set()
    for seed in ("1", "2"):
        environment = os.environ | {
            "PYTHONHASHSEED": seed,
            "HOME": str(tmp_path / seed),
            "LC_ALL": "C",
        }
        command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(PROJECT_ROOT)!r}); {code}"]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        outputs.add((done.stdout, done.stderr))
    ((digest, errors),) = outputs
    assert len(digest.strip()) == 64
    assert errors == ""


def test_its_making_prints_nothing_and_opens_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert entries()
    assert capfd.readouterr() == ("", "")
    code = f"import runpy, sys; runpy.run_path({docs.__file__!r})['_collect'](); print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert "'json'" in loaded.stdout
    for module in ("antigravity", "this", "turtle", "tkinter", "readline", "idlelib"):
        assert f"'{module}'" not in loaded.stdout


def test_what_libraries_put_into_the_standard_library_is_not_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def shout(self: logging.Logger, text: str) -> None:
        """Log the text in capital letters, as only some library does."""

    monkeypatch.setattr(logging.Logger, "shout", shout, raising=False)
    assert not [entry for entry in entries() if entry.name == "shout"]


def test_there_are_enough_questions_and_every_third_has_a_worse_answer(threads: Threads) -> None:
    assert len(threads) == 2500
    assert all(answers[0]["id"] == asked["accepted_answer_id"] for asked, answers in threads)
    second = [answers for _, answers in threads if len(answers) == 2]
    assert 700 < len(second) < 1000
    assert all(better["score"] - worse["score"] >= 4 for better, worse in second)
    assert all(asked["answer_count"] == len(answers) for asked, answers in threads)


def test_ids_are_outside_any_sites_range_and_met_once(threads: Threads) -> None:
    numbers = [post["id"] for asked, answers in threads for post in (asked, *answers)]
    assert len(set(numbers)) == len(numbers)
    assert min(numbers) >= FIRST_ID
    assert max(numbers) < FIRST_ID + 10**6
    assert all(answer["parent_id"] == asked["id"] for asked, answers in threads for answer in answers)


def test_dates_are_spread_over_the_years_since_2020(threads: Threads) -> None:
    years = Counter(asked["creation_date"].year for asked, _ in threads)
    assert sorted(years) == [2020, 2021, 2022, 2023]
    assert all(a["creation_date"] > asked["creation_date"] for asked, answers in threads for a in answers)
    assert all(asked["creation_date"].utcoffset().total_seconds() == 0 for asked, _ in threads)


def test_every_question_is_tagged_python_and_with_a_page_and_written_by_the_documentation(threads: Threads) -> None:
    assert all(re.fullmatch(r"python\|[a-z0-9_.]+", asked["tags"]) for asked, _ in threads)
    assert {"python|json", "python|pathlib", "python|functions", "python|stdtypes"} <= {a["tags"] for a, _ in threads}
    assert {post["owner_display_name"] for asked, answers in threads for post in (asked, *answers)} == {AUTHOR}


def test_a_smaller_sample_is_the_beginning_of_a_larger_one(threads: Threads) -> None:
    assert list(sample_rows(100, "3.11")) == threads[:100]


def test_nothing_of_this_machine_is_in_it(threads: Threads) -> None:
    text = "\n".join(post["body"] for asked, answers in threads for post in (asked, *answers))
    assert not re.search(r" at 0x[0-9a-f]{4}", text)
    for path in (sys.prefix, sys.executable, str(Path.home()), str(PROJECT_ROOT)):
        assert path not in text or path in ("/usr", "/root")


class Balance(HTMLParser):
    """Collects the open elements; the list is empty at the end of balanced HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.met: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)
        self.met.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_bodies_are_balanced_html_of_stack_overflows_elements(threads: Threads) -> None:
    met: set[str] = set()
    for asked, answers in threads:
        for post in (asked, *answers):
            balance = Balance()
            balance.feed(post["body"])
            assert balance.open == []
            met |= balance.met
    assert met == {"p", "pre", "code", "ul", "li", "em", "a"}


def test_titles_read_as_questions_of_a_fitting_length(threads: Threads) -> None:
    titles = [asked["title"] for asked, _ in threads]
    assert all(15 <= len(title) <= 150 for title in titles if not title.startswith("What is"))
    assert all("`" not in title and "<code>" not in title and "\n" not in title for title in titles)
    openings = Counter(title.split()[0] for title in titles)
    assert openings.most_common(1)[0][1] < len(titles) / 2


def test_few_are_near_duplicates_of_another(threads: Threads) -> None:
    for texts in ([a["title"] + " " + a["body"] for a, _ in threads], [answers[0]["body"] for _, answers in threads]):
        assert _near_duplicates(texts) < len(threads) / 200


def _near_duplicates(texts: list[str]) -> int:
    """Pairs whose sets of 5-word shingles have a Jaccard index of at least 0.8."""
    seen: dict[tuple[str, ...], list[int]] = {}
    sets = []
    pairs = 0
    for number, text in enumerate(texts):
        words = re.findall(r"\w+", html.unescape(re.sub(r"<[^>]+>", "", text)).lower())
        shingles = {tuple(words[start : start + 5]) for start in range(max(1, len(words) - 4))}
        shared = Counter(other for shingle in shingles for other in seen.get(shingle, ()))
        pairs += sum(n / (len(shingles) + len(sets[other]) - n) >= 0.8 for other, n in shared.items())
        sets.append(shingles)
        for shingle in shingles:
            seen.setdefault(shingle, []).append(number)
    return pairs


def test_most_are_short_enough_for_a_quick_run(threads: Threads) -> None:
    lengths = [len(re.sub(r"<[^>]+>", "", a["title"] + a["body"] + answers[0]["body"])) for a, answers in threads]
    assert sum(length < 750 for length in lengths) > 2000  # about 256 tokens with a template of 40


def test_a_docstring_becomes_paragraphs_lists_and_code_with_everything_escaped() -> None:
    doc = (
        "Return `a` if ``a < b``, else *b*.\n\nUsage::\n\n    x = f(1 & 2)\n\n    y = x\n\n"
        "- one <item>\n  that goes on\n- two\n\n>>> f('<')\n'&lt;'\nMore words\nhere:\n  indented"
    )
    assert to_html(doc) == (
        "<p>Return <code>a</code> if <code>a &lt; b</code>, else <em>b</em>.</p>\n<p>Usage:</p>\n"
        "<pre><code>x = f(1 &amp; 2)\n\ny = x\n</code></pre>\n"
        "<ul>\n<li>one &lt;item&gt; that goes on</li>\n<li>two</li>\n</ul>\n"
        "<pre><code>&gt;&gt;&gt; f('&lt;')\n'&amp;lt;'\nMore words\nhere:\n  indented\n</code></pre>\n"
    )


def test_names_with_their_meaning_below_keep_their_shape() -> None:
    assert to_html("path\n  Where.\nmode\n  How.") == "<pre><code>path\n  Where.\nmode\n  How.\n</code></pre>\n"


def test_what_a_function_does_is_what_is_asked_for() -> None:
    entry = Entry("json", "json", "dumps", "", "function", "(obj)", "Returns the text of ``obj`` <as JSON>.\n\nMore.")
    asked = question(entry)
    assert "get the text of obj <as JSON>" in asked.title
    assert "get the text of <code>obj</code> &lt;as JSON&gt;" in asked.body
    other = question(Entry("abc", "abc", "ABC", "", "class", "", "Helper class that provides a standard way."))
    assert "abc.ABC" in other.title + other.body


def test_inline_marks() -> None:
    assert inline("`f' and ``g``, not *args or a*b*c") == "<code>f</code> and <code>g</code>, not *args or a*b*c"
