"""Templates from every address, and parameters checked before a job is made."""

from pathlib import Path

import pytest
import yaml

from tests.cloud.servers.google_server import Google
from tests.cloud.servers.loopback import Fault, Loopback
from tuning.errors import TuningError
from tuning.gcs.storage import find_storage
from tuning.pipelines.vertex.notebook_template import URI
from tuning.pipelines.vertex.template import Template, fit_parameters, read_template
from tuning.pipelines.vertex.template_job import SubmitOptions, parse_parameters, submit_template
from tuning.settings import Settings


@pytest.fixture
def template(cloud: Settings) -> Template:
    return read_template(cloud, URI)


@pytest.fixture
def file(tmp_path: Path, seed_template: bytes) -> Path:
    path = tmp_path / "pipeline.yaml"
    path.write_bytes(seed_template)
    return path


REQUIRED = {"project": "mine", "model_display_name": "m"}


def test_the_registry_a_bucket_and_a_file_give_the_same_template(
    cloud: Settings, template: Template, file: Path
) -> None:
    find_storage(cloud).put(file, "gs://bucket/pipeline.yaml")
    in_bucket, local = read_template(cloud, "gs://bucket/pipeline.yaml"), read_template(cloud, str(file))
    assert template.digest == in_bucket.digest == local.digest
    assert template.name == "tune-large-model"
    assert [name for name, one in template.parameters.items() if one.required] == ["model_display_name", "project"]


def test_a_busy_registry_is_asked_again(cloud: Settings, google_api: Loopback) -> None:
    google_api.faults = [Fault("GET", "", 503), Fault("GET", "", "break")]
    assert read_template(cloud, URI).name == "tune-large-model"


def test_text_becomes_what_the_template_declares(template: Template) -> None:
    texts = {**REQUIRED, "train_steps": "200", "learning_rate_multiplier": "2", "enable_early_stopping": "false"}
    values = fit_parameters(template, texts)
    assert values == {
        **REQUIRED, "train_steps": 200, "learning_rate_multiplier": 2.0, "enable_early_stopping": False,
    }  # fmt: skip
    assert isinstance(values["learning_rate_multiplier"], float)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"project": "mine"}, "model_display_name is missing"),
        ({**REQUIRED, "train_step": "9"}, r"train_step is not one of its parameters \(did you mean train_steps\?\)"),
        ({**REQUIRED, "train_steps": "many"}, "train_steps must be a whole number, not 'many'"),
        ({**REQUIRED, "train_steps": "1.5"}, "train_steps must be a whole number, not '1.5'"),
        ({**REQUIRED, "train_steps": True}, "train_steps must be a whole number, not True"),
        ({**REQUIRED, "train_steps": ""}, "train_steps must be a whole number, not ''"),
        ({**REQUIRED, "enable_early_stopping": "yes"}, "enable_early_stopping must be true or false, not 'yes'"),
        ({**REQUIRED, "learning_rate_multiplier": "NaN"}, "learning_rate_multiplier must be a number, not 'NaN'"),
        ({**REQUIRED, "location": 3}, "location must be text, not 3"),
    ],
)
def test_wrong_parameters_are_named(template: Template, given: dict[str, object], said: str) -> None:
    with pytest.raises(TuningError, match=said):
        fit_parameters(template, given)


def test_all_that_is_wrong_is_said_at_once(template: Template) -> None:
    with pytest.raises(TuningError) as refused:
        fit_parameters(template, {"steps": "1", "train_steps": "x"})
    assert str(refused.value).count(";") == 3
    assert "marked with ?: accelerator_type?, dataset_uri?" in str(refused.value)


def test_wrong_parameters_are_said_before_anything_reaches_vertex_ai(
    cloud: Settings, vertex_api: Loopback, file: Path
) -> None:
    with pytest.raises(TuningError, match="project is missing"):
        submit_template(cloud, str(file), {"model_display_name": "m"}, SubmitOptions(), print)
    assert vertex_api.seen == []


def test_any_template_is_sent_with_its_own_parameters(cloud: Settings, vertex_api: Loopback, file: Path) -> None:
    submit_template(cloud, str(file), {**REQUIRED, "train_steps": "7"}, SubmitOptions(display_name="mine"), print)
    (request,) = vertex_api.asked("POST", "/pipelineJobs$")
    assert request.body["displayName"] == "mine"
    assert request.body["runtimeConfig"]["parameterValues"] == {**REQUIRED, "train_steps": 7}
    assert request.body["runtimeConfig"]["gcsOutputDirectory"] == "gs://bucket/templates/tune-large-model"
    assert "templateUri" not in request.body


def test_a_root_outside_cloud_storage_is_refused(cloud: Settings, vertex_api: Loopback, file: Path) -> None:
    with pytest.raises(TuningError, match="'/data' is not in Cloud Storage"):
        submit_template(cloud, str(file), REQUIRED, SubmitOptions(pipeline_root="/data"), print)
    assert vertex_api.seen == []


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://us-kfp.pkg.dev/p/r/n/v1", "is not an https address"),
        ("https://us-kfp.pkg.dev/p/r/none/v1", "HTTP 404"),
        ("nowhere.yaml", "there is no template nowhere.yaml"),
        ("gs://bucket/nowhere.yaml", "there is no gs://bucket/nowhere.yaml"),
    ],
)
def test_an_address_without_a_template_is_one_clear_error(cloud: Settings, address: str, said: str) -> None:
    with pytest.raises(TuningError, match=said):
        read_template(cloud, address)


def declaring(parameters: object) -> bytes:
    root = {"inputDefinitions": {"parameters": parameters}}
    return yaml.dump({"pipelineInfo": {"name": "x"}, "root": root, "schemaVersion": "2.1.0"}).encode()


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"just text", b"a: [", b"root: {}", yaml.dump({"pipelineInfo": {}}).encode()),
        *(b"a: !!bool maybe", b"a: 2001-99-99", b"[" * 999),
        *(declaring(one) for one in (None, [3], {"a": 3}, {"a": {"parameterType": "WHAT"}})),
    ],
)
def test_what_is_no_pipeline_is_refused(cloud: Settings, google: Google, content: bytes) -> None:
    google.templates[URI] = content
    with pytest.raises(TuningError, match="is not a compiled KFP pipeline"):
        read_template(cloud, URI)


def test_parameters_are_given_as_name_and_value() -> None:
    assert parse_parameters(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}
    for text in ("a", "=1"):
        with pytest.raises(TuningError, match="--param must be NAME=VALUE"):
            parse_parameters([text])
