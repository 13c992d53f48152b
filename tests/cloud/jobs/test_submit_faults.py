"""Whatever happens between here and Google: one job in the end, or one clear error, and never two jobs."""

import logging

import msgspec
import pytest
from google.api_core.retry import Retry

from tests.cloud.servers.loopback import Fault, Loopback
from tests.cloud.servers.vertex_server import Vertex, serve, with_root
from tests.cloud.storage.cloud_dataset import make_dataset
from tuning.errors import TuningError
from tuning.pipelines.vertex import notebook_template
from tuning.pipelines.vertex.job import Job
from tuning.pipelines.vertex.jobs import cancel, get_job, wait
from tuning.pipelines.vertex.template_job import SubmitOptions, submit_template
from tuning.settings import Settings


def submit(settings: Settings, **options: object) -> tuple[Job, list[str]]:
    said: list[str] = []
    job = submit_template(settings, notebook_template.URI, {}, SubmitOptions(**options), said.append)  # type: ignore[arg-type]
    return job, said


@pytest.mark.parametrize("how", [429, 500, 503, "drop", "break"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_fault_on_the_way_leaves_one_job(
    cloud: Settings, vertex: Vertex, vertex_api: Loopback, how: int | str, times: int
) -> None:
    make_dataset(cloud)
    vertex_api.faults = [Fault("POST", "/pipelineJobs$", how, times), Fault("GET", "/pipelineJobs/", how, times)]  # type: ignore[arg-type]
    job, said = submit(cloud)
    assert [fault.times for fault in vertex_api.faults] == [0, 0]
    assert list(vertex.jobs) == [f"projects/mine/locations/us-central1/pipelineJobs/{job.id}"]
    assert said[-2].startswith(f"submitted {job.id}")


def test_an_answer_that_comes_too_late_leaves_one_job(
    cloud: Settings, vertex: Vertex, vertex_api: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuning.pipelines.vertex.jobs.CREATE_TIMEOUT", 0.3)
    make_dataset(cloud)
    vertex_api.faults = [Fault("POST", "/pipelineJobs$", "slow")]
    job, _ = submit(cloud)
    assert list(vertex.jobs) == [f"projects/mine/locations/us-central1/pipelineJobs/{job.id}"]
    assert {request.query["pipelineJobId"] for request, _ in vertex_api.seen if request.method == "POST"} == {job.id}


def test_a_server_that_dies_between_two_calls_is_one_clear_error_and_the_next_submit_finds_the_job(
    cloud: Settings, vertex: Vertex, vertex_api: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("google.cloud.aiplatform.base._DEFAULT_RETRY", Retry(timeout=0.1, initial=0.01))
    make_dataset(cloud)
    vertex_api.faults = [Fault("POST", "/pipelineJobs$", "die")]
    with pytest.raises(TuningError, match="submitting the pipeline job: no server runs at 127"):
        submit(cloud)
    with serve(vertex) as revived:
        job, said = submit(msgspec.structs.replace(cloud, vertex_endpoint=revived.url))
    assert said[-2].startswith(f"{job.id} already exists (")
    assert len(vertex.jobs) == 1


def test_a_token_that_has_expired_is_one_clear_error(cloud: Settings, vertex: Vertex, vertex_api: Loopback) -> None:
    make_dataset(cloud)
    vertex_api.token = "the-next-one"  # noqa: S105 - a fake
    with pytest.raises(TuningError, match=r"credentials were refused or have expired.*gcloud auth"):
        submit(cloud)
    assert vertex.jobs == {}


def test_a_server_that_stays_busy_is_one_clear_error(
    cloud: Settings, vertex: Vertex, vertex_api: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuning.gcs.access.GIVE_UP_AFTER", 0.1)
    make_dataset(cloud)
    vertex_api.faults = [Fault("POST", "/pipelineJobs$", 429, 10**6)]
    with pytest.raises(TuningError, match="submitting the pipeline job: still failing"):
        submit(cloud)
    assert vertex.jobs == {}


def test_a_refusal_of_the_service_is_said_as_it_is(cloud: Settings, vertex_api: Loopback) -> None:
    make_dataset(cloud)
    vertex_api.faults = [Fault("POST", "/pipelineJobs$", 403)]
    with pytest.raises(TuningError, match=r"planted fault\. Run `invoke cloud\.check"):
        submit(cloud)


def test_a_second_submit_finds_the_running_job_and_sends_nothing(
    cloud: Settings, vertex: Vertex, vertex_api: Loopback
) -> None:
    make_dataset(cloud)
    first, _ = submit(cloud)
    second, said = submit(cloud)
    assert second.id == first.id
    assert any("already there: gs://bucket/" in line for line in said)
    assert said[-2].startswith(f"{first.id} already exists (")
    assert len(vertex_api.asked("POST", "/pipelineJobs$")) == 1


def test_a_finished_job_is_run_once_more_only_when_asked(cloud: Settings, vertex: Vertex) -> None:
    vertex.outcomes = ["PIPELINE_STATE_SUCCEEDED"]
    make_dataset(cloud)
    first, _ = submit(cloud)
    assert submit(cloud)[0].id == first.id
    again, _ = submit(cloud, again=True)
    assert (first.id[-2:], again.id) == ("-1", first.id[:-2] + "-2")


def test_a_failed_job_is_tried_again_under_the_next_number(cloud: Settings, vertex: Vertex) -> None:
    vertex.outcomes = ["PIPELINE_STATE_FAILED"]
    make_dataset(cloud)
    assert [submit(cloud)[0].id[-2:] for _ in range(3)] == ["-1", "-2", "-3"]


def test_another_dataset_region_or_parameter_is_another_job(cloud: Settings) -> None:
    make_dataset(cloud)
    ids = {submit(cloud)[0].id}
    make_dataset(msgspec.structs.replace(cloud, home=cloud.home / "other"), train=41)
    ids.add(submit(msgspec.structs.replace(cloud, home=cloud.home / "other"))[0].id)
    ids.add(submit(msgspec.structs.replace(cloud, region="europe-west4"))[0].id)
    ids.add(
        submit_template(cloud, notebook_template.URI, {"train_steps": "100"}, SubmitOptions(), lambda line: None).id
    )
    assert len(ids) == 4


def test_the_root_task_is_no_step_of_the_job(cloud: Settings, vertex: Vertex) -> None:
    make_dataset(cloud)
    vertex.outcomes = ["PIPELINE_STATE_FAILED"]
    job, _ = submit(cloud)
    (message,) = with_root(next(iter(vertex.jobs.values())))["jobDetail"]["taskDetails"][:1]
    assert message["taskName"] == job.id
    with pytest.raises(TuningError, match=f"{job.id} ended FAILED in tune: the tuning step failed"):
        wait(cloud, job.id, print)
    assert [task.name for task in get_job(cloud, job.id).tasks] == ["tune"]


def test_service_account_key_network_and_failure_policy_arrive(cloud: Settings, vertex_api: Loopback) -> None:
    key = "projects/mine/locations/us-central1/keyRings/ring/cryptoKeys/key"
    settings = msgspec.structs.replace(
        cloud,
        service_account="runner@mine.iam.gserviceaccount.com",
        kms_key=key,
        network="projects/12345/global/networks/vpc",
    )
    make_dataset(settings)
    submit(settings, failure_policy="fast", caching=False)
    (request,) = vertex_api.asked("POST", "/pipelineJobs$")
    assert request.body["serviceAccount"] == "runner@mine.iam.gserviceaccount.com"
    assert request.body["encryptionSpec"] == {"kmsKeyName": key}
    assert request.body["network"] == "projects/12345/global/networks/vpc"
    assert request.body["runtimeConfig"]["failurePolicy"] == 2  # PIPELINE_FAILURE_POLICY_FAIL_FAST
    tasks = request.body["pipelineSpec"]["root"]["dag"]["tasks"].values()
    assert [task["cachingOptions"] for task in tasks] == [{"enableCache": False}]


def test_wait_follows_the_tasks_to_the_end(cloud: Settings) -> None:
    make_dataset(cloud)
    job, _ = submit(cloud)
    said: list[str] = []
    ended = wait(cloud, job.id, said.append)
    assert ended.state == "SUCCEEDED"
    assert said[-1] == "tune: SUCCEEDED"


def test_waiting_for_a_job_that_fails_names_the_task_and_the_reason(cloud: Settings, vertex: Vertex) -> None:
    vertex.outcomes = ["PIPELINE_STATE_RUNNING", "PIPELINE_STATE_FAILED"]
    make_dataset(cloud)
    job, _ = submit(cloud)
    with pytest.raises(TuningError, match="ended FAILED in tune: the tuning step failed"):
        wait(cloud, job.id, lambda line: None)


def test_a_cancelled_job_stays_cancelled_and_an_ended_one_cannot_be(cloud: Settings, vertex: Vertex) -> None:
    vertex.outcomes = ["PIPELINE_STATE_RUNNING"] * 9
    make_dataset(cloud)
    job, _ = submit(cloud)
    assert cancel(cloud, job.id).state == "CANCELLED"
    assert get_job(cloud).state == "CANCELLED"
    with pytest.raises(TuningError, match=r"already ended \(CANCELLED\)"):
        cancel(cloud, job.id)


def test_no_credential_shows_anywhere(
    cloud: Settings, vertex_api: Loopback, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    make_dataset(cloud)
    vertex_api.faults = [Fault("POST", "/pipelineJobs$", 503), Fault("POST", "/pipelineJobs$", 403)]
    with pytest.raises(TuningError) as refused:
        submit(cloud)
    submit(cloud)
    output = capfd.readouterr()
    files = [path.read_bytes() for path in cloud.home.rglob("*") if path.is_file()]
    said = (caplog.text + output.out + output.err + str(refused.value)).encode() + b"".join(files)
    assert b"pipelineJobs" in said  # the log was on
    assert cloud.access_token.encode() not in said
    assert b"upload_id=" not in b"".join(files)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vertex_endpoint": "", "storage_endpoint": "", "google_endpoint": ""}, "Google credentials|GOOGLE_APPL"),
        ({"region": "mars-east1"}, "'mars-east1' is not a region of Vertex AI"),
        ({"vertex_endpoint": "", "project": "local-project"}, "needs your own project"),
        ({"vertex_endpoint": "", "bucket": "tuning"}, "needs your own bucket"),
        ({"vertex_endpoint": "", "target": "local"}, "Add --target gcp"),
        ({"vertex_endpoint": "http://vertex.example"}, "would receive credentials without encryption"),
    ],
)
def test_what_is_wrong_is_said_before_any_request(
    cloud: Settings, vertex_api: Loopback, google_api: Loopback, change: dict[str, object], said: str
) -> None:
    make_dataset(cloud)
    with pytest.raises(TuningError, match=said):
        submit(msgspec.structs.replace(cloud, **change))
    assert vertex_api.seen == []
    assert google_api.seen == []


@pytest.mark.parametrize(
    ("kind", "rows", "said"),
    [("messages", (40, 12), "needs the notebook's format"), ("notebook", (40, 9), "at least 10 evaluation rows")],
)
def test_a_dataset_that_the_template_refuses_is_said_before_anything_is_sent(
    cloud: Settings,
    vertex_api: Loopback,
    kind: str,
    rows: tuple[int, int],
    said: str,
) -> None:
    make_dataset(cloud, kind, *rows)
    with pytest.raises(TuningError, match=said):
        submit(cloud)
    assert vertex_api.seen == []
