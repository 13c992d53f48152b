"""Test that duplicates are dropped, groups are not divided, and the leak check finds every leak."""

import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from tests.dataset.folders import dropped, made, texts, written_ids
from tests.marts import TEMPLATE, jaccard, row, words
from tuning.dataset.leaks.check import Leaks, find_leaks, refuse_leaks
from tuning.dataset.leaks.lines import Written
from tuning.dataset.options import DatasetOptions
from tuning.dataset.similar.minhash import band_hashes, near_pairs
from tuning.dataset.similar.shingles import Shingle, is_short, shingles
from tuning.dataset.workspace.parallel import Workers
from tuning.dataset.workspace.store import FolderStore
from tuning.errors import TuningError


def near_across(left: list[str], right: list[str]) -> int:
    """Count the texts of `right` with a near duplicate in `left`. Compares all pairs that have a shingle in common."""
    sets = [shingles(text) for text in left]
    having: dict[Shingle, set[int]] = {}
    for number, one in enumerate(sets):
        for shingle in one:
            having.setdefault(shingle, set()).add(number)
    count = 0
    for text in right:
        other = shingles(text)
        sharing = set().union(*(having.get(shingle, set()) for shingle in other))
        count += any(len(sets[at] & other) / len(sets[at] | other) >= 0.8 for at in sharing)
    return count


def varied(text: str, changes: int) -> str:
    """Replace that many words of the text, evenly spread."""
    parts = text.split()
    for number in range(changes):
        parts[number * len(parts) // changes] = f"changed{number}"
    return " ".join(parts)


def test_of_equal_and_near_questions_the_best_scored_stays() -> None:
    assert 0.8 <= jaccard(words(1, 200), varied(words(1, 200), 4)) < 1
    assert jaccard(words(1, 200), varied(words(1, 200), 20)) < 0.8


def test_the_best_scored_of_near_duplicates_stays(tmp_path: Path) -> None:
    rows = [row(number) for number in range(100, 160)]
    text = words(9_999, 200)
    for at, (score, changes) in enumerate([(5, 0), (9, 4), (1, 0), (9, 4)]):
        rows[at] |= {
            "question_title": "Same",
            "answer_score": score,
            "question_body": f"<p>{varied(text, changes)}</p>",
        }
    dataset = made(tmp_path, rows)
    # 101 and 103 are equal and have the best score, so the smaller id is kept. 100 and 102 are near duplicates of it.
    assert {100, 101, 102, 103} & written_ids(dataset) == {101}
    assert dropped(dataset) == {"same question": 1, "near-duplicate question": 2}


def test_an_answer_that_another_question_has_too_is_dropped(tmp_path: Path) -> None:
    rows = [row(number) for number in range(100, 160)]
    rows[10]["answer_body"] = rows[11]["answer_body"].replace("Do ", "do  ")
    rows[20]["answer_body"] = f"<p>{words(1, 200)}</p>"
    rows[21]["answer_body"] = f"<p>{varied(words(1, 200), 4)}</p>"
    dataset = made(tmp_path, rows)
    assert dropped(dataset) == {"same answer": 1, "near-duplicate answer": 1}
    assert not {111, 121} & written_ids(dataset)


def test_rows_near_to_each_other_in_question_and_answer_are_counted_once(tmp_path: Path) -> None:
    rows = [row(number) for number in range(100, 160)]
    for at, changes in enumerate((0, 4)):
        rows[at] |= {
            "question_title": "Same",
            "question_body": f"<p>{varied(words(9_999, 200), changes)}</p>",
            "answer_body": f"<p>{varied(words(9_998, 200), changes)}</p>",
        }
    assert dropped(made(tmp_path, rows)) == {"near-duplicate question": 1}


def test_the_far_ends_of_a_chain_of_near_duplicates_both_stay_and_share_a_group(tmp_path: Path) -> None:
    parts = words(1, 200).split()
    chain = [" ".join(parts[begin:]) for begin in (0, 30, 60)]
    assert jaccard(chain[0], chain[1]) >= 0.8 <= jaccard(chain[1], chain[2])
    assert jaccard(chain[0], chain[2]) < 0.8
    rows = [row(number) for number in range(100, 200)]
    for at, text in enumerate(chain):
        rows[at]["answer_body"] = f"<p>{text}</p>"
    rows[1]["answer_score"] = 0
    dataset = made(tmp_path, rows)
    groups = {one.question_id: one.group for side in ("train", "eval") for one in dataset.attributions(side)}
    assert 101 not in groups
    assert groups[100] == groups[102] == 100
    assert groups[150] == 150


@pytest.mark.parametrize("changes", range(12))
def test_bands_propose_every_near_pair_and_the_exact_figure_decides(changes: int) -> None:
    texts_ = [text for number in range(40) for text in (words(number, 200), varied(words(number, 200), changes))]
    found = set(near_pairs(band_hashes(texts_), texts_.__getitem__)) if changes else set()
    expected = {
        (one, other)
        for one, other in itertools.combinations(range(len(texts_)), 2)
        if changes and jaccard(texts_[one], texts_[other]) >= 0.8
    }
    assert found == expected


def test_texts_without_words_are_near_to_nothing() -> None:
    texts_ = ["", "...", "one", "one"]
    assert list(near_pairs(band_hashes(texts_), texts_.__getitem__)) == [(2, 3)]
    assert band_hashes([]).shape == (0, 32)


def write_sides(folder: Path, train: list[tuple[str, str]], evaluation: list[tuple[str, str]]) -> Written:
    """Write the files of a dataset without `create_dataset`. All ids and groups are different."""
    folder.mkdir(parents=True)
    number = itertools.count(1)
    attribution = []
    for split, pairs in (("train", train), ("eval", evaluation)):
        lines = []
        for line, (question, answer) in enumerate(pairs):
            messages = [("system", "S"), ("user", question), ("assistant", answer)]
            lines.append(orjson.dumps({"messages": [{"role": role, "content": text} for role, text in messages]}))
            one = next(number)
            about = {"split": split, "line": line, "group": one, "question_id": one, "answer_id": one + 10_000}
            attribution.append(orjson.dumps(about))
        (folder / f"{split}.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    (folder / "attribution.jsonl").write_bytes(b"".join(line + b"\n" for line in attribution))
    return Written(
        files={path.name: path for path in folder.iterdir()},
        options=DatasetOptions(),
        template=TEMPLATE,
        train_rows=len(train),
    )


def test_the_leak_check_finds_exactly_what_comparing_every_pair_finds(tmp_path: Path) -> None:
    source = random.Random(5)  # noqa: S311 - test data
    train = [(words(number, 60), words(number + 500, 120)) for number in range(300)]
    train += [("hi there", "ok"), ("", ""), ("a b c d e f", "..."), ("who is it", "not ok")]
    evaluation = []
    for number in range(120):
        question, answer = source.choice(train[:300])
        evaluation.append(
            (varied(question, number % 9) if number % 9 else words(number + 5_000, 60), varied(answer, 1 + number % 15))
        )
    evaluation += [("hi there", "not ok"), ("a b c d e f", "fine then")]
    written = write_sides(tmp_path / "dataset", train, evaluation)
    leaks = find_leaks(written, FolderStore(tmp_path / "scratch"), Workers(1))
    long_ = [[one for one in side if at == 0 or not is_short(one[1])] for side in (train, evaluation) for at in (0, 1)]
    expected = [near_across([one[at] for one in long_[at]], [one[at] for one in long_[2 + at]]) for at in (0, 1)]
    assert [leaks.near_questions, leaks.near_answers] == expected
    assert min(expected) > 20
    assert (leaks.question_ids, leaks.answer_ids, leaks.groups, leaks.short_answers) == (0, 0, 0, 1)


@pytest.mark.parametrize(("name", "value"), [("question_id", 1), ("answer_id", 10_001), ("group", 1)])
def test_the_leak_check_finds_what_both_sides_share(tmp_path: Path, name: str, value: int) -> None:
    written = write_sides(tmp_path / "dataset", [(words(1), words(2))], [(words(3), words(4))])
    path = tmp_path / "dataset" / "attribution.jsonl"
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    lines[1][name] = value
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    leaks = find_leaks(written, FolderStore(tmp_path / "scratch"), Workers(1))
    assert leaks.total == 1
    assert leaks.examples == [f"{name} {value} is in both splits"]


def test_the_leak_check_reads_every_line_back(tmp_path: Path) -> None:
    written = write_sides(tmp_path / "dataset", [(words(1), words(2))], [(words(3), words(4))])
    with (tmp_path / "dataset" / "eval.jsonl").open("ab") as file:
        file.write(b'{"messages": 1}\n')
    with pytest.raises(TuningError, match="does not match the format messages"):
        find_leaks(written, FolderStore(tmp_path / "scratch"), Workers(1))


def test_a_leak_stops_the_run_and_names_one() -> None:
    none = {"question_ids": 0, "answer_ids": 0, "groups": 0, "near_questions": 0, "near_answers": 0, "benchmark": 0}
    refuse_leaks(Leaks(**none))
    for name in none:
        with pytest.raises(TuningError, match="for example: this one"):
            refuse_leaks(Leaks(**{**none, name: 2}, examples=["this one"]))


def test_the_seed_preset_reports_its_leaks_without_stopping(tmp_path: Path) -> None:
    rows = [row(number) for number in range(50)]
    for one in rows:
        one["output_text"] = words(1)
    dataset = made(tmp_path, rows, preset="seed")
    assert dataset.manifest.leaks["near_answers"] == 10
    assert dataset.manifest.leaks["near_questions"] == 0


@pytest.mark.slow
def test_no_group_and_no_near_duplicate_is_on_two_sides_of_real_posts(
    tmp_path: Path, real_rows: list[dict[str, Any]]
) -> None:
    dataset = made(tmp_path, real_rows)
    sides = {side: texts(dataset, side) for side in ("train", "eval")}
    assert near_across([one for one, _ in sides["train"]], [one for one, _ in sides["eval"]]) == 0
    answers = [[one for _, one in side if not is_short(one)] for side in sides.values()]
    assert near_across(*answers) == 0
    groups = [{one.group for one in dataset.attributions(side)} for side in ("train", "eval")]
    assert not groups[0] & groups[1]
    reasons = dropped(dataset)
    assert reasons["near-duplicate question"] > 100
    assert np.isclose(len(sides["eval"]) / (len(sides["eval"]) + len(sides["train"])), 0.1, atol=0.02)
