"""Schedules: created once, listed, deleted."""

import pytest

from tests.cloud.servers.loopback import Fault, Loopback
from tests.cloud.servers.vertex_server import Vertex
from tuning.errors import TuningError
from tuning.pipelines.vertex.jobs import JobRequest
from tuning.pipelines.vertex.notebook_template import URI
from tuning.pipelines.vertex.schedule import create_schedule, delete_schedule, list_schedules
from tuning.pipelines.vertex.template import read_template
from tuning.settings import Settings

CRON = "TZ=Europe/Berlin 0 3 * * 1"


@pytest.fixture
def request_(cloud: Settings) -> JobRequest:
    return JobRequest(
        template=read_template(cloud, URI),
        parameters={"project": "mine", "model_display_name": "weekly"},
        display_name="weekly",
        pipeline_root="gs://bucket/root",
        identity={},
        labels={"team": "data"},
    )


def test_a_schedule_is_created_once_and_found_again(
    cloud: Settings, request_: JobRequest, vertex_api: Loopback
) -> None:
    first, created = create_schedule(cloud, request_, CRON)
    second, again = create_schedule(cloud, request_, CRON)
    assert (created, again) == (True, False)
    assert first == second
    assert (first.cron, first.state) == (CRON, "ACTIVE")
    (request,) = vertex_api.asked("POST", "/schedules$")
    job = request.body["createPipelineJobRequest"]["pipelineJob"]
    assert request.body["maxConcurrentRunCount"] == request.body["maxConcurrentActiveRunCount"] == "1"
    assert job["runtimeConfig"]["parameterValues"] == request_.parameters
    assert job["templateUri"] == URI
    assert job["labels"] == {"team": "data"}


@pytest.mark.parametrize("how", [429, 503, "drop", "break"])
def test_a_fault_on_the_way_leaves_one_schedule(
    cloud: Settings, request_: JobRequest, vertex: Vertex, vertex_api: Loopback, how: int | str
) -> None:
    vertex_api.faults = [Fault("POST", "/schedules$", how)]  # type: ignore[arg-type]
    schedule, _ = create_schedule(cloud, request_, CRON)
    assert [name.rpartition("/")[2] for name in vertex.schedules] == [schedule.id]


def test_schedules_are_listed_and_deleted(cloud: Settings, request_: JobRequest) -> None:
    created = [create_schedule(cloud, request_, cron)[0] for cron in ("0 3 * * 1", "0 4 * * 2")]
    assert {one.id for one in list_schedules(cloud)} == {one.id for one in created}
    assert delete_schedule(cloud, created[0].id).cron == "0 3 * * 1"
    assert [one.id for one in list_schedules(cloud)] == [created[1].id]
    with pytest.raises(TuningError, match=f"there is no schedule {created[0].id}"):
        delete_schedule(cloud, created[0].id)


@pytest.mark.parametrize("cron", ["", "daily", "* * * *", "0 3 * * 1 2026"])
def test_what_is_no_cron_line_is_refused_before_any_request(
    cloud: Settings, request_: JobRequest, vertex_api: Loopback, cron: str
) -> None:
    with pytest.raises(TuningError, match="is not a schedule"):
        create_schedule(cloud, request_, cron)
    assert vertex_api.seen == []
