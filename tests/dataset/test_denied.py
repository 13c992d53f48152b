"""Posts on the deny list are in no new dataset, and each one is counted."""

from pathlib import Path
from typing import Any

import pytest

from tests.dataset.folders import dropped, fingerprint, texts, written_ids
from tests.marts import preference_row, row, write_snapshot
from tuning.dataset.create import create_dataset
from tuning.dataset.dataset import Dataset
from tuning.dataset.denied import FILE, Denied, deny, deny_list
from tuning.dataset.options import resolve_options
from tuning.errors import TuningError
from tuning.settings import Settings

ROWS = [row(number) for number in range(1, 61)]


def denied(settings: Settings, *posts: int, site: str = "") -> None:
    for post in posts:
        deny(settings, Denied(post_id=post, site=site, reason="the author asked"))


def made(settings: Settings, rows: list[dict[str, Any]] = ROWS, **given: Any) -> Dataset:
    kind = "preferences" if "rejected_answer_id" in rows[0] else "instructions"
    snapshot = write_snapshot(settings.home / "snapshots" / kind, rows, kind=kind)  # type: ignore[arg-type]
    return create_dataset(settings, snapshot, resolve_options(**given), 1)


def test_a_denied_question_and_the_question_of_a_denied_answer_are_left_out_and_counted(settings: Settings) -> None:
    before = made(settings)
    denied(settings, 7, 1_000_009)
    after = made(settings)
    assert written_ids(before) - written_ids(after) == {7, 9}
    assert dropped(after) == {"forgotten post": 2}
    assert after.id != before.id
    card = (after.folder / "README.md").read_text()
    assert "| deny list | forgotten post | 2 |" in card
    for name in fingerprint(after.folder):  # neither the text nor the id is left
        content = (after.folder / name).read_text()
        assert "n7x1 " not in content
        assert "1000009" not in content
    assert after.manifest.options["deny_list"]["posts"] == 2  # type: ignore[index]


def test_a_list_without_posts_of_the_mart_changes_no_byte_and_no_id(settings: Settings, tmp_path: Path) -> None:
    before = made(settings)
    other = Settings(home=tmp_path / "other")
    denied(other, 999_999)
    denied(other, 7, site="cardano.stackexchange.com")  # the same id, but of another site
    after = made(other)
    assert after.id == before.id
    assert fingerprint(after.folder) == fingerprint(before.folder)


def test_a_limit_chooses_from_the_posts_that_are_not_denied(settings: Settings) -> None:
    first = written_ids(made(settings, limit=20))
    denied(settings, min(first))
    second = written_ids(made(settings, limit=20))
    assert len(second) == 20
    assert first - second == {min(first)}


def test_no_preset_format_or_answer_brings_a_denied_post_back(settings: Settings) -> None:
    denied(settings, 7, 1_000_010, site="stackoverflow.com")  # answer 1000010 is rejected by question 9, accepted by 10
    pairs = [preference_row(number) for number in range(1, 61)]
    assert {7, 9, 10}.isdisjoint(written_ids(made(settings, pairs, format="trl-preference")))
    seed = made(settings, preset="seed")
    assert {7, 10}.isdisjoint(written_ids(seed))
    assert not [one for split in ("train", "eval") for one in texts(seed, split) if "n7x1 " in one[0]]


def test_if_every_post_is_denied_one_line_says_so(settings: Settings) -> None:
    denied(settings, *range(1, 61))
    with pytest.raises(TuningError, match="the filters and the deny list reject all rows"):
        made(settings)


def test_the_list_keeps_the_datasets_of_a_post_that_is_denied_again(settings: Settings) -> None:
    deny(settings, Denied(post_id=7, reason="first", datasets=["b"]))
    deny(settings, Denied(post_id=8))
    deny(settings, Denied(post_id=7, reason="second", datasets=["a"]))
    assert [(one.post_id, one.reason, one.datasets) for one in deny_list(settings)] == [
        (8, "", []),
        (7, "second", ["a", "b"]),
    ]


@pytest.mark.parametrize("content", [b"", b"{}", b'{"posts": [{"post_id": -1}]}', b'{"format_version": 99}'])
def test_a_damaged_list_stops_the_dataset_in_one_line(content: bytes, settings: Settings) -> None:
    settings.models_dir.mkdir(parents=True)
    (settings.models_dir / FILE).write_bytes(content)
    with pytest.raises(TuningError, match=FILE) as error:
        made(settings)
    assert "\n" not in str(error.value)
