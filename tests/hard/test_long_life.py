"""Many runs in one home with one local BigQuery: memory, descriptors, processes and temporary files do not grow.

HARD_CYCLES sets the number of runs, 100 by default.
"""

import tempfile
from pathlib import Path

import psutil
import pytest

from tests.hard.chain import stages, tune
from tests.hard.commands import Home, open_home
from tests.hard.tables import setting, show

# Growth from the third cycle, when all code and all tables have been used, to the last.
MEMORY = 200 << 20  # bytes of the local BigQuery; DuckDB keeps pages up to a limit, so some growth ends by itself
DESCRIPTORS = 8
_WARM = 3


@pytest.mark.hard
@pytest.mark.timeout(8 * 3600)
def test_a_hundred_tunings_leave_nothing_behind_outside_the_home(
    generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cycles = setting("CYCLES", 100)
    rows: list[tuple[object, ...]] = [("cycle", "memory, MB", "descriptors", "threads", "processes", "temporary files")]
    before = _temporary()
    with open_home(tmp_path / "home") as home:
        home.must(*stages(generated)["ingest"])
        server = home.server()
        assert server
        figures = []
        for cycle in range(1, cycles + 1):
            # Another seed gives another split, dataset and model, so that every step runs again.
            home.must(*tune(2), "--seed", str(cycle))
            assert home.orphans() == []
            assert home.server() == server, "the local BigQuery was started again"
            figures.append(_figures(home, server))
            if cycle % 10 == 0 or cycle in (1, _WARM, cycles):
                rows.append((cycle, figures[-1][0] >> 20, *figures[-1][1:]))
                show(capsys, "long-life", rows)
        new = sorted(_temporary() - before - {str(tmp_path)})
    first, last = figures[min(_WARM, cycles) - 1], figures[-1]
    assert last[0] - first[0] < MEMORY
    assert last[1] - first[1] <= DESCRIPTORS
    assert last[2] - first[2] <= DESCRIPTORS
    assert last[3] == first[3]
    assert last[4] == first[4], list(home.temporary.iterdir())
    # Other programs write there too; ours name the project, kfp or dbt.
    assert [name for name in new if any(word in name for word in ("kfp", "dbt", "tuning", "bqemu", "sandbox"))] == []


def _figures(home: Home, server: psutil.Process) -> tuple[int, int, int, int, int]:
    """Bytes, descriptors, threads and children of the server, and files in the commands' temporary folder."""
    with server.oneshot():
        return (
            server.memory_info().rss,
            server.num_fds(),
            server.num_threads(),
            len(server.children(recursive=True)),
            sum(1 for _ in home.temporary.rglob("*")),
        )


def _temporary() -> set[str]:
    return {str(path) for path in Path(tempfile.gettempdir()).iterdir()}
