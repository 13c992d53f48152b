"""Test that benchmarks are found as they are published, and that short, common and numeric texts drop nothing else."""

import gzip
import json
import resource
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.dataset.folders import dropped, made, written_ids
from tests.marts import row, words
from tuning.dataset.benchmark_files import benchmark_files
from tuning.dataset.create import describe_dataset
from tuning.dataset.similar.decontaminate import PASSES, WHOLE, read_benchmark
from tuning.errors import TuningError

SHORT = "Find the smallest missing box."
LONG = "Return the total of the list where every second number is counted negative beginning with the second one"
CODE = "def smallest_box(boxes):\r\n    return min(set(range(len(boxes) + 1)) - set(boxes))"
ITEMS = [
    {"task_id": 1, "prompt": SHORT, "code": CODE, "test_list": ["assert smallest_box([0]) == 1"]},
    {"task_id": "X/0", "prompt": f'def total(numbers):\n    """ {LONG} """\n', "canonical_solution": "    return 1\n"},
    {
        "question": "Sort a list.",
        "solutions": json.dumps(["def f(x):\n    return sorted(x)"]),
        "difficulty": "interview",
    },
]


def benchmark(folder: Path, items: list[dict[str, Any]], name: str = "exam.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return path


def reasons(path: Path, *texts: str) -> list[str | None]:
    return [match and match.reason for match in read_benchmark(path).find(texts)]


def test_a_long_text_is_found_by_thirteen_words_and_a_short_one_whole(tmp_path: Path) -> None:
    path = benchmark(tmp_path, ITEMS)
    thirteen = " ".join(LONG.split()[2:15])
    found = reasons(
        path, f"x {thirteen.upper()} y", " ".join(LONG.split()[:12]), f"How do I {SHORT} Thanks", "find the smallest"
    )
    assert found == [PASSES, None, WHOLE, None]
    assert reasons(path, f"```python\n{CODE}\n```", "return min(set(range(len(boxes)+1)))") == [WHOLE, None]
    assert reasons(path, "How do I sort a list. Sort a list.", "```\ndef f(x):\n  return sorted(x)\n```") == [
        None,
        None,
    ]


def test_the_items_that_can_be_looked_for_are_counted(tmp_path: Path) -> None:
    found = read_benchmark(benchmark(tmp_path, ITEMS))
    assert (found.size, found.looked_for, found.short) == (3, 2, 1)
    assert [found.name(at) for at in (0, 2)] == ["exam.jsonl item 1", "exam.jsonl item 3"]


def test_numbers_and_single_letters_do_not_identify_an_item(tmp_path: Path) -> None:
    path = benchmark(
        tmp_path, [{"prompt": f"Please add all these numbers now {' '.join(map(str, range(30)))} a b c d e"}]
    )
    assert reasons(path, " ".join(map(str, range(30))), "20 21 22 23 24 25 26 27 28 29 a b c d e") == [None, None]
    assert reasons(path, "Please add all these numbers now " + " ".join(map(str, range(13)))) == [PASSES]
    assert reasons(benchmark(tmp_path, [{"prompt": "please " + words(3, 20)}], "other.jsonl"), words(3, 20)) == [PASSES]


def test_what_most_items_have_in_common_does_not_identify_one(tmp_path: Path) -> None:
    common = "The first line of the input has a single integer that is the number of tests."
    path = benchmark(tmp_path, [{"prompt": f"{common} {words(number, 30)}"} for number in range(40)])
    assert reasons(path, common, words(7, 30)) == [None, PASSES]
    assert read_benchmark(path).shared > 0
    copies = benchmark(tmp_path, [{"prompt": words(number // 10, 30)} for number in range(400)], "copies.jsonl")
    assert reasons(copies, words(3, 30)) == [PASSES]


def test_texts_without_spaces_are_looked_for_by_characters(tmp_path: Path) -> None:
    long_ = "与えられた整数の配列から、合計が目標の値になる二つの要素の添字を返す関数を書いてください。"
    path = benchmark(tmp_path, [{"prompt": long_}, {"prompt": "文字列を逆順に並べる関数"}])
    assert reasons(path, f"問題は{long_[5:]}", long_[:15], "この文字列を逆順に並べる関数を", "逆順に並べる") == [
        PASSES,
        None,
        WHOLE,
        None,
    ]


def test_everything_in_the_benchmark_is_found_and_the_rest_is_not(tmp_path: Path) -> None:
    items = [{"prompt": words(number, 12 + number % 20)} for number in range(0, 400, 2)]
    found = read_benchmark(benchmark(tmp_path, items)).find([f"so {words(number, 40)} yes" for number in range(400)])
    assert [match is not None for match in found] == [number % 2 == 0 for number in range(400)]
    assert all(match is None or match.item * 2 == number for number, match in enumerate(found))


def test_a_benchmark_of_which_nothing_can_be_looked_for_is_an_error(tmp_path: Path) -> None:
    path = benchmark(tmp_path, [{"prompt": "Sort a list."}, {"prompt": "Sum it up."}])
    with pytest.raises(
        TuningError, match=r"nothing can be looked for in .*: none of its 2 items has a text of 5 words"
    ):
        made(tmp_path, [row(number) for number in range(20)], decontaminate=str(path))


def test_examples_are_dropped_counted_by_item_and_reported(tmp_path: Path) -> None:
    path = benchmark(tmp_path, ITEMS)
    rows = [row(number) for number in range(100, 160)]
    rows[1] |= {"question_title": SHORT}
    rows[2] |= {"answer_body": f"<pre><code>{CODE}</code></pre>"}
    rows[3] |= {"question_body": f"<p>{LONG}</p>"}
    rows[4] |= {"question_title": "Sort a list."}
    dataset = made(tmp_path, rows, decontaminate=str(path))
    assert dropped(dataset) == {PASSES: 1, WHOLE: 2}
    assert written_ids(dataset) == set(range(100, 160)) - {101, 102, 103}
    facts = dataset.manifest.benchmark
    assert facts
    assert (facts.items, facts.looked_for, facts.only_short_texts, facts.dropped) == (3, 2, 1, 3)
    assert facts.items_that_drop_most == {"exam.jsonl item 1": 2, "exam.jsonl item 2": 1}
    assert (
        "benchmark: 2 of 3 items could be looked for (1 by short texts only); they drop 3 examples"
        in describe_dataset(dataset)
    )
    readme = (dataset.folder / "README.md").read_text()
    assert "2 of 3 items" in readme
    assert "were dropped" not in readme, "the table of the rows says it"
    assert dataset.manifest.leaks["benchmark"] == 0


def test_the_same_items_are_found_in_any_published_form(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    lines = "".join(json.dumps(item) + "\n" for item in ITEMS)
    strings = [{name: str(value) for name, value in item.items()} for item in ITEMS]
    forms = {
        "lines.jsonl": lines.encode(),
        "lines": ("\ufeff" + lines).encode(),
        "lines.jsonl.gz": gzip.compress(lines.encode()),
        "pretty.json": json.dumps(ITEMS, indent=2).encode(),
        "one-line.json": json.dumps(ITEMS).encode(),
        "pretty.json.gz": gzip.compress(json.dumps(ITEMS, indent=2).encode()),
        "in-object.json": json.dumps({"version": 1, "data": {"test": ITEMS}}, indent=1).encode(),
        "by-id.json": json.dumps({f"X/{at}": item for at, item in enumerate(ITEMS)}).encode(),
        "nan.json": json.dumps([*ITEMS, {"score": float("nan")}]).encode(),
        "rows.csv": b"prompt,code\r\n" + f'"{SHORT}","x"\r\n"{LONG}",\r\n'.encode(),
    }
    for name, content in forms.items():
        (tmp_path / name).write_bytes(content)
    table = pa.Table.from_pylist(strings)
    pq.write_table(table, tmp_path / "items.parquet")
    for name in ("saved/test/data-00000-of-00001.arrow", "stream", "file.feather"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        new = pa.ipc.new_file if name == "file.feather" else pa.ipc.new_stream
        with new(str(tmp_path / name), table.schema) as writer:
            writer.write_table(table)
    info = {"description": f"A benchmark in which someone may {words(1)}", "builder_name": "json"}
    (tmp_path / "saved" / "test" / "dataset_info.json").write_text(json.dumps(info))
    (tmp_path / "saved" / "test" / "state.json").write_text(json.dumps({"_split": "test"}))
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "one.json").write_text(json.dumps(ITEMS[:1]))
    (tmp_path / "folder" / "deep" / "two.jsonl").write_text(json.dumps(ITEMS[1]) + "\n")
    for name in [*forms, "items.parquet", "folder", "saved", "stream", "file.feather"]:
        assert reasons(tmp_path / name, SHORT, f"x {LONG}", words(1)) == [WHOLE, PASSES, None], name


FIRST, SECOND = "How do I find the smallest missing box?", "What is the total of every second box?"
FORMS = {
    "lines.txt": f"{FIRST}\n{SECOND}\n",
    "crlf.txt": f"1. {FIRST}\r\n2. {SECOND}\r\n",
    "marks.txt": f"- {FIRST}\n\nQ2: {SECOND}\n",
    "headed.txt": f"# Boxes\n\n{FIRST}\n{SECOND}\n",
    "no-suffix": f"42\n{FIRST}\n{SECOND}\n",
    "strings.json": json.dumps([FIRST, SECOND]),
    "strings.txt": json.dumps([FIRST, SECOND]),
    "splits.json": json.dumps({"train": ["Sort it."], "test": [FIRST, SECOND]}),
    "columns.json": json.dumps({"question": [FIRST, SECOND], "answer": ["1", "2"], "score": [1, 2]}),
    "pandas.json": json.dumps({"question": {"0": FIRST, "1": SECOND}, "answer": {"0": "1", "1": "2"}}),
    "split.json": json.dumps({"columns": ["question"], "index": [0, 1], "data": [[FIRST], [SECOND]]}),
    "by-id.json": json.dumps({"X/0": {"question": FIRST}, "X/1": {"question": SECOND}}),
    "strings.jsonl": f"{json.dumps(FIRST)}\n{json.dumps(SECOND)}\n",
    "rows.csv": f"{FIRST}\n{SECOND}\n",
    "semicolons.csv": f'id;question\n1;{FIRST}\n2;"{SECOND}"\n',
    "semicolons-and-commas.csv": f'1;{FIRST};"a, b"\n2;{SECOND};"c, ""d"", e"\n',
    "tabs.csv": f"id\tquestion\n1\t{FIRST}\n2\t{SECOND}\n",
    "bars.csv": f"id|question\r\n1|{FIRST}\r\n2|{SECOND}\r\n",
    "commas.tsv": f"id,question\n1,{FIRST}\n2,{SECOND}\n",
    "semicolons.csv.gz": f"id;question\n1;{FIRST}\n2;{SECOND}\n",
    "tabs.txt": f"1\t{FIRST}\n2\t{SECOND}\n",
    "texts.yaml": f"# exam\n- {FIRST}\n- >\n  {SECOND}\n",
    "objects.yml": f"- id: 1\n  question: {FIRST}\n- id: 2\n  question: {SECOND}\n",
    "by-number.yaml": f"1:\n  question: {FIRST}\n2:\n  question: {SECOND}\n",
    "documents.yaml": f"question: {FIRST}\n---\nquestion: {SECOND}\n",
    "notebook.ipynb": json.dumps(
        {
            "cells": [
                {"cell_type": "markdown", "source": ["How do I find\n", FIRST.removeprefix("How do I find ")]},
                {"cell_type": "markdown", "source": SECOND},
            ]
        }
    ),
    "html.json": json.dumps([f"<p>{FIRST.replace('find', '<b>find</b>')}</p>", SECOND.replace(" ", "&nbsp;")]),
}


@pytest.mark.parametrize("name", FORMS)
def test_each_short_question_is_an_item_of_its_own(tmp_path: Path, name: str) -> None:
    content = FORMS[name].encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert reasons(tmp_path / name, f"So: {FIRST}", f"So: {SECOND} Thanks", words(1)) == [WHOLE, WHOLE, None]
    assert read_benchmark(tmp_path / name).looked_for == 2


def test_maps_and_binary_columns_of_tables_contain_texts(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "map.parquet": pa.array([[("q", FIRST), ("url", LONG)], [("q", SECOND)]], pa.map_(pa.string(), pa.string())),
        "nested.parquet": pa.array(
            [{"m": [(1, [FIRST])]}, {"m": [(2, [SECOND])]}], pa.struct({"m": pa.map_(pa.int8(), pa.list_(pa.string()))})
        ),
        "binary.parquet": pa.array([FIRST.encode(), SECOND.encode()], pa.binary()),
        "with-image.parquet": pa.array(
            [[b"\xff\xd8\xff", FIRST.encode()], [SECOND.encode()]], pa.list_(pa.large_binary())
        ),
    }
    for name, column in columns.items():
        pq.write_table(pa.table({"q": column, "answer": ["one of many answers"] * 2}), tmp_path / name)
        assert reasons(tmp_path / name, f"So: {FIRST}", f"So: {SECOND}", LONG) == [WHOLE, WHOLE, None], name


def test_an_item_with_html_is_found_in_both_forms(tmp_path: Path) -> None:
    marked = "<p>Find the <b class='x'>smallest</b> missing&#32;box &amp; its&nbsp;lid<br/>now.<!-- no word --></p>"
    path = benchmark(tmp_path, [{"prompt": marked}, {"prompt": "if a < b and c > d: return the List<int> to us"}])
    found = reasons(path, "So find the smallest missing box & its lid now.", marked, "find the smallest missing lid")
    assert found == [WHOLE, PASSES, None]
    assert reasons(path, "if a < b and c > d: return the List<int> to us") == [WHOLE]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("object.json", {"task_id": "X/0", "prompt": FIRST, "about": {"level": "easy"}}),
        ("pretty.json", {"prompt": FIRST, "canonical_solution": "return 1"}),
        ("line.jsonl", {"prompt": FIRST, "input_output": {"inputs": [SECOND]}}),
        ("list.json", [FIRST]),
        ("columns.json", {"question": [FIRST]}),
        ("text.json", FIRST),
    ],
)
def test_a_file_with_one_item_gives_it(tmp_path: Path, name: str, content: object) -> None:
    (tmp_path / name).write_text(json.dumps(content, indent=2 if name == "pretty.json" else None) + "\n")
    found = read_benchmark(tmp_path / name)
    assert (found.size, found.looked_for) == (1, 1)
    assert reasons(tmp_path / name, f"So: {FIRST}", f"So: {SECOND}") == [WHOLE, None]


def test_blocks_and_programs_in_text_are_whole_items(tmp_path: Path) -> None:
    program = "import matplotlib.pyplot as plot_of_boxes\ndef smallest_box_of(boxes):\n    return min(boxes)\n"
    blocks = "Find the smallest box\nthat is missing here.\n\nAdd the total weight\nof all these boxes.\n"
    (tmp_path / "code.txt").write_text(program)
    (tmp_path / "blocks.txt").write_text(blocks)
    assert reasons(tmp_path / "code.txt", "import matplotlib.pyplot as plot_of_boxes", program) == [None, WHOLE]
    assert read_benchmark(tmp_path / "blocks.txt").size == 2
    assert reasons(tmp_path / "blocks.txt", "Add the total weight", blocks) == [None, WHOLE]
    questions = ["Find the smallest missing box.", "Add the total weight of boxes.", "Sort every box by its weight."]
    (tmp_path / "short.txt").write_text("\n\n".join(questions))
    assert reasons(tmp_path / "short.txt", *questions) == [WHOLE] * 3
    (tmp_path / "mixed.txt").write_text(f"{FIRST}\n\n{program}")
    (tmp_path / "commented.txt").write_text(f"# {FIRST}\n\n{program}")
    assert reasons(tmp_path / "mixed.txt", f"So: {FIRST}", program) == [WHOLE, WHOLE]
    assert read_benchmark(tmp_path / "commented.txt").size == 1


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("empty.jsonl", b"", "is empty"),
        ("blank.json", b"\xef\xbb\xbf\n \n", "is empty"),
        ("broken.json", b'[\n{"a": 1},\n', "is not valid JSON"),
        ("broken.jsonl", b'{"a": 1}\n{"a": 2}\n{"a"\n', "line 3 is not valid JSON"),
        ("deep.json", b"[" * 100_000 + b"]" * 100_000, "is not valid JSON"),
        ("nan.json", b"NaN" + b"[" * 100_000, "is not valid JSON"),
        ("wide.txt", "a b c d e f".encode("utf-16"), "is not UTF-8 text"),
        ("latin.csv", b"a,b\n\xe4,c\n", "is not UTF-8 text"),
        ("damaged.jsonl.gz", gzip.compress(b'{"a": "one two three four five"}\n' * 9, mtime=0)[:-12], "cannot be read"),
        ("no.jsonl.gz", b"\x1f\x8b\x08 no gzip", "cannot be read"),
        ("bomb.jsonl.gz", gzip.compress(b" " * (1 << 21), mtime=0), "line 1 is longer than 1 MiB"),
        (
            "bomb.json.gz",
            gzip.compress(b'["a",\n' + b'"b",\n' * 900_000, mtime=0),
            "is one document of more than 1 MiB",
        ),
        ("endless.jsonl.gz", gzip.compress(b"1\n" * 2_000, mtime=0), "has more than 1,000 lines"),
        ("no.parquet", b"PAR1 but no more", "is not a valid Parquet file"),
        ("cut.parquet", b"", "is not a valid Parquet file"),
        ("no.arrow", b"\xff\xff\xff\xff\x10\x00\x00\x00 no more", "is not a valid Arrow file"),
        ("no.feather", b"ARROW1 but no more", "is not a valid Arrow file"),
        ("pointer.parquet", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Run git lfs pull"),
        ("broken.yaml", b"- a: [1\n- b: 2\n", "is not valid YAML"),
        ("python.yaml", b"- !!python/object/apply:os.getcwd []\n", "is not valid YAML"),
        ("date.yaml", b"- 2026-13-45\n", "is not valid YAML"),
        ("deep.yaml", b"[" * 100_000, "is not valid YAML"),
        ("bool.yaml", b"- !!bool maybe\n", "is not valid YAML"),
        ("number.yaml", b"- !!int ''\n", "is not valid YAML"),
        ("time.yaml", b"- !!timestamp soon\n", "is not valid YAML"),
        ("large.yaml", b"- " + b"1:" * 300 + b"5.5\n", "is not valid YAML"),
        ("laughs.yaml", b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "contains references"),
        ("latin.yaml", b"- \xe4\n", "is not UTF-8 text"),
        ("items.tar.gz", gzip.compress(bytes(257) + b"ustar" + bytes(250), mtime=0), "is an archive"),
        ("old.tar", b"items.jsonl" + bytes(501), "is an archive"),
        ("items.zip", b"PK\x03\x04 and so on", "is an archive"),
        ("items.jsonl", b"PK\x03\x04 and so on", "is an archive"),
        ("items.jsonl.xz", b"\xfd7zXZ\x00 and so on", "compressed by another program than gzip"),
        ("short.json", b"[]", "none of its 0 items"),
    ],
)
def test_a_damaged_or_hostile_file_gives_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, part: str
) -> None:
    monkeypatch.setattr("tuning.dataset.benchmark_files._AT_ONCE", 1 << 20)
    monkeypatch.setattr("tuning.dataset.benchmark_files._LINES", 1_000)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TuningError) as caught:
        read_benchmark(tmp_path / name)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_with_a_value_that_python_does_not_have_gives_one_line(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    large = pa.array([2**62])
    for number, column in enumerate([large.view(pa.timestamp("us", "No/Where")), large.view(pa.duration("s"))]):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(pa.table({"prompt": [LONG], "at": column}), path)
        with pytest.raises(TuningError, match="is not a valid Parquet file"):
            read_benchmark(path)


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not limit the memory of a process")
def test_a_table_that_repeats_a_long_text_needs_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.DictionaryArray.from_arrays(pa.array([0] * 64, pa.int32()), ["so " * (3 << 20)])
    pq.write_table(pa.table({"prompt": text}), tmp_path / "bomb.parquet", compression="zstd")
    assert (tmp_path / "bomb.parquet").stat().st_size < 10_000  # and 600 MB in memory
    monkeypatch.setattr("tuning.dataset.similar.decontaminate._MOST_MEMORY", 256 << 20)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(TuningError, match="needs more than 256 MB of memory"):
        read_benchmark(tmp_path / "bomb.parquet")
    assert resource.getrlimit(resource.RLIMIT_AS) == limits


def test_reading_ends_with_the_item_that_is_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = benchmark(tmp_path, ITEMS)
    path.write_bytes(path.read_bytes() + b"not JSON\n")
    monkeypatch.setattr("tuning.dataset.similar.decontaminate._MOST_TEXT", 9)
    with pytest.raises(TuningError, match="has more than 1,000,000 items or 9 characters"):
        read_benchmark(path)


def test_a_folder_without_a_benchmark_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"x")
    with pytest.raises(TuningError, match="there is no benchmark file in"):
        read_benchmark(tmp_path)


@pytest.mark.parametrize("name", ["data.zip", "deep/test.JSONL.bz2", "test.sqlite", "x.tar.gz", "x.tgz"])
def test_a_folder_with_a_file_that_is_not_read_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "README.md").write_text("# Exam\n\nTwo puzzles for models that write code, see the other file.\n")
    for hidden in (".git/x.zip", ".cache/data.zip"):
        (tmp_path / hidden).parent.mkdir()
        (tmp_path / hidden).write_bytes(b"x")
    assert read_benchmark(tmp_path).size == 1
    read_benchmark.cache_clear()
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(TuningError, match=f"{name} cannot be read, so its items would not be found. Unpack it"):
        read_benchmark(tmp_path)


def test_all_suffixes_of_benchmarks_are_read_in_a_folder(tmp_path: Path) -> None:
    line = json.dumps({"prompt": FIRST}) + "\n"
    for name in ("A.JSONL", "b.jsonl.GZ", "c.gz", "d.jsonlines", "e.1.gz"):
        (tmp_path / name).write_bytes(gzip.compress(line.encode()) if name.lower().endswith("gz") else line.encode())
    assert read_benchmark(tmp_path).looked_for == 5


def test_files_of_a_folder_that_are_not_read_are_named_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "exam"
    (folder / ".git").mkdir(parents=True)
    for name, content in (
        ("exam.jsonl", json.dumps(ITEMS[0])),
        ("more.dat", FIRST),
        ("\x1b[2J\u202e", "x"),
        (".git/a", "x"),
    ):
        (folder / name).write_text(content)
    rows = [row(number) for number in range(60)]
    made(tmp_path, rows, decontaminate=str(folder))
    files = "2 files ({U+001B}[2J{U+202E}, more.dat)"
    assert capsys.readouterr().err == f"warning: --decontaminate: not read in {folder}: {files}\n"
    made(tmp_path, rows, decontaminate=str(folder / "exam.jsonl"))
    assert capsys.readouterr().err == ""


def test_a_folder_of_a_whole_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuning.storage._MOST_FILES", 3)
    for number in range(4):
        (tmp_path / f"{number}.jsonl").write_text("{}\n")
    with pytest.raises(TuningError, match=r"--decontaminate: the folder .* has more than 3 files"):
        benchmark_files(tmp_path)
