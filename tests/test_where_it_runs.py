"""Where a command runs is decided in one module for each question; no other module decides it again.

What a target means is asked only where one `if` is the whole difference, and each such place is written down here.
"""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tuning.errors import TuningError
from tuning.settings import PROJECT_ROOT, Settings
from tuning.target import Target, at_home, find_target

# The one place of each decision, and the exceptions with their reason.
ALLOWED: dict[str, dict[str, str]] = {
    "reads the setting target": {"tuning/target.py": "says what it means"},
    "compares with the name of a target": {},
    "reads the scheme of an address": {"tuning/storage.py": "tells addresses in Cloud Storage from paths"},
    "tells storage by its class": {
        "tuning/gcs/object_file.py": "opens a path or an object",
        "tuning/gcs/bucket.py": "lets the server copy an object, and uploads a path",
        "tuning/records.py": "refuses a pipe, which only a path can name",
        "tuning/dataset/rows/prepare.py": "rows come in a file or as bytes; neither is in Cloud Storage",
        "tuning/dataset/workspace/on_ray.py": "gives paths in options other names on a node; none is in Cloud Storage",
    },
}
STORAGE = {"Path", "ObjectFile", "FolderStorage", "BucketStorage", "FolderStore", "BucketStore"} | {
    *("FolderOutputs", "BucketOutputs", "FolderInputs", "BucketInputs", "Warehouse", "HomeWarehouse", "Local", "Gcp")
}
SCHEMES = {"gs:", "/gcs"}
TARGETS = {"local", "gcp"}

# What each module asks a target, and why it may.
ASKS: dict[str, tuple[str, str]] = {
    # Each of these chooses one object, and the rest of the command only uses it.
    "tuning/gcs/storage.py": ("has_bucket", "chooses the storage"),
    "tuning/dataset/workspace/place.py": ("has_bucket", "chooses working files and outputs of a dataset"),
    "tuning/warehouse/client.py": ("has_own_bigquery", "chooses the warehouse"),
    "tuning/pipelines/end_to_end.py": (
        "has_own_bigquery on_vertex",
        "chooses what runs `tune`, and whether it fills the warehouse, which is one more step on the display",
    ),
    "tuning/tuners/where.py": ("on_vertex", "says for all others where a tuner trains"),
    # Each of these is the one `if` of a command between two ways that share nothing.
    "tuning/pipelines/refresh/run.py": ("on_vertex", "chooses what runs `refresh`"),
    "tuning/pipelines/submit.py": ("on_vertex", "`submit` without a template runs here or sends a job"),
    "tuning/pipelines/job_lines.py": ("on_vertex", "`status` reads a job or the record of a local run"),
    "tasks.py": (
        "has_own_bigquery name uses_google",
        "`build` explains 0 bytes, `config` prints the target, and `hello` runs here or sends a job",
    ),
    "tuning/monitoring/doctor.py": ("uses_google", "checks the local server or the Google account"),
    # Each of these is one value or one message that differs.
    "tuning/cloud/estimate.py": ("reports_bytes uses_google", "the notes of two prices"),
    "tuning/dataset/dataset.py": ("has_bucket has_bucket", "files out of reach; datasets of other homes"),
    "tuning/dataset/snapshot/export.py": ("has_bucket", "leaves out snapshots out of reach"),
    "tuning/monitoring/tracing/trace.py": ("uses_google", "names the alias in Model Registry"),
    "tuning/pipelines/refresh/steps.py": ("on_vertex", "only Vertex AI names the error of the failed step"),
    "tuning/pipelines/refresh/webhook.py": ("on_vertex", "which of two settings may be set"),
    "tuning/pipelines/steps/requests.py": ("uses_google", "a container has a home of its own"),
    "tuning/registry/deployment.py": ("uses_google", "publishes nothing on target local"),
    "tuning/registry/local_copy.py": ("has_bucket", "a folder of this machine needs no download"),
    "tuning/registry/registry.py": ("has_bucket", "without a bucket, one registration runs at a time"),
    "tuning/tuners/gemini/estimate.py": ("uses_google", "only Google counts tokens"),
    "tuning/tuners/tracking.py": ("on_vertex uses_google", "the default tracker, and whether it is there"),
    "tuning/warehouse/dbt_client.py": ("has_own_bigquery", "the local server knows its home by dbt's own token"),
    "tuning/warehouse/dbt_process.py": ("name", "the name of dbt's target and of its folder"),
}
ANSWERS = {one for one in {*vars(Target), *Target.__annotations__} if not one.startswith(("_", "require_"))}


def name_of(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=function):
            return name_of(function)
        case _:
            return ""


def decisions(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield what each node decides about where something runs, and its line."""
    written: set[int] = set()
    for node in ast.walk(tree):  # from the outside in, so an f-string comes before its parts
        match node:
            case ast.Attribute(attr="target", value=value) if name_of(value).lower().endswith("settings"):
                yield "reads the setting target", node.lineno
            case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value="target"), *_]):
                yield "reads the setting target", node.lineno
            case ast.Compare() if TARGETS & {one.value for one in ast.walk(node) if isinstance(one, ast.Constant)}:
                yield "compares with the name of a target", node.lineno
            case ast.MatchValue(value=ast.Constant(value=value)) if value in TARGETS:
                yield "compares with the name of a target", node.lineno
            case ast.JoinedStr(values=parts):  # writes an address
                written |= set(map(id, parts))
            case ast.Constant(value=str() as text) if text.rstrip("/") in SCHEMES and id(node) not in written:
                yield "reads the scheme of an address", node.lineno
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, classes]) if STORAGE & {
                name_of(one) for one in ast.walk(classes) if isinstance(one, ast.expr)
            }:
                yield "tells storage by its class", node.lineno
            case ast.MatchClass(cls=kind) if name_of(kind) in STORAGE:
                yield "tells storage by its class", kind.lineno


def asks(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield what is asked of a target, and the line. Other things have a name too, so it counts at its source."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr="name", value=ast.Call(func=function)) if name_of(function) == "find_target":
                yield "name", node.lineno
            case ast.Attribute(attr=answer) if answer in ANSWERS - {"name"}:
                yield answer, node.lineno


@functools.cache
def modules_in(folder: Path) -> dict[str, ast.Module]:
    """The modules in the folder by their paths."""
    paths = [*(folder / "tuning").rglob("*.py"), *folder.glob("tasks.py")]
    return {path.relative_to(folder).as_posix(): ast.parse(path.read_text()) for path in paths}


def found_in(folder: Path) -> set[tuple[str, str, int]]:
    """What is decided where: the decision, the file and the line."""
    return {(what, name, line) for name, tree in modules_in(folder).items() for what, line in decisions(tree)}


def test_no_other_module_decides_where_something_runs() -> None:
    found = found_in(PROJECT_ROOT)
    assert sorted(f"{name}:{line} {what}" for what, name, line in found if name not in ALLOWED[what]) == []
    assert {(what, name) for what, name, _ in found} == {(what, name) for what in ALLOWED for name in ALLOWED[what]}


def asks_in(folder: Path) -> dict[str, list[tuple[str, int]]]:
    """What each module asks a target, without the module that answers."""
    found = {name: sorted(asks(tree)) for name, tree in modules_in(folder).items()}
    return {name: asked for name, asked in found.items() if asked and name != "tuning/target.py"}


def test_each_ask_of_a_target_is_written_down_with_its_reason() -> None:
    found = asks_in(PROJECT_ROOT)
    new = [
        f"{name} asks {', '.join(f'{answer} in line {line}' for answer, line in asked)}"
        for name, asked in found.items()
        if [answer for answer, _ in asked] != ASKS.get(name, ("", ""))[0].split()
    ]
    assert new == [], (
        f"{'; '.join(new)}. Let an object that was chosen before know the way: that of find_storage, find_place, "
        "find_warehouse or inputs_in, or ask tuning/tuners/where.py. If one `if` is the simplest design, write it into "
        "ASKS with the reason"
    )
    assert ASKS.keys() == found.keys()


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("on_vertex", "if find_target(settings).on_vertex: pass"),
        ("uses_google", "x = self.target.uses_google"),
        ("name", "x = find_target(load_settings()).name"),
    ],
)
def test_a_planted_ask_is_found(what: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "tuning").mkdir()
    (tmp_path / "tuning" / "planted.py").write_text(f"import this\n\n{line}\nx = path.name\n")
    (tmp_path / "tuning" / "target.py").write_text(f"{line}\n")
    assert asks_in(tmp_path) == {"tuning/planted.py": [(what, 3)]}


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("reads the setting target", "x = settings.target"),
        ("reads the setting target", "x = self._settings.target"),
        ("reads the setting target", "x = load_settings().target"),
        ("reads the setting target", "x = getattr(settings, 'target')"),
        ("compares with the name of a target", "x = name == 'gcp'"),
        ("compares with the name of a target", "x = name in ('local', 'gcp')"),
        ("reads the scheme of an address", "x = uri.startswith('gs://')"),
        ("reads the scheme of an address", "x = path.is_relative_to('/gcs')"),
        ("reads the scheme of an address", "x = 'gs://' in uri"),
        ("tells storage by its class", "x = isinstance(source, Path)"),
        ("tells storage by its class", "x = isinstance(source, (str, object_file.ObjectFile))"),
        ("tells storage by its class", "match store:\n    case BucketStore(): pass"),
    ],
)
def test_a_planted_decision_is_found(what: str, line: str, tmp_path: Path) -> None:
    module = tmp_path / "tuning" / "planted.py"
    module.parent.mkdir()
    module.write_text(f"import this\n\n{line}\n")
    assert found_in(tmp_path) == {(what, "tuning/planted.py", 2 + len(line.splitlines()))}


@pytest.mark.parametrize(
    ("given", "answers"),
    [
        ({}, (False, True, False, False, False)),
        ({"storage_endpoint": "http://127.0.0.1:1"}, (False, True, True, False, False)),
        ({"vertex_endpoint": "http://127.0.0.1:1"}, (False, True, False, False, True)),
        ({"bigquery_endpoint": "http://127.0.0.1:1"}, (False, True, False, False, False)),
        ({"target": "gcp"}, (True, False, True, True, True)),
        ({"target": "gcp", "bigquery_endpoint": "http://127.0.0.1:1"}, (True, False, True, False, True)),
    ],
)
def test_the_target_and_the_endpoints_decide_where_each_part_runs(
    given: dict[str, str], answers: tuple[bool, ...], settings: Settings
) -> None:
    target = find_target(msgspec.structs.replace(settings, **given))
    assert target.name == given.get("target", "local")
    assert (
        target.uses_google,
        target.has_own_bigquery,
        target.has_bucket,
        target.reports_bytes,
        target.on_vertex,
    ) == answers


def test_at_home_there_is_no_bucket(settings: Settings) -> None:
    for given in ({"target": "gcp"}, {"storage_endpoint": "http://127.0.0.1:1"}):
        here = at_home(msgspec.structs.replace(settings, **given))
        assert not find_target(here).has_bucket
        assert here.home == settings.home


@pytest.mark.cloud
def test_only_a_project_of_ones_own_is_enough_for_google(settings: Settings) -> None:
    find_target(settings).require_project()
    with pytest.raises(TuningError, match=r"the target is local\. Add --target gcp"):
        find_target(settings).require_google()
    cloud = msgspec.structs.replace(settings, target="gcp")
    both = r"your own project and bucket; 'local-project' and 'tuning' are only .*Set TUNING_PROJECT and TUNING_BUCKET$"
    with pytest.raises(TuningError, match=both):
        find_target(cloud).require_google()
    with pytest.raises(TuningError, match=r"your own bucket.*Set TUNING_BUCKET"):
        find_target(msgspec.structs.replace(cloud, project="mine")).require_project()
    find_target(msgspec.structs.replace(cloud, project="mine", bucket="ours")).require_google()
    find_target(msgspec.structs.replace(cloud, vertex_endpoint="http://127.0.0.1:1")).require_google()
