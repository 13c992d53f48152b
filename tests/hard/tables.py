"""A table of what a hard test did, on the screen and in ``var/ci/``."""

import os
from collections.abc import Sequence

import pytest

from tuning.settings import PROJECT_ROOT

_FOLDER = PROJECT_ROOT / "var" / "ci"


def setting(name: str, default: int) -> int:
    """A number from the environment, such as HARD_KILLS."""
    return int(os.environ.get(f"HARD_{name}") or default)


def show(capsys: pytest.CaptureFixture[str], name: str, rows: Sequence[Sequence[object]]) -> None:
    """Print rows in columns, the first row as the heading. With several pytest processes, read the file."""
    texts = [[str(cell) for cell in one] for one in rows]
    widths = [max(len(one[column]) for one in texts) for column in range(len(texts[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(one, widths, strict=True)).rstrip() for one in texts]
    _FOLDER.mkdir(parents=True, exist_ok=True)
    (_FOLDER / f"hard-{name}.txt").write_text("\n".join(lines) + "\n")
    with capsys.disabled():
        print("", *lines, sep="\n", flush=True)
