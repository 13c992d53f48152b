"""The file that repeats a run: what is written, what is read, and what wins."""

import json
from pathlib import Path
from typing import Annotated, Any

import jsonschema
import pytest
import yaml
from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.executor import Executor
from invoke.parser import Parser
from msgspec import Meta

from tuning.command import _READERS, command, options_of
from tuning.command_line.options import BuildOptions, OwnOptions, SplitOptions, TuningOptions
from tuning.command_line.run_file import RUN_FILE, RunFile, read_run_file, run_text, schema_of
from tuning.errors import TuningError
from tuning.pipelines.release.record import start_run
from tuning.settings import Settings, shared_kinds
from tuning.tuners.options import tuning_settings

Given = tuple[Settings, dict[str, Any], str]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.__struct_fields__:
        if name not in ("home", "target"):
            monkeypatch.delenv(f"TUNING_{name.upper()}", raising=False)


def ran(*line: str) -> Given:
    """Run a command with the options of `tune`. Return its settings, its options, and the file that repeats it."""
    seen: list[Given] = []

    @command
    def repeat(
        c: Context,
        settings: Settings,
        build: BuildOptions,
        chosen: SplitOptions,
        own: OwnOptions,
        tuning: TuningOptions,
        run_file: RunFile,
        dataset: Annotated[str, Meta(description="dataset")] = "",
    ) -> None:
        """Repeat."""
        given = {name: value for group in (build, chosen, own, tuning) for name, value in group.given().items()}
        seen.append((tuning_settings(settings, tuning)[0], {**given, "dataset": dataset}, run_file.text))

    tasks = Collection(repeat)
    Executor(tasks).execute(*Parser(contexts=tasks.to_contexts()).parse_argv(["repeat", *line]))
    return seen[0]


LINE = (
    *("--limit", "20", "--since", "2020-01-01", "--match-parent", "false", "--learning-rate", "0.0001", "--full"),
    *("--exclude-user", "7", "--exclude-user", "8", "--train", "a.jsonl=2", "--eval", "b.jsonl", "--dataset", "d1"),
)


def test_what_a_run_writes_repeats_it_and_fits_the_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tasks

    planted = "planted-" + "token"
    monkeypatch.setenv("TUNING_EVALUATION_EXAMPLES", "50")
    monkeypatch.setenv("TUNING_BASE_MODEL", "tiny")
    monkeypatch.setenv("TUNING_ACCESS_TOKEN", planted)
    settings, options, text = ran(*LINE)
    assert planted not in text
    assert str(settings.home) not in text
    path = tmp_path / RUN_FILE
    path.write_text(text)
    for name in ("EVALUATION_EXAMPLES", "BASE_MODEL", "ACCESS_TOKEN", "ACCESS_TOKEN_FILE"):
        monkeypatch.delenv(f"TUNING_{name}", raising=False)
    again, same_options, same_text = ran("--config", str(path))
    assert (again.evaluation_examples, again.base_model) == (50, "tiny")
    assert (same_options, same_text) == ({**options, "base_model": "tiny"}, text)
    assert options["eval_"] == ["b.jsonl"]
    written = yaml.safe_load(text)
    schema = schema_of(shared_kinds() | options_of(tasks.tune), "tune")
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(written, schema)
    assert written["eval"] == ["b.jsonl"]
    for wrong in ({"limt": 3}, {"limit": -1}, {"format": "none"}, {"home": "x"}, {"webhook": "https://x"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_an_option_wins_over_a_variable_and_a_variable_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "limit: 5\nbase-model: from-file\nevaluation_examples: 40\nbatch_size: 3\ntarget: local\nseed: null\n"
    )
    settings, options, _ = ran("--config", str(path))
    assert (settings.base_model, settings.evaluation_examples) == ("from-file", 40)
    assert (options["limit"], options["batch_size"], "seed" in options) == (5, 3, False)
    monkeypatch.setenv("TUNING_BASE_MODEL", "tiny")
    monkeypatch.setenv("TUNING_EVALUATION_EXAMPLES", "41")
    settings, options, _ = ran("--config", str(path), "--limit", "6")
    assert (settings.base_model, settings.evaluation_examples, options["limit"]) == ("tiny", 41, 6)
    settings, _, _ = ran("--config", str(path), "--base-model", "smollm2")
    assert settings.base_model == "smollm2"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("limt: 3", "has the unknown key limt. Did you mean limit?"),
        ("home: x", "has the unknown key home"),
        ("access_token: x", "has the unknown key access_token"),
        ("decisions: ''", "decisions must not be empty"),
        ("bucket: ''", "bucket must not be empty. Give a value, or leave it out"),
        ("base-model: ''", "base-model must not be empty. Give a value, or leave it out"),
        ("limit: 1_0", "limit takes a whole number, not '1_0'"),
        ("limit: 0x1", "limit takes a whole number, not '0x1'"),
        ("limit: many", "limit takes a whole number, not 'many'"),
        ("limit: [1, 2]", "limit takes one value, not a list"),
        ("a: &a [1]\nlimit: [*a, *a]", "has the unknown key a"),
        ("limit: [[1], [2]]", "limit takes one value, or a list of values"),
        ("? [limit]\n: 3", "has the unknown key []"),
        ("limit: {a: 1}", "limit takes one value, or a list of values"),
        ("evaluation-examples: 0", "evaluation-examples takes a whole number above 0"),
        ("format: none", "format cannot be 'none'. Choose one of: notebook"),
        ("limit: 12:30", "limit takes a whole number, not '12:30'"),
        ("full: yes", "full takes true or false, not 'yes'"),
        ("exclude-user: [7, null]", "exclude-user takes a list without empty values"),
        ("tag-pattern: !!binary aGk=", "is not valid YAML (it has a tag in line 1: write the value without it)"),
        ("tag-pattern: !mine x", "is not valid YAML (it has a tag in line 1"),
        ("train: &a [*a]", "train takes one value, or a list of values"),
        ("- limit", "is not a list of names with values. Write lines such as: limit: 2000"),
        ("a: [", "is not valid YAML"),
        ("full: !!bool maybe", "is not valid YAML"),
        ('limit: !!int ""', "is not valid YAML"),
        ("since: !!timestamp soon", "is not valid YAML"),
        ("limit: 1\nlimit: 2", "has the key limit twice. Delete one of the two lines"),
        ("base-model: tiny\nbase_model: smollm2", "has the key base-model twice"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(Exit) as ended:
        ran("--config", str(path))
    assert said in str(ended.value.message)
    assert len(str(ended.value.message).splitlines()) == 1


@pytest.mark.parametrize("written", ["0123", "12:30", "3.10", "1e3", "0x1F", "2020-01-02", "no", "True", "'null'"])
def test_a_text_is_read_as_it_is_written(tmp_path: Path, written: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"tag-pattern: {written}\ntrain: [{written}]\nfull: True\nlearning-rate: 1e-4\nlimit: 0010\n")
    text = written.strip("'")
    read = ran("--config", str(path))[1]
    assert (read["tag_pattern"], read["train"], read["full"]) == (text, [text], True)
    assert (read["learning_rate"], read["limit"]) == (1e-4, 10)


def test_one_value_is_a_list_where_an_option_can_be_repeated(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("train: a.jsonl\nexclude-user: 7\n")
    assert ran("--config", str(path))[1] == {"train": ["a.jsonl"], "exclude_user": [7], "dataset": ""}


def test_the_folder_of_a_run_has_the_file(settings: Settings) -> None:
    text = run_text("tune", {"limit": 3, "from_": "v1"})
    folder, _ = start_run(settings, "tune-python-qa", "d1", text)
    assert (folder / RUN_FILE).read_text() == text
    assert yaml.safe_load(text) == {"limit": 3, "from": "v1"}
    folder, _ = start_run(settings, "hello-world")
    assert not (folder / RUN_FILE).exists()


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    import tasks

    tasks.config(Context(), schema=True)
    printed = json.loads(capsys.readouterr().out)
    assert {"limit", "from", "eval", "evaluation-examples"} <= printed["properties"].keys()
    assert not {"home", "access-token", "judge-key", "config", "preview_"} & printed["properties"].keys()
    tasks.config(Context(), schema=True, of="evaluate")
    printed = json.loads(capsys.readouterr().out)
    assert {"model", "data", "examples", "run-answers"} <= printed["properties"].keys()
    assert "steps" not in printed["properties"]


@pytest.mark.parametrize("name", ["dataset", "evaluate"])
def test_dataset_and_evaluate_read_a_file_by_the_same_rule(
    name: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tasks

    monkeypatch.delitem(_READERS, "repeat", raising=False)  # that of the tests above
    seen: list[dict[str, Any]] = []

    class StopError(Exception):
        pass

    def stop(*values: Any, **named: Any) -> None:
        seen.append({"values": values, **named})
        raise StopError

    monkeypatch.setattr("tuning.pipelines.end_to_end.make_dataset", stop)
    monkeypatch.setattr("tuning.registry.evaluate_version.evaluate_version", stop)
    path = tmp_path / "mine.yaml"
    own = {"dataset": "limit: 5\nseed: 3\n", "evaluate": "examples: 5\nmodel: v3\n"}[name]
    path.write_text(f"{own}evaluation-examples: 40\n")
    line = [name, "--config", str(path), {"dataset": "--limit", "evaluate": "--examples"}[name], "6"]
    monkeypatch.setenv("TUNING_EVALUATION_EXAMPLES", "41")
    with pytest.raises(StopError):
        Executor(tasks.namespace).execute(*Parser(contexts=tasks.namespace.to_contexts()).parse_argv(line))
    values = seen[0]["values"]
    assert values[0].evaluation_examples == 41
    if name == "dataset":
        assert (values[2].limit, values[2].seed) == (6, 3)
    else:
        assert values[1:4] == ("v3", "", 6)
    path.write_text("steps: 5\n")
    with pytest.raises(Exit) as ended:
        Executor(tasks.namespace).execute(*Parser(contexts=tasks.namespace.to_contexts()).parse_argv(line))
    assert "has the key steps, which belongs to `invoke tune`. Leave it out for" in str(ended.value.message)


def test_aliases_inside_lists_are_not_followed(tmp_path: Path) -> None:
    levels = [f"- &a{number} [{', '.join([f'*a{number - 1}' if number else 'x'] * 10)}]" for number in range(10)]
    path = tmp_path / "run.yaml"
    path.write_text("\n".join(["train:", *levels]))
    with pytest.raises(TuningError, match="train takes one value, or a list of values"):
        read_run_file(path, {"train": list[str] | None}, "tune")
