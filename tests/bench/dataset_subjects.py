"""What dataset_bench.py measures; each function runs in a process of its own and returns exact counts."""

import json
import tempfile
from pathlib import Path
from typing import Any

import html_to_markdown
import numpy as np
import orjson
import pandas as pd
import pyarrow.parquet as pq
from datasketch import MinHash
from sklearn.model_selection import train_test_split

from tuning.dataset.create import create_dataset
from tuning.dataset.funnel import Funnel
from tuning.dataset.near import band_hashes
from tuning.dataset.options import resolve_options
from tuning.dataset.outputs import FolderOutputs
from tuning.dataset.parallel import Workers
from tuning.dataset.parts import Parts
from tuning.dataset.pass_one import run_pass_one
from tuning.dataset.selection import select
from tuning.dataset.shingles import shingles
from tuning.dataset.snapshot import digest_rows, open_snapshot
from tuning.dataset.store import FolderStore
from tuning.dataset.texts import Texts
from tuning.dataset.write import write_splits
from tuning.settings import Settings

_OFTEN = 20  # times the lines are made, so that reading the bodies counts for little


def to_jsonl(snapshot: str, workers: int, preset: str = "") -> dict[str, Any]:
    """From the snapshot to its JSONL and attribution: all of a dataset but leak check and card."""
    source, options = open_snapshot(Path(snapshot)), resolve_options(preset=preset)
    funnel = Funnel(source.rows)
    with tempfile.TemporaryDirectory(dir=source.folder.parent) as folder, Workers(workers) as pool:
        parts = Parts(FolderStore(Path(folder) / "parts"))
        index, _ = run_pass_one(parts, source, options, pool, funnel)
        selection = select(index, Texts(parts, index, options, source.template), options, funnel)
        facts = write_splits(FolderOutputs(Path(folder)), parts, index, selection, pool)
    return {name: facts[name].rows for name in ("train.jsonl", "eval.jsonl")}


def notebook(snapshot: str, columns: list[str]) -> dict[str, Any]:
    """The seed notebook's pandas code, by question id; `columns` are read of the mart."""
    source = open_snapshot(Path(snapshot))
    frame = pd.read_parquet(source.files, columns=columns or None).sort_values("question_id")
    frame["input_text_instruct"] = source.template + " " + frame["input_text"]
    train, evaluation = train_test_split(frame, test_size=0.2, random_state=42)
    counts = {}
    with tempfile.TemporaryDirectory(dir=source.folder.parent) as folder:
        for name, part in (("train.jsonl", train), ("eval.jsonl", evaluation)):
            lines = part[["input_text_instruct", "output_text"]].to_json(orient="records", lines=True)
            with (Path(folder) / name).open("w") as file:
                file.write(lines)
            counts[name] = len(part)
    return counts


def whole(snapshot: str, workers: int, preset: str = "") -> dict[str, Any]:
    """`create_dataset` with everything, leak check and card among it."""
    source = open_snapshot(Path(snapshot))
    with tempfile.TemporaryDirectory(dir=source.folder.parent) as folder:
        dataset = create_dataset(Settings(home=Path(folder)), source, resolve_options(preset=preset), workers)
        return {str(row["reason"]): row["rows"] for row in dataset.manifest.funnel}


def conversion_alone(snapshot: str) -> dict[str, Any]:
    """html-to-markdown on the same bodies, on one core."""
    characters = 0
    for path in open_snapshot(Path(snapshot)).files:
        table = pq.read_table(path, columns=["question_body", "answer_body"])
        for column in table.columns:
            for body in column.to_pylist():
                characters += len(html_to_markdown.convert(body).content or "")
    return {"characters": characters}


def digest(snapshot: str) -> dict[str, Any]:
    """What export does with the extracted files."""
    rows, _ = digest_rows(open_snapshot(Path(snapshot)).files)
    return {"rows": rows}


def rensa_bands(snapshot: str) -> dict[str, Any]:
    texts = _bodies(snapshot)
    batches = [band_hashes(texts[at : at + 1024]) for at in range(0, len(texts), 1024)]
    return {"texts": len(np.concatenate(batches))}


def datasketch_bands(snapshot: str) -> dict[str, Any]:
    """The same signatures: 128 permutations of the sets of five-word shingles."""
    count = 0
    for text in _bodies(snapshot):
        signature = MinHash(num_perm=128)
        signature.update_batch([" ".join(shingle).encode() for shingle in shingles(text)])
        count += len(signature.digest()) == 128
    return {"texts": count}


def lines_by_orjson(snapshot: str) -> dict[str, Any]:
    return {"lines": sum(bool(orjson.dumps({"input_text": text})) for text in _bodies(snapshot) * _OFTEN)}


def lines_by_json(snapshot: str) -> dict[str, Any]:
    return {"lines": sum(bool(json.dumps({"input_text": text}).encode()) for text in _bodies(snapshot) * _OFTEN)}


def _bodies(snapshot: str) -> list[str]:
    files = open_snapshot(Path(snapshot)).files
    return [body for path in files for body in pq.read_table(path, columns=["question_body"]).column(0).to_pylist()]
