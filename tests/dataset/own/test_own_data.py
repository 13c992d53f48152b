"""A user's own files: which shapes are read, which rows are left out, and the dataset that comes of them."""

import contextlib
import gzip
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.dataset.folders import dropped, fingerprint, texts
from tests.marts import words
from tuning.command_line.options import BuildOptions, OwnOptions, SplitOptions
from tuning.dataset import create
from tuning.dataset.create import create_dataset
from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.codec import CHAT_FORMATS, as_question
from tuning.dataset.formats.records import Message
from tuning.dataset.options import resolve_options
from tuning.dataset.own import snapshot
from tuning.dataset.own.files import Source, find_sources, records
from tuning.dataset.own.shapes import Left, Row, ShapeError, read_row
from tuning.dataset.own.snapshot import make_own_snapshot
from tuning.errors import TuningError
from tuning.pipelines.end_to_end import Steps, make_own_dataset
from tuning.settings import Settings
from tuning.tuners.options import check_own

REJECTED = '{"example_id": "mine.jsonl:1", "decision": "reject", "reason": "wrong"}\n'


def chat(question: str, answer: str, system: str = "") -> dict[str, Any]:
    instructed = [{"role": "system", "content": system}] if system else []
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": [*instructed, *turns]}


def pairs(numbers: Sequence[int], system: str = "") -> list[dict[str, Any]]:
    return [chat(words(number), words(number + 5000), system) for number in numbers]


def write(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def made(home: Path, train: list[str], evaluation: list[str] | None = None, **given: Any) -> Dataset:
    settings = Settings(home=home)
    options = msgspec.structs.replace(resolve_options(**given), body="text")
    if evaluation:
        options = msgspec.structs.replace(options, split="given")
    return create_dataset(settings, make_own_snapshot(settings, find_sources(train, evaluation or [])), options, 1)


@pytest.mark.parametrize(
    ("record", "row"),
    [
        (chat("Q", "A", "S"), Row("S", "Q", "A")),
        ({"messages": [{"role": "developer", "content": "S"}, *chat("Q", "A")["messages"]]}, Row("S", "Q", "A")),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "Q"}]}, chat("", "A")["messages"][1]]},
            Row("", "Q", "A"),
        ),
        (
            {"conversations": [{"from": "system", "value": "S"}, {"from": "human", "value": "Q"}]},
            Row("S", "Q", "", Left.NO_ANSWER),
        ),
        ({"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]}, Row("", "Q", "A")),
        ({"instruction": "Q", "input": "more", "output": "A"}, Row("", "Q\n\nmore", "A")),
        ({"instruction": "Q", "input": "", "output": "A", "system": "S"}, Row("S", "Q", "A")),
        ({"instruction": "Q", "output": "A", "history": [["q", "a"]]}, Row("", "Q", "A", Left.TURNS)),
        ({"prompt": "Q", "completion": "A"}, Row("", "Q", "A")),
        (
            {"prompt": chat("Q", "A", "S")["messages"][:2], "completion": chat("Q", "A")["messages"][1:]},
            Row("S", "Q", "A"),
        ),
        ({"input_text": "Q", "output_text": "A"}, Row("", "Q", "A")),
        ({"input_text_instruct": "Q", "output_text": "A"}, Row("", "Q", "A")),
        ({"question": "Q", "answer": "A", "id": 7}, Row("", "Q", "A")),
        ({"messages": chat("Q", "A")["messages"] * 2}, Row("", "Q", "A", Left.TURNS)),
        ({"messages": chat("Q", "A")["messages"][::-1]}, Row("", "Q", "A", Left.NO_ANSWER)),
        ({"messages": chat("Q", "A")["messages"][1:]}, Row("", "", "A", Left.NO_QUESTION)),
        (
            {"messages": [chat("Q", "A")["messages"][0], {"role": "assistant", "tool_calls": [{"id": "x"}]}]},
            Row("", "Q", "", Left.TOOLS),
        ),
        (
            {"conversations": [{"from": "human", "value": "Q"}, {"from": "function_call", "value": "{}"}]},
            Row("", "Q", "", Left.TOOLS),
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}, chat("", "A")["messages"][1]]},
            Row("", "", "A", Left.NOT_TEXT),
        ),
        (
            {"messages": [*chat("Q", "A")["messages"][:1], {"role": "assistant", "content": "A", "weight": 0}]},
            Row("", "Q", "A", Left.NOT_LEARNED),
        ),
        (
            {"messages": [{"role": "user", "content": "Q", "weight": 0}, chat("", "A")["messages"][1] | {"weight": 1}]},
            Row("", "Q", "A"),
        ),
    ],
)
def test_a_record_is_read_by_its_columns(record: dict[str, Any], row: Row) -> None:
    assert read_row(record) == row


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            '{"text": "x", "id": 1}',
            "line 2 has none of the known shapes: its columns are id, text, and it needs messages",
        ),
        ('{"prompt": "x"}', "line 2 cannot be used: it lacks the column completion, and its columns are prompt"),
        (
            '{"question": "x", "response": "y", "id": 1}',
            "line 2 cannot be used: it lacks the column answer, and its columns are id, question, response",
        ),
        ('{"question": 7, "answer": "x"}', "line 2 cannot be used: question is no text"),
        ('{"messages": [{"role": "user", "content": 7}]}', r"line 2 cannot be used: .* at `\$.messages\[0\].content`"),
        (
            '{"messages": [{"role": "assistant", "content": "A", "weight": 0.5}]}',
            "line 2 cannot be used: the weight of a message is 0 or 1, not 0.5",
        ),
        ("7", "line 2 is no object with columns"),
        ("[", "line 2 begins a list. Write one object on each line"),
        ("{broken", "line 2 is no JSON object"),
    ],
)
def test_a_line_that_cannot_be_read_names_its_file_and_what_is_missing(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"question": "Why?", "answer": "So."}\n' + line + "\n")
    with pytest.raises(TuningError, match=f"^mine.jsonl: {said}") as raised:
        make_own_snapshot(Settings(home=tmp_path / "var"), find_sources([str(path)], []))
    assert len(str(raised.value).splitlines()) == 1
    with pytest.raises(ShapeError):
        read_row([])


@pytest.mark.parametrize("form", ["gz", "parquet", "saved", "saved splits", "hub", "ours"])
def test_every_form_of_a_file_gives_the_same_rows(tmp_path: Path, form: str) -> None:
    import datasets

    rows = [{"question": words(number), "answer": "yes"} for number in range(30)]
    held_out = [{"question": words(number), "answer": "no"} for number in range(30, 40)]
    folder = tmp_path / "data"
    folder.mkdir()
    train, evaluation = str(folder), str(folder)
    if form == "gz":
        train, evaluation = (str(folder / f"{name}.jsonl.gz") for name in ("a", "b"))
        for path, some in ((train, rows), (evaluation, held_out)):
            Path(path).write_bytes(gzip.compress("\n".join(map(json.dumps, some)).encode()))
    elif form == "parquet":
        train, evaluation = (str(folder / f"{name}.parquet") for name in ("a", "b"))
        for path, some in ((train, rows), (evaluation, held_out)):
            pq.write_table(pa.Table.from_pylist(some), path)
    elif form == "saved":
        train, evaluation = str(folder / "one"), str(folder / "two")
        datasets.Dataset.from_list(rows).save_to_disk(train)
        datasets.Dataset.from_list(held_out).save_to_disk(evaluation)
    elif form == "saved splits":
        parts = {"train": datasets.Dataset.from_list(rows), "test": datasets.Dataset.from_list(held_out)}
        datasets.DatasetDict(parts).save_to_disk(train)
    elif form == "hub":
        (folder / "README.md").write_text("# Data")
        (folder / "data").mkdir()
        pq.write_table(pa.Table.from_pylist(rows), folder / "data" / "train-00000-of-00001.parquet")
        pq.write_table(pa.Table.from_pylist(held_out), folder / "data" / "validation-00000-of-00001.parquet")
    else:
        write(folder / "train.jsonl", rows)
        write(folder / "eval.jsonl", held_out)
        write(folder / "attribution.jsonl", [{"other": 1}])
        (folder / "manifest.json").write_text("{}")
    dataset = made(tmp_path / "var", [train], [evaluation])
    assert sorted(texts(dataset, "train")) == sorted((f"{words(n)}", "yes") for n in range(30))
    assert sorted(texts(dataset, "eval")) == sorted((f"{words(n)}", "no") for n in range(30, 40))


def test_the_same_files_give_the_same_bytes_in_any_folder(tmp_path: Path) -> None:
    rows = pairs(range(60), "Be brief.")
    one = made(tmp_path / "one", [write(tmp_path / "here" / "a.jsonl", rows)])
    other = made(tmp_path / "two", [write(tmp_path / "there" / "deep" / "a.jsonl", rows)])
    assert fingerprint(one.folder) == fingerprint(other.folder)
    assert str(tmp_path).encode() not in b"".join(path.read_bytes() for path in one.folder.iterdir())
    assert one.manifest.build["name"] == "own data"
    (file,) = one.manifest.build["files"]  # type: ignore[misc, attr-defined]
    assert (file["name"], file["side"], len(file["sha256"])) == ("a.jsonl", "train", 64)
    notice = (one.folder / "NOTICE.md").read_text()
    assert "a.jsonl" in notice
    assert "CC BY-SA" not in notice
    assert "license" not in (one.folder / "README.md").read_text()
    assert made(tmp_path / "one", [write(tmp_path / "here" / "a.jsonl", rows[:-1])]).id != one.id


def test_an_example_stays_on_its_side_when_others_come(tmp_path: Path) -> None:
    few = made(tmp_path / "few", [write(tmp_path / "few.jsonl", pairs(range(60)))], eval_fraction=0.3)
    more = made(tmp_path / "more", [write(tmp_path / "more.jsonl", pairs(range(-20, 80)))], eval_fraction=0.3)
    before = {question: split for split in ("train", "eval") for question, _ in texts(few, split)}
    after = {question: split for split in ("train", "eval") for question, _ in texts(more, split)}
    assert len(set(before.values())) == 2
    assert {question: after[question] for question in before} == before


def test_what_is_in_the_evaluation_files_leaves_the_training_and_is_counted(tmp_path: Path) -> None:
    near = f"{words(3)} too"
    rows = [*pairs(range(30)), chat(near, words(900)), *pairs([4])]
    rows += [
        chat(f"Why?\n\n{words(77)}", "", "Be brief."),
        chat("\x00" + words(78), "x"),
        {"messages": rows[0]["messages"] * 2},
    ]
    evaluation = [*pairs([1, 2, 3]), *pairs(range(40, 45))]
    dataset = made(tmp_path, [write(tmp_path / "t.jsonl", rows)], [write(tmp_path / "e.jsonl", evaluation)])
    assert {question for question, _ in texts(dataset, "eval")} == {words(n) for n in (1, 2, 3, *range(40, 45))}
    assert {question for question, _ in texts(dataset, "train")} == {words(n) for n in range(30) if n not in (1, 2, 3)}
    assert dropped(dataset) == {
        "conversation of several turns": 1,
        "empty answer": 1,
        "control characters": 1,
        "same answer": 4,  # and the same question
        "near-duplicate question": 1,
    }
    assert dataset.manifest.leaks["near_questions"] == dataset.manifest.leaks["question_ids"] == 0
    card = (dataset.folder / "card.html").read_text()
    assert '<h3>t.jsonl:31 <span class="note">e.jsonl:3 is kept instead</span></h3>' in card
    assert f"<h3>t.jsonl:33</h3>\n<pre>Be brief.\n\nWhy?\n\n{words(77)}</pre>" in card
    assert f"<h3>t.jsonl:35</h3>\n<pre>{words(0)}</pre>" in card
    assert "<h2>How long the texts are</h2>" in card
    assert 'href=""' not in card


def test_a_weight_repeats_rows_and_a_part_of_one_leaves_rows_out(tmp_path: Path) -> None:
    first = write(tmp_path / "first.jsonl", pairs(range(40)))
    second = write(tmp_path / "second.jsonl", pairs(range(100, 300)))
    evaluation = write(tmp_path / "e.jsonl", pairs(range(500, 510)))
    dataset = made(tmp_path, [f"{first}=3", f"{second}=0.5"], [evaluation])
    counts: dict[str, int] = {}
    for row in dataset.attributions("train"):
        counts[row.example_id] = counts.get(row.example_id, 0) + 1
    assert {count for name, count in counts.items() if name.startswith("first")} == {3}
    assert {count for name, count in counts.items() if name.startswith("second")} == {1}
    assert 70 < sum(name.startswith("second") for name in counts) < 130
    funnel = {(row["step"], row["reason"]): row["rows"] for row in dataset.manifest.funnel}
    assert funnel["repeat", "by the weight of a file"] == 80
    assert funnel["written", "train"] == 120 + 200 - funnel["quality", "beyond the weight of its file"]
    for split in ("train", "eval"):
        assert dataset.manifest.files[f"{split}.jsonl"].rows == len(texts(dataset, split))


def test_one_system_message_of_all_rows_is_the_instruction_and_different_ones_stay_in_their_rows(
    tmp_path: Path,
) -> None:
    shared = made(tmp_path / "shared", [write(tmp_path / "s.jsonl", pairs(range(40), "Be brief.\n\nQuestion:"))])
    assert shared.manifest.template == "Be brief.\n\nQuestion:"
    prompts = [example.prompt for example in shared.examples("train")]
    assert {prompt[0].content for prompt in prompts} == {"Be brief.\n\nQuestion:"}
    asked = as_question("messages", shared.manifest.template, "Why?", "", shared.manifest.body)
    assert asked == (Message("system", "Be brief.\n\nQuestion:"), Message("user", "Why?"))

    rows = [chat("How much is it?", str(number), f"The price is {words(number)}.") for number in range(40)]
    rows += [chat("How much is it, then?", "7")]
    for format_ in CHAT_FORMATS:
        path = write(tmp_path / "different.jsonl", rows)
        different = made(tmp_path / format_, [path], format=format_)
        assert dropped(different) == {}
        assert different.manifest.template == ""
        written = {example.prompt for split in ("train", "eval") for example in different.examples(split)}
        wanted = {tuple(Message(**one) for one in row["messages"][:-1]) for row in rows}
        assert written == wanted


@pytest.mark.parametrize(
    ("own", "build", "chosen", "preset", "said"),
    [
        (OwnOptions(eval_=["x"]), {}, {}, None, "--eval needs --train"),
        (OwnOptions(train=["x"]), {"since": "2020-01-01"}, {}, None, "--since, which concerns a mart"),
        (OwnOptions(train=["x"]), {}, {}, "seed", "--preset, which concerns a mart"),
        (OwnOptions(train=["x"], eval_=["y"]), {}, {"eval_fraction": 0.5}, None, "--eval-fraction cannot be given too"),
        (OwnOptions(train=["x"]), {}, {"body": "html"}, None, "--body cannot be given"),
        (OwnOptions(train=["x"]), {}, {"split": "time"}, None, "own data has no dates"),
        (
            OwnOptions(train=["x"]),
            {},
            {"format": "trl-preference"},
            None,
            "as trl-preference. Use one of: gemini, messages,",
        ),
    ],
)
def test_options_of_a_mart_do_not_go_with_own_data(
    own: OwnOptions, build: dict[str, Any], chosen: dict[str, Any], preset: str | None, said: str
) -> None:
    with pytest.raises(TuningError, match=said):
        check_own(own, BuildOptions(**build), SplitOptions(**chosen), preset)


def test_files_that_cannot_be_told_apart_or_read_are_refused(tmp_path: Path) -> None:
    one, other = write(tmp_path / "a" / "x.jsonl", []), write(tmp_path / "b" / "x.jsonl", [])
    with pytest.raises(TuningError, match=r"have the same name"):
        find_sources([one, other], [])
    with pytest.raises(TuningError, match=r"--train: .* does not exist"):
        find_sources([str(tmp_path / "none.jsonl")], [])
    (tmp_path / "empty").mkdir()
    with pytest.raises(TuningError, match=r"the folder .* has no file that can be read. Use JSON Lines"):
        find_sources([str(tmp_path / "empty")], [])
    write(tmp_path / "splits" / "train.jsonl", [])
    with pytest.raises(TuningError, match=r"the folder .* has no file for evaluation that can be read"):
        find_sources([], [str(tmp_path / "splits")])
    for folder in ("/", ""):
        with pytest.raises(TuningError, match=r"has more than 10,000 files|cannot be read|is no name of a file"):
            find_sources([folder], [])
    for weight in ("0", "0.01", "-1", "101", "9999", "1e5", "nan", "two", "1_0", "0x1", " 1", "1 ", "\uff11", "inf"):
        with pytest.raises(TuningError, match=rf"a weight is a number from 0\.1 to 100, not '{weight}'"):
            find_sources([f"{one}={weight}"], [])
    assert [source.weight for source in find_sources([f"{one}=1e1"], [])] == [10]
    with pytest.raises(TuningError, match=r"x.jsonl: there is no row"):
        make_own_snapshot(Settings(home=tmp_path / "var"), find_sources([one], []))
    full = write(tmp_path / "full.jsonl", [{"question": "Why?", "answer": "So."}])
    with pytest.raises(TuningError, match=r"^x.jsonl: there is no row\. Name files"):
        make_own_snapshot(Settings(home=tmp_path / "var"), find_sources([full], [one]))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(TuningError, match=r"^broken.parquet: cannot be read"):
        find_sources([str(tmp_path / "broken.parquet")], [])
    times = {"late": pa.timestamp("us"), "long": pa.duration("s"), "where": pa.timestamp("us", "Mars/Olympus")}
    for name, kind in times.items():
        pq.write_table(pa.table({"question": ["Q"], "answer": ["A"], name: pa.array([2**60], kind)}), tmp_path / name)
        with pytest.raises(TuningError, match=rf"^{name}: cannot be read"):
            find_sources([str(tmp_path / name)], [])
    write(tmp_path / "wrong.jsonl", [{"text": "x"}])
    with pytest.raises(TuningError, match=r"^wrong.jsonl: line 1 has none of the known shapes"):
        find_sources([], [str(tmp_path / "wrong.jsonl")])
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"question": "x"}\n' * 1000)[:40])
    with pytest.raises(TuningError, match=r"^cut.jsonl.gz: cannot be read"):
        list(records(find_sources([str(tmp_path / "cut.jsonl.gz")], [])[0]))
    only = write(tmp_path / "only.jsonl", [{"messages": chat("Q", "A")["messages"] * 2}])
    with pytest.raises(
        TuningError, match=r"no row of the files can be used, for example: conversation of several turns"
    ):
        made(tmp_path / "var", [only])


def test_a_file_that_changes_while_it_is_read_is_refused_and_leaves_no_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "mine.jsonl", pairs(range(30)))
    write_rows = snapshot._write

    def change(to: Path, sources: Sequence[Source]) -> str:
        write(Path(path), pairs(range(1, 31)))  # after its hash was taken
        return write_rows(to, sources)

    monkeypatch.setattr(snapshot, "_write", change)
    with pytest.raises(TuningError, match=r"^mine.jsonl: changed while it was read. Run the command again"):
        made(tmp_path / "home", [path])
    assert [one.name for one in (tmp_path / "home" / "snapshots").glob("[!.]*")] == []
    monkeypatch.undo()
    again, fresh = made(tmp_path / "home", [path]), made(tmp_path / "other", [path])
    assert fingerprint(again.folder) == fingerprint(fresh.folder)


def test_a_file_that_is_deleted_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "mine.jsonl", pairs(range(30)))
    write_rows = snapshot._write

    def delete(to: Path, sources: Sequence[Source]) -> str:
        template = write_rows(to, sources)
        Path(path).unlink()
        return template

    monkeypatch.setattr(snapshot, "_write", delete)
    with pytest.raises(TuningError, match=r"^mine.jsonl: changed while it was read. Run the command again"):
        made(tmp_path / "home", [path])


def test_a_file_of_decisions_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, decisions = write(tmp_path / "mine.jsonl", pairs(range(30))), tmp_path / "decisions.jsonl"
    decisions.write_text("")
    identify = create.dataset_id

    def change(*given: Any) -> str:
        decisions.write_text(REJECTED)  # after its hash was taken
        return identify(*given)

    monkeypatch.setattr(create, "dataset_id", change)
    with pytest.raises(TuningError, match="a file that the options name changed while it was read"):
        made(tmp_path / "home", [path], decisions=decisions)
    assert [one.suffix for one in (tmp_path / "home" / "datasets").iterdir()] == [".lock"]


@pytest.mark.parametrize("is_killed", [False, True])
def test_decisions_that_change_for_a_while_do_not_mix_with_the_first_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_killed: bool
) -> None:
    path, decisions = write(tmp_path / "mine.jsonl", pairs(range(30))), tmp_path / "decisions.jsonl"
    decisions.write_text("")
    make, pick = create._make, create.select

    def change(*given: Any) -> None:
        decisions.write_text(REJECTED)
        make(*given)

    def back(*given: Any) -> Any:
        decisions.write_text("")
        if is_killed:
            raise KeyboardInterrupt
        return pick(*given)

    monkeypatch.setattr(create, "_make", change)
    monkeypatch.setattr(create, "select", back)
    with pytest.raises(KeyboardInterrupt) if is_killed else contextlib.nullcontext():
        made(tmp_path / "home", [path], decisions=decisions)
    monkeypatch.undo()
    again, fresh = (made(tmp_path / name, [path], decisions=decisions) for name in ("home", "other"))
    assert fingerprint(again.folder) == fingerprint(fresh.folder)


def test_decisions_that_change_after_the_options_were_read_are_honored(tmp_path: Path) -> None:
    path, decisions = write(tmp_path / "mine.jsonl", pairs(range(30))), tmp_path / "decisions.jsonl"
    decisions.write_text("")
    resolve_options(decisions=decisions)
    decisions.write_text(REJECTED)
    dataset = made(tmp_path / "home", [path], decisions=decisions)
    assert sum(file.rows for name, file in dataset.manifest.files.items() if name != "attribution.jsonl") == 29


def test_the_command_says_how_many_rows_were_left_out(tmp_path: Path) -> None:
    lines: list[str] = []
    turns = [{"role": role, "content": f"{role} {number}"} for number in range(2) for role in ("user", "assistant")]
    path = write(tmp_path / "mine.jsonl", [*pairs(range(30)), chat("What is it?", ""), {"messages": turns}])
    options = resolve_options(eval_fraction=0.4)
    make_own_dataset(Settings(home=tmp_path / "home"), OwnOptions(train=[path]), options, Steps(lines.append), 1)
    assert [line for line in lines if "eval examples (2 rows left out: see its card) in " in line]


def test_a_damaged_snapshot_names_the_command_that_makes_it_again(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "var")
    sources = find_sources([write(tmp_path / "mine.jsonl", pairs(range(100)))], [])
    snapshot = make_own_snapshot(settings, sources)
    for name in ("rows.parquet", "snapshot.json"):
        (snapshot.folder / name).write_bytes((snapshot.folder / name).read_bytes()[:20])
        with pytest.raises(TuningError) as raised:
            create_dataset(
                settings,
                make_own_snapshot(settings, sources),
                msgspec.structs.replace(resolve_options(), body="text"),
                1,
            )
        assert f"Delete {snapshot.folder} and run the command with your files (--train, --eval or --data)" in str(
            raised.value
        )
        shutil.rmtree(snapshot.folder)
        make_own_snapshot(settings, sources)
