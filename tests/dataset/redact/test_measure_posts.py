"""Test how labels and redactions are compared, on invented posts."""

from pathlib import Path

import pytest

from tests.dataset.redact.measure_posts import Counts, measure, read_labels, table
from tests.dataset.redact.posts import plain_text

POSTS = {
    "a": "Write to jo.doe@mailbox.org or look into /home/jdoe/x; jdoe@host:~$ ls",
    "b": "login('joe', 'Kx93" + "mQvT7z') and password = 'hidden here'",
    "c": "nothing",
}


def test_labels_and_redactions_are_counted_by_kind() -> None:
    labels = {
        "a": [(9, 27, "email"), (47, 51, "name-in-path")],
        "b": [(14, 24, "password"), (42, 53, "password")],
        "c": [],
    }
    assert POSTS["a"][47:51] == "jdoe"
    counts = measure(POSTS, labels)
    assert counts["email"] == Counts(labelled=1, found=1, replaced=1, right=1)
    assert counts["name-in-path"] == Counts(labelled=1, found=1, replaced=2, right=2)
    assert counts["password"] == Counts(labelled=2, found=1, replaced=1, right=1)
    assert measure(POSTS, {"a": []})["email"] == Counts(labelled=0, found=0, replaced=1, right=0)
    unlabelled = list(table(measure(POSTS, {"a": []})))[-1]
    assert unlabelled.startswith(
        "1 of 1 replaced emails have no label, so they count as wrong: readers left out invented"
    )
    assert not any("no label" in line for line in table(counts))
    assert list(table(counts))[1].split()[:7] == ["password", "2", "1", "0.500", "1", "1", "1.000"]


def test_the_text_of_a_post_marks_code_and_links() -> None:
    html = '<p>See <a href="https://x.org">it</a> &amp; <code>a &lt; b</code></p>\n<pre><code>x = 1\n</code></pre>'
    assert plain_text(html) == "See [it](https://x.org) & `a < b`\n\n\n```\nx = 1\n```"


def test_labels_of_unknown_kinds_and_missing_labels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    with pytest.raises(SystemExit, match="there are no labels"):
        read_labels(path)
    path.write_text('{"a": [[0, 1, "adress"]]}')
    with pytest.raises(SystemExit, match="unknown kinds: adress"):
        read_labels(path)
