"""Parts of the pages that need no browser."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.pipelines.small_dataset import write_dataset
from tests.registry.candidates import candidate
from tests.site.invented_home import EVIL, FAILED, FIRST, SECOND, make_home
from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.pipelines.outcome import Step
from tuning.pipelines.release.record import COMPARISON
from tuning.registry.records import Version
from tuning.settings import Settings
from tuning.site.compared import compare_runs, facts
from tuning.site.highlighting import as_code, in_color
from tuning.site.pages import Pages, web
from tuning.site.records import SiteRun, plain_name, read_runs
from tuning.site.run_page import command, write_run_page
from tuning.site.runs_page import write_runs_page
from tuning.tuners.hf.train.curves import Curves, Point


def version(**options: object) -> Version:
    fields = {name: getattr(candidate(), name) for name in candidate().__struct_fields__}
    return Version(**{**fields, "options": options, "name": "v2"})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0, "full": False, "adapter": ""}, ""),
        ({"steps": 20, "learning_rate": 0.001}, " --steps 20 --learning-rate 0.001"),
        ({"full": True, "epochs": 2.0}, " --epochs 2.0 --full"),
        ({"base_model": "my models/one"}, " --base-model 'my models/one'"),
        ({"quantize": "4bit", "shard": False}, " --quantize 4bit"),
        ({"quantize": "", "shard": True}, " --shard"),
        ({"continues": "v1", "continues_sha256": "0"}, " --from v1"),
    ],
)
def test_the_command_repeats_the_options_that_were_given(options: dict[str, object], words: str) -> None:
    assert command(version(**options)) == f"invoke tune --dataset d1 --tuner hf{words}"


def test_lines_that_only_one_answer_has_are_marked() -> None:
    shown = as_code("one\ntwo\nthree", "one\nthree\n")
    assert shown.count('class="hll"') == 1
    assert 'class="hll">two' in shown
    assert 'class="hll"' not in as_code("one\ntwo")


@pytest.mark.parametrize("text", ["a\x0bb\x0cc\n\u2028d\nlast", "\n\nlast", "a\r\nb\r\nlast"])
def test_the_marked_line_is_the_right_one_in_any_text(text: str) -> None:
    shown = as_code(text, text.removesuffix("last") + "other")
    assert shown.count('class="hll"') == 1
    assert 'class="hll">last' in shown


def test_code_of_another_language_is_left_to_the_caller() -> None:
    assert in_color("len(<b>)", "python").startswith('<span class="nb">len</span><span class="p">(</span>')
    assert "<b>" not in in_color("len(<b>)", "python")
    assert in_color("<b>", "html") == ""


@pytest.mark.parametrize("address", ["javascript:alert(1)", " https://a.example", "data:text/html,x", "urn:a", ""])
def test_only_addresses_of_the_web_are_links(address: str) -> None:
    assert web(address) == ""
    assert web("https://a.example/x") == "https://a.example/x"


def test_a_part_is_made_again_when_its_inputs_or_the_code_change(tmp_path: Path) -> None:
    made: list[str] = []

    def site(name: str, earlier: str, code: str, content: bytes) -> None:
        pages = Pages(tmp_path / name, tmp_path / earlier, code)
        pages.part("a/b", [content], lambda folder: (made.append(name), (folder / "page").write_text(name)))
        pages.finish()

    site("one", "none", "code", b"x")
    site("two", "one", "code", b"x")
    site("three", "two", "code", b"y")
    site("four", "three", "other code", b"y")
    assert made == ["one", "three", "four"]
    assert (tmp_path / "two" / "a" / "b" / "page").read_text() == "one"


def test_the_names_of_steps_on_vertex_ai_lose_their_numbers() -> None:
    names = [plain_name(step.name) for step in (Step(name="3 evaluate tuned", seconds=1, cached=False),)]
    assert names == ["evaluate-tuned"]
    assert plain_name("build") == "build"


@pytest.mark.parametrize("name", ["runs/", "datasets/..", "datasets/../../x", "datasets//tmp/x", "datasets/d1"])
def test_a_part_stays_in_the_site_and_has_its_name_alone(tmp_path: Path, name: str) -> None:
    pages = Pages(tmp_path / "site", tmp_path / "before", "code")
    pages.part("datasets/d1", [], lambda folder: None)
    with pytest.raises(TuningError, match=r"belongs to two folders|is no name of a folder"):
        pages.part(name, [], lambda folder: None)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("parts")
    settings = Settings(home=folder / "home")
    make_home(settings, folder / "work")
    return settings


def pages_of(home: Settings, folder: Path, name: str, change: Callable[[bytes], bytes]) -> str:
    """The page of a run of which one file is changed."""
    path = home.runs_dir / FIRST / name
    before = path.read_bytes()
    path.write_bytes(change(before))
    try:
        run = next(run for run in read_runs(home, 50) if run.id == FIRST)
    finally:
        path.write_bytes(before)
    folder.mkdir()
    write_run_page(folder, run, {"root": "", "here": "", "docs": "", "run_ids": {FIRST}, "dataset_ids": set()})
    return (folder / "index.html").read_text()


def test_an_answer_that_fails_its_check_says_so_in_words(home: Settings, tmp_path: Path) -> None:
    named = json.dumps(f"AssertionError {EVIL}", ensure_ascii=False).encode()
    page = pages_of(home, tmp_path / "run", COMPARISON, lambda content: content.replace(named, b'"AssertionError"'))
    assert "AssertionError: a check found something else than it expects" in page


def test_a_metric_of_another_version_of_the_project_is_shown_without_a_description(
    home: Settings, tmp_path: Path
) -> None:
    assert "of-tomorrow" in pages_of(
        home,
        tmp_path / "run",
        COMPARISON,
        lambda content: content.replace(b'"metric": "code"', b'"metric": "of-tomorrow"'),
    )


def test_a_verdict_on_other_questions_than_those_of_the_comparison_is_one_line(home: Settings, tmp_path: Path) -> None:
    with pytest.raises(TuningError, match=r"verdict.json of the run .* names the question '.*', and comparison.json"):
        pages_of(home, tmp_path / "run", COMPARISON, lambda content: content.replace(b'"topic": "', b'"topic": "x'))


@pytest.mark.parametrize(
    "content",
    [
        b"[",
        b"text",
        b"- 1\n",
        b"root: []\n",
        b"root: {dag: {tasks: {a: {dependentTasks: 5}}}}\n",
        b"root: {dag: {tasks: {a: {dependentTasks: [b]}, b: {dependentTasks: [a]}}}}\n",
        b"root: 2020-13-99\n",
        b"root: !!bool x\n",
        b"\xff\xfe\xfa",
        b"[" * 5000,
    ],
)
def test_a_damaged_pipeline_of_a_run_is_one_line(home: Settings, tmp_path: Path, content: bytes) -> None:
    with pytest.raises(TuningError, match=r"pipeline.yaml is damaged \(.*\)\. Delete .*pipeline.yaml to do without it"):
        pages_of(home, tmp_path / "run", "pipeline.yaml", lambda _: content)


def one_run(home: Settings, run_id: str) -> SiteRun:
    return next(run for run in read_runs(home, 50) if run.id == run_id)


def options_of(run: SiteRun, dataset: Dataset | None) -> dict[str, str]:
    """The options as the page shows them."""
    found = facts(run, dataset)["Options"]
    return {name: fact.text + " (default)" * fact.is_default for name, fact in found.items()}


def test_a_comparison_lists_every_option_and_marks_the_defaults_in_one_way(home: Settings, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "d1")
    options = {"seed": 42, "limit": 500, "code": "any", "decontaminate": {"name": "b.jsonl", "sha256": "0" * 64}}
    options |= {"tokenizer": None, "max_length": 0, "steps": 5}
    build = {"variables": '{"tag_pattern": "pandas", "minimum_answer_score": 0, "match_parent": true, "since": ""}'}
    dataset = replace(dataset, manifest=msgspec.structs.replace(dataset.manifest, options=options, build=build))
    written = b"evaluation-examples: 50\nevaluation-answers: 0\nexclude-user: [7, 8]\nsteps: 99\nlearning-rate: 0.001\n"
    written += b"dataset: d1\n"
    assert options_of(replace(one_run(home, FIRST), run_file=written), dataset) == {
        "base model": "smollm2 (default)",
        "batch size": "4 (default)",
        "code": "any (default)",
        "dataset": "d1",
        "decisions": "none (default)",
        "decontaminate": f"b.jsonl {'0' * 40}",
        "evaluation answers": "0",
        "evaluation examples": "50",
        "exclude user": "7; 8",
        "from": "none (default)",
        "keep": "merged (default)",
        "learning rate": "0.001",
        "limit": "500",
        "lora rank": "16 (default)",
        "match parent": "yes (default)",
        "max length": "400 (default)",
        "max length of the dataset": "no limit (default)",
        "minimum answer score": "0",
        "parquet": "no (default)",
        "quantize": "no (default)",
        "redact rules": "none (default)",
        "seed": "42 (default)",
        "seed of the dataset": "42 (default)",
        "since": "none",
        "steps of the dataset": "5",
        "steps or epochs": "20 steps",  # of the version, which is what was done
        "tag pattern": "pandas",
        "tokenizer": "none (default)",
        "tuner": "hf (default)",
    }


def test_options_of_a_comparison_are_those_that_the_training_used(home: Settings) -> None:
    first = one_run(home, FIRST)
    assert first.recipe
    assert first.version
    assert options_of(one_run(home, SECOND), None)["quantize"] == "4bit"
    full = options_of(
        replace(first, recipe=msgspec.structs.replace(first.recipe, lora_rank=0, steps=0, epochs=1.5)), None
    )
    assert full["lora rank"] == "none: all weights are trained (default)"
    assert full["steps or epochs"] == "1.5 epochs"
    capped = msgspec.structs.replace(first.recipe, most_epochs=3.0)
    assert options_of(replace(first, recipe=capped), None)["steps or epochs"] == "20 steps, at most 3 epochs"
    managed = msgspec.structs.replace(first.version, tuner="gemini", options={"lora_rank": 4, "epochs": 2})
    shown = options_of(replace(first, recipe=None, version=managed), None)
    assert [shown[name] for name in ("tuner", "lora rank", "steps or epochs", "learning rate")] == [
        "gemini (default)",
        "4",
        "2 epochs",
        "chosen by the tuner (default)",
    ]
    failed = options_of(replace(first, recipe=None, version=None, run_file=b"full: true\nepochs: 2\n"), None)
    assert failed == {"lora rank": "none: all weights are trained", "steps or epochs": "2 epochs"}


def test_a_comparison_knows_the_settings_that_a_run_did_not_change(home: Settings) -> None:
    first, second = one_run(home, FIRST), one_run(home, SECOND)
    found = compare_runs([replace(first, run_file=b"run-answers: no\n"), replace(second, run_file=b"{}")], {})
    assert [run["facts"]["Options"]["run answers"] for run in found["runs"]] == [("no", False), ("sandboxed", True)]
    assert found["parts"]["Options"] == sorted(found["parts"]["Options"])
    assert "from" not in found["parts"]["Options"], "no run continues another"
    without = compare_runs([replace(first, run_file=b"run-answers: no\n"), replace(second, run_file=b"")], {})
    assert "run answers" not in without["runs"][1]["facts"]["Options"], "an earlier version wrote no file"


def test_damaged_records_of_options_are_one_line(home: Settings) -> None:
    first = one_run(home, FIRST)
    for damaged in (b"[", b"a: !!bool x", b'a: !!int ""'):
        with pytest.raises(TuningError, match=rf"run.yaml of the run {FIRST} is damaged \(.*\). Delete it"):
            facts(replace(first, run_file=damaged), None)
    (path,) = home.home.glob("models/v1/model/model.json")
    before = path.read_bytes()
    path.write_bytes(before.replace(b'"batch_size": 4', b'"batch_size": "x"'))
    try:
        with pytest.raises(TuningError, match=r"model.json is damaged \(Expected `int`, got `str`.*Restore it"):
            read_runs(home, 50)
    finally:
        path.write_bytes(before)


def test_the_page_of_a_run_says_how_it_was_trained(home: Settings, tmp_path: Path) -> None:
    text = pages_of(home, tmp_path / "run", COMPARISON, lambda content: content)
    said = "a LoRA adapter of rank 16; 20 steps of 4 examples with at most 400 tokens; learning rate 0.001"
    assert said in text
    run = one_run(home, SECOND)
    write_run_page(tmp_path / "run", run, {"root": "", "here": "", "docs": "", "run_ids": set(), "dataset_ids": set()})
    quantized = (tmp_path / "run" / "index.html").read_text()
    assert "a LoRA adapter of rank 16 on 4-bit weights; 36 steps" in quantized
    assert "<figcaption>Learning curves, measured on 4-bit weights</figcaption>" in quantized
    assert "<figcaption>Learning curves</figcaption>" in text


@pytest.mark.parametrize(
    ("status", "shown"), [("succeeded", "better"), ("failed", "failed"), ("interrupted", "interrupted")]
)
def test_a_run_that_failed_after_its_verdict_is_shown_as_failed(
    home: Settings, tmp_path: Path, status: str, shown: str
) -> None:
    run = next(run for run in read_runs(home, 50) if run.id == FIRST)
    run = replace(run, record=msgspec.structs.replace(run.record, status=status, verdict="better"))
    write_runs_page(tmp_path, [run], {}, {"root": "", "here": "", "docs": "", "dataset_ids": set()})
    assert f'<td class="nowrap"><span class="{shown}">{shown}</span></td>' in (tmp_path / "index.html").read_text()


def test_a_run_without_a_model_shows_the_base_that_was_asked_for(home: Settings, tmp_path: Path) -> None:
    failed = one_run(home, FAILED)
    write_runs_page(tmp_path, [failed], {}, {"root": "", "here": "", "docs": "", "dataset_ids": set()})
    assert "<td>tiny</td>" in (tmp_path / "index.html").read_text()
    earlier = replace(failed, record=msgspec.structs.replace(failed.record, base_model=""))
    write_runs_page(tmp_path, [earlier], {}, {"root": "", "here": "", "docs": "", "dataset_ids": set()})
    assert "<td>-</td>" in (tmp_path / "index.html").read_text()


def test_a_run_that_has_not_ended_shows_no_time(home: Settings) -> None:
    ended = next(run for run in read_runs(home, 50) if run.id == FIRST)
    going = replace(ended, record=msgspec.structs.replace(ended.record, status="running", seconds=0.0))
    assert (ended.took, facts(ended, None)["Run"]["time"].text) == ("240.0 s", "240.0 s")
    assert (going.took, facts(going, None)["Run"]["time"].text) == ("-", "-")


def test_a_comparison_has_the_steps_that_were_trained(home: Settings) -> None:
    run = next(run for run in read_runs(home, 50) if run.id == FIRST)
    curves = Curves(train=[Point(1, 2.0), Point(37, 1.5)], development=[Point(30, 1.9)])
    assert facts(replace(run, curves=curves), None)["Results"]["steps trained"].text == "37"
    assert "steps trained" not in facts(replace(run, curves=None), None)["Results"]


def test_an_empty_pipeline_of_a_run_has_no_graph(home: Settings, tmp_path: Path) -> None:
    assert "<html" in pages_of(home, tmp_path / "run", "pipeline.yaml", lambda _: b"")
