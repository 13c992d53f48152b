"""What dataset_bench.py measures our own against. Apart from that, whose memory these imports would add to."""

import json
from pathlib import Path
from typing import Any

import html_to_markdown
import pandas as pd
import pyarrow.parquet as pq
from datasketch import MinHash
from sklearn.model_selection import train_test_split

from tests.bench.dataset_subjects import OFTEN, bodies, scratch
from tuning.dataset.similar.shingles import shingles
from tuning.dataset.snapshot.snapshot import open_snapshot


def notebook(snapshot: str, columns: list[str]) -> dict[str, Any]:
    """The seed notebook's pandas code, by question id; `columns` are read of the mart."""
    source = open_snapshot(Path(snapshot))
    frame = pd.read_parquet(source.files, columns=columns or None).sort_values("question_id")
    frame["input_text_instruct"] = source.template + " " + frame["input_text"]
    train, evaluation = train_test_split(frame, test_size=0.2, random_state=42)
    counts = {}
    folder = scratch(snapshot)
    for name, part in (("train.jsonl", train), ("eval.jsonl", evaluation)):
        lines = part[["input_text_instruct", "output_text"]].to_json(orient="records", lines=True)
        with (folder / name).open("w") as file:
            file.write(lines)
        counts[name] = len(part)
    return counts


def conversion_alone(snapshot: str) -> dict[str, Any]:
    """html-to-markdown on the same bodies, on one core."""
    characters = 0
    for path in open_snapshot(Path(snapshot)).files:
        table = pq.read_table(path, columns=["question_body", "answer_body"])
        for column in table.columns:
            for body in column.to_pylist():
                characters += len(html_to_markdown.convert(body).content or "")
    return {"characters": characters}


def datasketch_bands(snapshot: str) -> dict[str, Any]:
    """The same signatures: 128 permutations of the sets of five-word shingles."""
    count = 0
    for text in bodies(snapshot):
        signature = MinHash(num_perm=128)
        signature.update_batch([" ".join(shingle).encode() for shingle in shingles(text)])
        count += len(signature.digest()) == 128
    return {"texts": count}


def lines_by_json(snapshot: str) -> dict[str, Any]:
    return {"lines": sum(bool(json.dumps({"input_text": text}).encode()) for text in bodies(snapshot) * OFTEN)}
