"""What dataset_bench.py measures; each function runs in a process of its own and returns exact counts."""

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tuning.dataset.create import create_dataset
from tuning.dataset.funnel import Funnel
from tuning.dataset.options import resolve_options
from tuning.dataset.rows.pass_one import run_pass_one
from tuning.dataset.similar.minhash import band_hashes
from tuning.dataset.snapshot.snapshot import digest_rows, open_snapshot, read_batches
from tuning.dataset.split.pass_two import write_splits
from tuning.dataset.split.selection import select
from tuning.dataset.split.texts import Texts
from tuning.dataset.workspace.engine import Engine, EngineName
from tuning.dataset.workspace.outputs import FolderOutputs
from tuning.dataset.workspace.parts import Parts
from tuning.dataset.workspace.store import FolderStore
from tuning.settings import Settings

OFTEN = 20  # times the lines are made, so that reading the bodies counts for little


def scratch(snapshot: str) -> Path:
    """A folder beside the snapshot that goes when the process ends, after what is measured."""
    folder = Path(tempfile.mkdtemp(dir=Path(snapshot).parent))
    atexit.register(shutil.rmtree, folder)
    return folder


def to_jsonl(snapshot: str, workers: int, preset: str = "", engine: EngineName = "local") -> dict[str, Any]:
    """From the snapshot to its JSONL and attribution: all of a dataset but leak check and card. Ray's start counts."""
    source = open_snapshot(Path(snapshot))
    options = resolve_options(preset=preset).settled(source.build["kind"])
    funnel = Funnel(source.rows)
    folder = scratch(snapshot)
    store = FolderStore(folder / "parts")
    with Engine(engine).workers(workers, store, options) as pool:
        parts = Parts(store, is_spent=options.is_seed)
        index = run_pass_one(parts, source, options, pool, funnel)
        selection = select(index, Texts(parts, index, options, source.template), options, funnel)
        facts, _ = write_splits(FolderOutputs(folder), parts, index, selection, pool)
        parts.store.clear()
    return {name: facts[name].rows for name in ("train.jsonl", "eval.jsonl")}


def whole(snapshot: str, workers: int, preset: str = "") -> dict[str, Any]:
    """`create_dataset` with everything, leak check and card among it."""
    settings, options = Settings(home=scratch(snapshot)), resolve_options(preset=preset)
    dataset = create_dataset(settings, open_snapshot(Path(snapshot)), options, workers)
    return {str(row["reason"]): row["rows"] for row in dataset.manifest.funnel}


def digest(snapshot: str) -> dict[str, Any]:
    """What export does with the extracted files."""
    rows, _ = digest_rows(open_snapshot(Path(snapshot)).files)
    return {"rows": rows}


def rensa_bands(snapshot: str) -> dict[str, Any]:
    texts = bodies(snapshot)
    batches = [band_hashes(texts[at : at + 1024]) for at in range(0, len(texts), 1024)]
    return {"texts": len(np.concatenate(batches))}


def lines_by_orjson(snapshot: str) -> dict[str, Any]:
    return {"lines": sum(bool(orjson.dumps({"input_text": text})) for text in bodies(snapshot) * OFTEN)}


def bodies(snapshot: str) -> list[str]:
    batches = read_batches(open_snapshot(Path(snapshot)).files, ["question_body"])
    return [body for batch in batches for body in batch.column(0).to_pylist()]
