"""Make a snapshot of a user's own examples, which `create_dataset` reads like that of a mart.

The ID of a question is a hash of its text. So an example is in the same split whatever other examples there are, and a
question that occurs in two files is one question.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tuning.dataset.options import FORMAT_VERSION
from tuning.dataset.own.files import Source, read_record, records, refuse
from tuning.dataset.own.shapes import Left, Row
from tuning.dataset.snapshot.snapshot import OWN, Snapshot, open_snapshot, seal_snapshot
from tuning.errors import TuningError
from tuning.sampling import salted
from tuning.settings import Settings
from tuning.storage import atomic_folder, locked, sha256_of
from tuning.warehouse.mart_columns import MartColumns

KIND = "own"  # of the build that the manifest names
_SCHEMA = pa.schema(
    [
        ("example_id", pa.string()),  # FILE:LINE
        ("question_id", pa.int64()),
        ("answer_id", pa.int64()),
        ("system", pa.string()),  # of the row, if not all rows have the same; then it is in the build
        ("question", pa.string()),
        ("answer", pa.string()),
        ("reason", pa.string()),
        ("links", pa.list_(pa.int64())),
        ("is_eval", pa.int64()),
        ("copies", pa.int64()),
    ]
)
_ROLES = MartColumns(
    attribution={name: name for name in ("example_id", "question_id", "answer_id")},
    links="links",
    quality="reason",
    texts=("system", "question", "answer"),
    side="is_eval",
    copies="copies",
)
_ROWS = 1024


def make_own_snapshot(settings: Settings, sources: Sequence[Source], system: str = "") -> Snapshot:
    """Return the snapshot of the rows of these files, or that of an earlier call with the same files.

    `system` is the system message of all rows if no row has one. Raises TuningError if a file cannot be read or changes
    while it is read, if a row has none of the known shapes, or if there is no row for training or for evaluation.
    """
    files = [
        {"name": one.name, "sha256": sha256_of(one.path), "side": one.side, "weight": one.weight} for one in sources
    ]
    key = hashlib.sha256(orjson.dumps([FORMAT_VERSION, files, system], option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    folder = settings.home / "snapshots" / f"{OWN}{key}"
    with locked(folder.with_name(f".{folder.name}.lock"), f"the snapshot {folder.name}"):
        if not (folder / "snapshot.json").exists():
            with atomic_folder(folder) as unfinished:
                template = _write(unfinished / "rows.parquet", sources) or system
                for source, facts in zip(sources, files, strict=True):  # the snapshot has the name of these contents
                    if not source.path.is_file() or sha256_of(source.path) != facts["sha256"]:
                        refuse(source, "changed while it was read", "Run the command again when nothing writes to it")
                build: dict[str, object] = {
                    "kind": KIND,
                    "name": "own data",
                    "base_url": "",
                    "variables": "{}",
                    "instruction_template": template,
                    "files": files,
                }
                seal_snapshot(unfinished, "own", build, _ROLES)
    os.utime(folder)  # the time of its last use
    return open_snapshot(folder)


def _write(path: Path, sources: Sequence[Source]) -> str:
    """Write the rows. Return the system message that all of them have, which is left out of the rows, or ''."""
    shared = _shared_system(sources)
    count: Counter[bool] = Counter()  # rows for evaluation, and others
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        rows = _rows(sources, shared)
        while some := list(islice(rows, _ROWS)):
            writer.write_table(pa.Table.from_pylist(some, schema=_SCHEMA))
            count.update(bool(row["is_eval"]) for row in some)
    if empty := [one.name for one in sources if not count[one.side == "eval"]]:
        raise TuningError(f"{' and '.join(empty)}: there is no row", "Name files with examples")
    return shared


def _shared_system(sources: Sequence[Source]) -> str:
    """Return the system message that all rows have, or '' if they differ. It stops at the first that differs."""
    shared: str | None = None
    for _, _, row in _read(sources):
        if shared is not None and row.system != shared:
            return ""
        shared = row.system
    return shared or ""


def _read(sources: Sequence[Source]) -> Iterator[tuple[Source, int, Row]]:
    for source in sources:
        for number, record in records(source):
            yield source, number, read_record(source, number, record)


def _rows(sources: Sequence[Source], shared: str) -> Iterator[dict[str, Any]]:
    for at, (source, number, row) in enumerate(_read(sources)):
        system = "" if row.system == shared else row.system
        reason, copies = row.reason, 1
        if source.side == "train" and source.weight != 1:
            part = salted("weight", 0, f"{row.system}\0{row.question}\0{row.answer}") < (source.weight % 1) * 2**64
            copies = int(source.weight) + part
            reason = reason or (None if copies else Left.WEIGHT)
        question = f"{system}\0{row.question}".encode()
        yield {
            "example_id": f"{source.name}:{number}",
            "question_id": int.from_bytes(hashlib.blake2b(question, digest_size=8).digest(), "big") >> 1,
            "answer_id": at,
            "system": system,
            "question": row.question,
            "answer": row.answer,
            "reason": reason,
            "links": [],
            "is_eval": int(source.side == "eval"),
            "copies": copies,
        }
