"""The commands from a dump to a registered model, a small dump for them, and what they must result in."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import py7zr

from tests.hard.commands import Home
from tests.marts import words
from tests.sources.dumps import document, row
from tuning.storage import sha256_of

REAL_DUMP = "stackoverflow-python-bodies.7z"
POSTS = 600
# The larger share keeps the five examples that the evaluation needs, with any seed.
SPLIT = ("--limit", "50", "--eval-fraction", "0.4")
_COMPARED = ("train.jsonl", "eval.jsonl", "attribution.jsonl")
# Times, and checksums of files that hold times or the path of the home. The weights are compared by themselves.
_DIFFERENT = frozenset(
    {"at", "id", "created_at", "run_id", "contents_sha256", "files", "evaluation_base", "evaluation_tuned"}
)


def tune(steps: int) -> tuple[str, ...]:
    """The command that tunes, with few steps, because this tests the commands and not the model."""
    sizes = ("--steps", str(steps), "--batch-size", "2", "--max-length", "640")
    return ("tune", "--base-model", "tiny", *SPLIT, *sizes)


def stages(dump: Path) -> dict[str, tuple[str, ...]]:
    """The commands in their order, by name. `tune` also evaluates and registers the model.

    HARD_STAGES chooses some of them: `ingest,dataset,tune,evaluate,promote` is the shortest whole chain, because
    `dataset` also builds and exports.
    """
    commands = {
        "ingest": ("ingest", str(dump)),
        "build": ("build",),
        "export": ("export",),
        "dataset": ("dataset", *SPLIT),
        "tune": tune(6),
        "evaluate": ("evaluate", "--model", "v1"),
        "promote": ("promote", "v1", "--force", "--reason", "hard use"),
    }
    chosen = os.environ.get("HARD_STAGES") or ",".join(commands)
    return {name: commands[name] for name in commands if name in chosen.split(",")}


def generated_dump(folder: Path, questions: int = 80) -> Path:
    """An invented dump of the same shape as a real one, for machines without real data."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [one for number in range(1, questions + 1) for one in _pair(number)]
    users = [row(Id=number, DisplayName=f"Author {number}", Reputation=1) for number in range(1, 6)]
    (folder / "Posts.xml").write_bytes(document(rows))
    (folder / "Users.xml").write_bytes(document(users, root="users"))
    return folder


def real_dump(data: Path, folder: Path, posts: int = POSTS) -> Path:
    """The first posts of a real dump, byte by byte as they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    with py7zr.SevenZipFile(data / REAL_DUMP) as file:
        file.extract(folder / "whole", targets=["Posts.xml"])
    whole = folder / "whole" / "Posts.xml"
    with whole.open("rb") as lines, (folder / "Posts.xml").open("wb") as part:
        for number, line in enumerate(lines):
            if number >= posts + 2:  # after the declaration and the root
                break
            part.write(line)
        part.write(b"</posts>\n")
    whole.unlink()
    whole.parent.rmdir()
    return folder


def results(home: Home) -> dict[str, str]:
    """What an unbroken run and a broken one must have in common, by name."""
    found = {}
    for name in _COMPARED:
        for path in home.settings.datasets_dir.glob(f"*/{name}"):
            found[f"{path.parent.name}/{name}"] = sha256_of(path)
    models = home.settings.models_dir
    for path in sorted(models.glob("v*/model/**/*.safetensors")):
        found[str(path.relative_to(models))] = sha256_of(path)
    for path in sorted(models.glob("v*/version.json")):
        found[path.parent.name] = _without_times(orjson.loads(path.read_bytes()))
    journal = models / "journal.jsonl"
    for number, line in enumerate(journal.read_bytes().splitlines() if journal.exists() else ()):
        found[f"journal {number}"] = _without_times(orjson.loads(line))
    return found


def half_files(home: Home) -> list[str]:
    """Files that a command must not leave: temporary ones, and finished ones that cannot be read."""
    return sorted(_half(home.folder))


def _half(folder: Path) -> Iterator[str]:
    import pyarrow.parquet as pq

    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        # dbt and kfp.local write there; what counts of it is checked before it is used.
        if not path.is_file() or name.parts[0] in ("dbt", "warehouse", "pipeline", "work", "cache"):
            continue
        if path.suffix == ".tmp" or any(re.fullmatch(r"\..*\.tmp", part) for part in name.parts):
            yield str(name)
            continue
        try:
            if path.suffix == ".json":
                orjson.loads(path.read_bytes())
            elif path.suffix == ".jsonl":
                [orjson.loads(line) for line in path.read_bytes().splitlines()]
            elif path.suffix == ".parquet":
                pq.read_schema(path)
        except (ValueError, OSError) as error:
            yield f"{name}: {error}"


def _without_times(record: dict[str, Any]) -> str:
    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: kept(one) for name, one in value.items() if name not in _DIFFERENT}
        return value

    return orjson.dumps(kept(record), option=orjson.OPT_SORT_KEYS).decode()


def _pair(number: int) -> tuple[str, str]:
    shared = {"Score": number % 7, "OwnerUserId": number % 5 + 1, "ContentLicense": "CC BY-SA 4.0"}
    question_id, answer_id = 10 * number, 10 * number + 1
    asked = row(
        Id=question_id,
        PostTypeId=1,
        AcceptedAnswerId=answer_id,
        CreationDate="2021-05-01T10:00:00.000",
        Title=f"How do I use number {number}?",
        Body=f"<p>{words(number)}</p>\n",
        Tags="|python|",
        **shared,
    )
    code = f"<pre><code>print({number})\n</code></pre>"
    answered = row(
        Id=answer_id,
        PostTypeId=2,
        ParentId=question_id,
        CreationDate="2021-05-02T10:00:00.000",
        Body=f"<p>{words(number + 5000)}</p>\n{code}\n",
        **shared,
    )
    return asked, answered
