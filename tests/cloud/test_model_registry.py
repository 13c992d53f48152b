"""Champion and challenger as aliases in Google's Model Registry."""

from pathlib import Path
from typing import Any

import pytest

from tests.cloud.as_typed import start_invoke
from tests.cloud.servers.loopback import Fault, Loopback
from tests.cloud.servers.vertex_server import Vertex
from tests.verdicts import verdict
from tuning.cloud.model_registry import aliases_of, set_alias
from tuning.errors import TuningError
from tuning.registry import registry
from tuning.registry.mirror import mirror
from tuning.registry.model_folder import write_model
from tuning.registry.records import Candidate
from tuning.settings import Settings
from tuning.tuners.protocol import Model

PLACE = "projects/mine/locations/us-central1/models"


@pytest.fixture
def models(vertex: Vertex) -> list[str]:
    """Three tuned models, as Google's tuning leaves them."""
    for number in (1, 2, 3):
        name = f"{PLACE}/{number}"
        vertex.models[name] = {"name": name, "versionId": "1", "versionAliases": ["default"]}
    return [f"{PLACE}/{number}@1" for number in (1, 2, 3)]


def test_an_alias_is_set_once_and_takes_the_other_away(
    cloud: Settings, models: list[str], vertex_api: Loopback
) -> None:
    assert set_alias(cloud, models[0], "challenger") is True
    assert set_alias(cloud, models[0], "challenger") is False
    assert set_alias(cloud, models[0], "champion") is True
    assert aliases_of(cloud, models[0]) == ["default", "champion"]
    assert set_alias(cloud, models[0], "") is True
    assert aliases_of(cloud, models[0]) == ["default"]
    asked = [request.body["versionAliases"] for request in vertex_api.asked("POST", ":mergeVersionAliases$")]
    assert asked == [["challenger"], ["champion", "-challenger"], ["-champion"]]


@pytest.mark.parametrize("how", [429, 503, "drop"])
def test_a_fault_on_the_way_leaves_the_alias_set(
    cloud: Settings, models: list[str], vertex_api: Loopback, how: Any
) -> None:
    vertex_api.faults = [Fault("POST", ":mergeVersionAliases$", how)]
    set_alias(cloud, models[0], "champion")
    assert aliases_of(cloud, models[0]) == ["default", "champion"]


def test_what_is_no_model_is_refused(cloud: Settings, models: list[str]) -> None:
    with pytest.raises(TuningError, match="'models/1' is not a model version of Model Registry"):
        set_alias(cloud, "models/1", "champion")
    with pytest.raises(TuningError, match="models/9 not found"):
        set_alias(cloud, f"{PLACE}/9@1", "champion")


@pytest.fixture
def versions(cloud: Settings, models: list[str], tmp_path: Path) -> list[str]:
    """Three registered versions, each of one of these models. The third was compared with the first."""
    for number, name in enumerate(models, start=1):
        folder, work = tmp_path / f"model-{number}", tmp_path / f"work-{number}"
        folder.mkdir()
        facts: dict[str, object] = {"registered_as": name}
        endpoint = f"projects/mine/locations/us-central1/endpoints/{number}"
        write_model(folder, Model(tuner="gemini", base_model="gemini", uri=endpoint, facts=facts), work)
        registry.register(
            cloud,
            Candidate(
                created_at="2026-01-01T00:00:00+00:00",
                training_key=f"key-{number}",
                tuner="gemini",
                base_model="gemini-3.5-flash",
                options={},
                dataset_id="d1",
                dataset_sha256="0",
                template="Answer.",
                format="gemini",
                body="markdown",
                contents_sha256="0",
                metrics={"chrf": 30.0},
                verdict=verdict("chrf", "chrf improves", champion="v1" if number == 3 else None),
                run_id="r1",
            ),
            folder,
        )
    return ["v1", "v2", "v3"]


def typed(settings: Settings, *arguments: str) -> tuple[int, list[str]]:
    """Status and lines of ``invoke`` in a process of its own."""
    process = start_invoke(settings, *arguments, "--target", "gcp")
    output, errors = process.communicate(timeout=120)
    return process.returncode, (output + errors).splitlines()


def marks(settings: Settings, models: list[str]) -> list[list[str]]:
    return [[alias for alias in aliases_of(settings, name) if alias != "default"] for name in models]


def test_promotion_and_rollback_as_typed_are_the_same_in_googles_registry(
    cloud: Settings, models: list[str], versions: list[str]
) -> None:
    assert typed(cloud, "promote", "v1") == (
        0,
        [
            "v1 is now champion",
            f"v1 is champion in the Model Registry ({models[0]})",
            f"v3 is challenger in the Model Registry ({models[2]})",
        ],
    )
    assert marks(cloud, models) == [["champion"], [], ["challenger"]]
    assert typed(cloud, "promote", "v3")[0] == 0
    assert marks(cloud, models) == [[], ["challenger"], ["champion"]]
    status, lines = typed(cloud, "rollback", "--reason", "worse on pandas")
    assert (status, lines[0]) == (0, "v3 is no longer champion; the champion is now v1")
    assert marks(cloud, models) == [["champion"], [], ["challenger"]]
    assert [event.action for event in registry.history(cloud)][-1] == "rolled back"


def test_without_a_champion_only_the_newest_is_marked(cloud: Settings, models: list[str], versions: list[str]) -> None:
    registry.promote(cloud, "v1")
    assert len(mirror(cloud)) == 2
    registry.rollback(cloud)
    mirror(cloud)
    assert marks(cloud, models) == [[], [], ["challenger"]]
    assert mirror(cloud) == []


def test_a_promotion_that_google_did_not_hear_of_says_how_to_say_it_again(
    cloud: Settings, models: list[str], versions: list[str], vertex_api: Loopback
) -> None:
    vertex_api.faults = [Fault("POST", ":mergeVersionAliases$", 403)]
    registry.promote(cloud, "v2")
    with pytest.raises(
        TuningError,
        match=r"Vertex AI's Model Registry is not .*`invoke promote v2 --target gcp`",
    ):
        mirror(cloud)
    registry.promote(cloud, "v2")
    mirror(cloud)
    assert marks(cloud, models) == [[], ["champion"], ["challenger"]]
