"""Every place of a post is found, and what cannot be searched is said; a forgotten post is listed and marked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.invoked import invoke_here
from tests.marts import preference_row, row, words, write_snapshot
from tests.registry.candidates import register
from tuning.dataset.create import create_dataset
from tuning.dataset.dataset import ATTRIBUTION, Dataset
from tuning.dataset.denied import deny_list
from tuning.dataset.options import resolve_options
from tuning.errors import TuningError
from tuning.monitoring.history import RECORD
from tuning.monitoring.tracing.forget import forget
from tuning.monitoring.tracing.post import Post, read_post
from tuning.monitoring.tracing.trace import Trace, trace
from tuning.pipelines.release.record import start_run, write_run
from tuning.registry import registry
from tuning.registry.listing import model_lines
from tuning.registry.model_folder import TRAINED_ON, count_seen
from tuning.settings import Settings
from tuning.tuners.protocol import Model

COPY = 40  # its answer and its question are near copies of those of post 7, and it has other code


def rows() -> list[dict[str, Any]]:
    made = [row(number) for number in range(1, 40)]
    near = row(
        COPY,
        question_body=f"<p>{words(7, 120)}</p>",
        answer_body=f"<p>Do {words(500_007, 120)}</p><pre><code>z = 1\n</code></pre>",
    )
    made[6] |= {
        "question_body": f"<p>{words(7, 120)}</p><pre><code>y = 2\n</code></pre>",
        "answer_body": f"<p>Do {words(500_007, 120)}</p><pre><code>z = 2\n</code></pre>",
    }
    return [*made, near, row(41, quality_reason="score too low")]


@pytest.fixture
def made(settings: Settings) -> Dataset:
    return make(settings, rows())


def make(settings: Settings, made: list[dict[str, Any]], **given: Any) -> Dataset:
    kind = "preferences" if "rejected_answer_id" in made[0] else "instructions"
    snapshot = write_snapshot(settings.home / "snapshots" / kind, made, kind=kind)  # type: ignore[arg-type]
    return create_dataset(settings, snapshot, resolve_options(**given), 1)


def tuned(settings: Settings, tmp_path: Path, name: str, dataset_id: str, **fields: Any) -> str:
    """Register a version that was tuned on the dataset, by the tuner hf."""
    work = tmp_path / name
    work.mkdir()
    (work / "model.bin").write_text(name)
    return register(
        settings, Model(tuner="hf", base_model="small", uri="weights"), work, dataset_id=dataset_id, **fields
    )


def places(found: Trace) -> list[str]:
    """The lines without the paths of this test."""
    return [line.rpartition(", /")[0] if ", /" in line else line for line in found.lines]


@pytest.mark.parametrize(
    ("text", "post"),
    [
        ("123", Post(123)),
        (" 123 ", Post(123)),
        ("https://stackoverflow.com/questions/123/a-title", Post(123, "stackoverflow.com")),
        ("https://stackoverflow.com/questions/123/a-title/?noredirect=1", Post(123, "stackoverflow.com")),
        ("https://stackoverflow.com/questions/123/a-title/456#456", Post(456, "stackoverflow.com")),
        ("https://stackoverflow.com/questions/123/a-title#answer-456", Post(456, "stackoverflow.com")),
        ("https://stackoverflow.com/questions/123/a-title#comment9_456", Post(456, "stackoverflow.com")),
        ("https://www.stackoverflow.com/q/123/77", Post(123, "stackoverflow.com")),
        ("http://cardano.stackexchange.com/a/456/77", Post(456, "cardano.stackexchange.com")),
        ("stackoverflow.com/q/123", Post(123, "stackoverflow.com")),
    ],
)
def test_a_post_is_an_id_or_an_address(text: str, post: Post) -> None:
    assert read_post(text) == post


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "-1", "1.5", "abc", "1" * 30, "https://stackoverflow.com/", "https://stackoverflow.com/users/123"),
        *("https://stackoverflow.com/q/abc", "/q/123", "https://stackoverflow.com/q/123#no-post", "https://[::1"),
        *("file://stackoverflow.com/q/123", "1\uff12", "https://stackoverflow.com/q/1\uff12"),
        *(
            "https://stackoverflow.com./q/123",
            "https://stack overflow.com/q/123",
            "https://\uff33tackoverflow.com/q/123",
        ),
    ],
)
def test_what_names_no_post_is_one_line(text: str) -> None:
    with pytest.raises(TuningError, match="is neither the id nor the address of a post") as error:
        read_post(text)
    assert "\n" not in str(error.value)


def test_each_place_of_a_question_and_its_near_copies_is_named(settings: Settings, made: Dataset) -> None:
    found = trace(settings, Post(7))
    split = next(split for split in ("train", "eval") for one in made.attributions(split) if one.question_id == 7)  # type: ignore[arg-type]
    line = next(one.line for one in made.attributions(split) if one.question_id == 7)  # type: ignore[arg-type]
    assert places(found) == [
        "snapshot instructions: 7-1000007, kept",
        f"dataset {made.id}: {split}, line {line + 1}, 7-1000007",
        "snapshot instructions: 40-1000040, near copy: question 40 (89%)",
        f"dataset {made.id}: {split}, 40-1000040, near copy: question 40 (89%)",
    ]
    assert found.datasets == {made.id: str(made.folder)}
    assert found.unsearched == ["marts: this home has no warehouse"]


def test_an_answer_is_found_by_its_own_id_and_by_its_site_only(settings: Settings, made: Dataset) -> None:
    assert trace(settings, Post(1_000_007, "stackoverflow.com")).datasets.keys() == {made.id}
    copies = [line for line in places(trace(settings, Post(1_000_007))) if "near copy" in line]
    assert [line.partition("near copy: ")[2].split(" (")[0] for line in copies] == ["answer 1000040", "answer 1000040"]
    elsewhere = trace(settings, Post(7, "cardano.stackexchange.com"))
    assert elsewhere.lines == []
    assert "near copies: no mart, snapshot or dataset has the text of the post" in elsewhere.unsearched


def test_a_row_that_a_filter_rejects_is_in_the_snapshot_with_its_reason_and_in_no_dataset(
    settings: Settings, made: Dataset
) -> None:
    found = trace(settings, Post(41))
    assert places(found) == ["snapshot instructions: 41-1000041, left out (score too low)"]
    assert found.datasets == {}


def test_a_rejected_answer_and_a_dataset_of_html_are_searched_too(settings: Settings) -> None:
    pairs = make(settings, [preference_row(number) for number in range(1, 40)], format="trl-preference")
    seed = make(settings, rows(), preset="seed")
    assert trace(settings, Post(1_000_008)).datasets.keys() == {pairs.id, seed.id}  # rejected by 7, accepted by 8
    seven = [line for line in places(trace(settings, Post(7))) if line.startswith(f"dataset {seed.id}")]
    assert any("near copy: question 40" in line for line in seven)


def test_runs_versions_and_what_continues_or_serves_them_are_named(
    settings: Settings, made: Dataset, tmp_path: Path
) -> None:
    folder, record = start_run(settings, "tune_python_qa", made.id)
    write_run(settings, folder, msgspec.structs.replace(record, status="succeeded"))
    start_run(settings, "tune_python_qa", "another")
    first = tuned(settings, tmp_path, "one", made.id)
    second = tuned(settings, tmp_path, "two", "another", options={"continues": first})
    third = tuned(settings, tmp_path, "three", "another")
    registry.promote(settings, second, force=True, reason="a test")
    found = trace(settings, Post(7))
    assert found.runs == [record.id]
    assert found.versions == [first, second]
    assert found.champion == second
    shown = places(found)
    assert f"run {record.id}: on dataset {made.id}, succeeded" in shown
    assert f"model {first}: the post, tuned on dataset {made.id}" in shown
    assert f"model {second}: the post, continues {first}" in shown
    assert f"served as champion: {second}, by `invoke serve` and `invoke predict`" in shown
    assert [line for line in found.unsearched if line.startswith(f"model {third}: its dataset another is not here")]


def test_a_version_whose_dataset_is_gone_is_searched_by_its_list_of_questions(
    settings: Settings, tmp_path: Path
) -> None:
    name = tuned(settings, tmp_path, "one", "gone")
    folder = settings.models_dir / name / "model"
    np.savez(folder / TRAINED_ON, questions=np.array([7]), groups=np.array([7]))
    assert [line for line in places(trace(settings, Post(7))) if line.startswith("model")] == [
        f"model {name}: the post, by its questions"
    ]
    assert trace(settings, Post(8)).versions == []


def encrypted(content: bytes) -> bytes:
    """Set the flag of encryption in the ZIP archive's list of members."""
    at = content.index(b"PK\x01\x02") + 8
    return content[:at] + bytes([content[at] | 1]) + content[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b"NUMPY", b"numpy"),
        encrypted,
    ],
)
def test_a_damaged_list_of_questions_is_named(
    settings: Settings, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    name = tuned(settings, tmp_path, "one", "gone")
    path = settings.models_dir / name / "model" / TRAINED_ON
    np.savez(path, questions=np.array([7]), groups=np.array([7]))
    path.write_bytes(damage(path.read_bytes()))
    assert [line for line in trace(settings, Post(7)).unsearched if "and neither is its list of questions" in line]
    with pytest.raises(TuningError, match=r"trained_on\.npz is missing or damaged"):
        count_seen(path.parent, np.array([7]), np.array([7]))


def test_damaged_and_missing_files_are_named_and_the_rest_is_searched(settings: Settings, made: Dataset) -> None:
    other = make(settings, rows(), limit=20)
    (other.folder / ATTRIBUTION).write_text("{\n")
    (settings.runs_dir / "r1").mkdir(parents=True)
    (settings.runs_dir / "r1" / RECORD).write_text("{")
    found = trace(settings, Post(7))
    assert made.id in found.datasets
    assert [
        line for line in found.unsearched if line.startswith(f"dataset {other.id}: line 1 of") and "damaged" in line
    ]
    assert [line for line in found.unsearched if line.startswith("runs: ") and "damaged" in line]


def test_forget_denies_lists_what_to_make_again_and_marks_the_champion_until_it_is_replaced(
    settings: Settings, made: Dataset, tmp_path: Path
) -> None:
    first = tuned(settings, tmp_path, "one", made.id)
    registry.promote(settings, first, force=True, reason="a test")
    lines = forget(settings, Post(7), "asked\nby\x1b[31m  mail")
    assert [(one.post_id, one.reason, one.datasets) for one in deny_list(settings)] == [
        (7, "asked by{U+001B}[31m mail", [made.id])
    ]
    assert f"make again: dataset {made.id}, {made.folder}" in lines
    assert f"make again: model {first} (champion)" in lines
    marked = "was tuned on forgotten posts (7): replace it"
    assert [line for line in model_lines(settings) if marked in line and line.startswith(f"! {first} ")]
    again = make(settings, rows())
    assert trace(settings, Post(7)).datasets.keys() == {made.id}
    assert again.id != made.id
    second = tuned(settings, tmp_path, "two", again.id)
    registry.promote(settings, second, force=True, reason="a test")
    assert not [line for line in model_lines(settings) if "replace it" in line]
    assert [line for line in model_lines(settings) if line.startswith(f"! {first} ")]  # no longer the champion


def test_a_post_that_is_nowhere_can_be_forgotten_but_not_without_a_reason(settings: Settings) -> None:
    with pytest.raises(TuningError, match="forget needs --reason"):
        forget(settings, Post(7), " \n ")
    assert deny_list(settings) == []
    assert not [line for line in forget(settings, Post(7), "asked") if line.startswith("make again")]
    assert [one.post_id for one in deny_list(settings)] == [7]


def test_the_commands_take_an_address(settings: Settings, made: Dataset) -> None:
    address = "https://stackoverflow.com/questions/7/how#7"
    assert "post 7 of stackoverflow.com: found in these places" in invoke_here("trace", address).stdout
    assert (
        "post 7 of stackoverflow.com is on the deny list" in invoke_here("forget", address, "--reason", "asked").stdout
    )
