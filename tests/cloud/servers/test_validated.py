"""The count of valid requests and answers reaches the end of a run, from every process."""

import re
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cloud.servers import validated
from tests.cloud.servers.validated import LEAST, line, shortfall
from tests.conftest import _has_all
from tuning.settings import PROJECT_ROOT


def test_a_run_of_all_cloud_tests_needs_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validated, "counts", [LEAST // 2, LEAST // 2])
    assert (shortfall(is_all=True), line().split()[0]) == ("", f"{LEAST:,}")
    validated.counts[0] -= 1
    assert shortfall(is_all=True) == f"these are fewer than {LEAST:,}"
    assert shortfall(is_all=False) == ""


@pytest.mark.parametrize(
    ("given", "options", "expected"),
    [
        (["tests"], {}, True),
        (["tests/cloud"], {"markexpr": "cloud"}, True),
        (["tests/cloud"], {"markexpr": "not slow"}, False),
        (["tests/cloud/jobs"], {}, False),
        (["tests/cloud", "tests/cloud/test_deploy.py"], {}, False),
        *((["tests"], {name: True}, False) for name in ("keyword", "lf", "deselect", "ignore", "collectonly")),
    ],
)
def test_only_a_run_of_all_cloud_tests_is_one(given: list[str], options: dict[str, Any], expected: bool) -> None:
    known = {"markexpr": "not hard", **options}  # `-p no:cacheprovider` leaves out `lf`

    def getoption(name: str, *default: Any) -> Any:
        return known[name] if name in known else default[0]

    config: Any = SimpleNamespace(args=[str(PROJECT_ROOT / one) for one in given], getoption=getoption)
    assert _has_all(config) is expected


@pytest.mark.slow
def test_the_end_of_a_run_says_how_many() -> None:
    test = "tests/cloud/servers/test_vertex_server.py::test_well_formed_requests_are_taken"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "1", "-m", "cloud", test]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^8 requests to and answers of Vertex AI .* fit the discovery documents$", done.stdout, re.M)
