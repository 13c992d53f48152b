"""What `cloud.check` says of a project and what `cloud.init` makes of one, with Google's clients on loopback."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from google.api_core.exceptions import Forbidden
from google.cloud import bigquery

from tests.cloud.servers.google_server import Google
from tests.cloud.servers.loopback import Fault, Loopback
from tests.homes import free_port
from tuning.cloud.apis import call
from tuning.cloud.check import check
from tuning.cloud.init import init
from tuning.cloud.required import GRANTS, STAGING_PREFIXES, contains, grant_command, grants
from tuning.errors import TuningError
from tuning.findings import Finding, finding_lines, refuse_wrong
from tuning.gcs.object_file import client
from tuning.machine import package_version
from tuning.settings import Settings
from tuning.warehouse import emulator
from tuning.warehouse.client import connect


@pytest.fixture(scope="session")
def bigquery_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the BigQuery emulator."""
    home = Settings(home=tmp_path_factory.mktemp("bigquery") / "home", bigquery_port=free_port())
    yield emulator.ensure(home).endpoint
    emulator.stop(home)


@pytest.fixture
def empty(cloud: Settings, bigquery_server: str) -> Settings:
    """A project without a BigQuery dataset, asked by Google's own client."""
    settings = msgspec.structs.replace(cloud, bigquery_endpoint=bigquery_server)
    client = connect(settings)
    for dataset in list(client.list_datasets()):
        client.delete_dataset(dataset.reference)
    return settings


@pytest.fixture
def project(empty: Settings, storage_server: Any) -> Settings:
    """A project in which all is right."""
    make_dataset(empty, "US")
    bucket = client(empty).get_bucket("bucket")
    bucket.iam_configuration.uniform_bucket_level_access_enabled = True
    bucket.iam_configuration.public_access_prevention = "enforced"
    bucket.patch()
    storage_server._storage.buckets["bucket"]["projectNumber"] = "1234"
    return msgspec.structs.replace(empty, service_account="runner@mine.iam.gserviceaccount.com")


def make_dataset(settings: Settings, location: str) -> None:
    dataset = bigquery.Dataset("mine.python_qa")
    dataset.location = location
    connect(settings).create_dataset(dataset)


def wrong(settings: Settings) -> list[Finding]:
    return [finding for finding in check(settings) if finding.state != "right"]


def test_a_project_in_which_all_is_right_has_nothing_wrong(project: Settings) -> None:
    findings = list(check(project))
    assert [finding for finding in findings if finding.state != "right"] == []
    assert len(findings) == 18
    assert finding_lines(findings)[-1] == "the checks found no problem"
    refuse_wrong(findings)


@pytest.mark.parametrize(
    ("change", "what", "hint"),
    [
        (
            lambda google: google.apis.discard("aiplatform.googleapis.com"),
            "aiplatform.googleapis.com is not enabled",
            "gcloud services enable aiplatform.googleapis.com --project=mine",
        ),
        (
            lambda google: setattr(google, "billing", False),
            "billing is off",
            "gcloud billing projects link mine --billing-account=ACCOUNT",
        ),
        (
            lambda google: google.permissions.discard("bigquery.jobs.create"),
            "missing in the project: bigquery.jobs.create",
            "gcloud projects add-iam-policy-binding mine --member=user:YOU@EXAMPLE.COM --role=roles/bigquery.jobUser "
            "--condition=None",
        ),
        (
            lambda google: google.permissions.discard("iam.serviceAccounts.actAs"),
            "missing on runner@mine.iam.gserviceaccount.com: iam.serviceAccounts.actAs",
            "gcloud iam service-accounts add-iam-policy-binding runner@mine.iam.gserviceaccount.com "
            "--member=user:YOU@EXAMPLE.COM --role=roles/iam.serviceAccountUser --project=mine",
        ),
        (
            lambda google: google.repositories.discard("us-central1/python-qa"),
            "there is no repository us-central1-docker.pkg.dev/mine/python-qa",
            "invoke cloud.init --target gcp",
        ),
        (
            lambda google: google.repositories.discard("us-central1/python-qa-templates"),
            "there is no repository us-central1-kfp.pkg.dev/mine/python-qa-templates",
            "invoke cloud.init --target gcp",
        ),
        (
            lambda google: setattr(google, "number", "99"),
            "gs://bucket belongs to another project",
            "choose another TUNING_BUCKET",
        ),
    ],
)
def test_what_is_wrong_is_named_with_the_command_that_mends_it(
    project: Settings, google: Google, change: Callable[[Google], object], what: str, hint: str
) -> None:
    change(google)
    assert wrong(project) == [Finding("wrong", what, hint)]


def test_a_missing_role_is_named_for_each_repository(project: Settings, google: Google) -> None:
    google.permissions.discard("artifactregistry.repositories.uploadArtifacts")
    where = {"us-central1-docker.pkg.dev/mine/python-qa", "us-central1-kfp.pkg.dev/mine/python-qa-templates"}
    assert wrong(project) == [
        Finding(
            "wrong",
            f"missing on {path}: artifactregistry.repositories.uploadArtifacts",
            f"gcloud artifacts repositories add-iam-policy-binding {path.rpartition('/')[2]} "
            "--member=user:YOU@EXAMPLE.COM --role=roles/artifactregistry.writer --project=mine --location=us-central1",
        )
        for path in sorted(where)
    ]


def test_an_image_of_artifact_registry_is_looked_for(
    project: Settings, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"python-qa/nested/tuning@sha256:{'0' * 64}"
    settings = msgspec.structs.replace(project, image=f"us-central1-docker.pkg.dev/mine/{name}")
    hint = "invoke cloud.init --target gcp prints the commands that push it"
    assert wrong(settings) == [Finding("wrong", f"there is no image {settings.image}", hint)]
    google.images.add(f"us-central1/{name}")
    sent: list[str] = []

    def recorded(*given: Any, **more: Any) -> Any:
        sent.append(given[2])
        return call(*given, **more)

    monkeypatch.setattr("tuning.cloud.check.call", recorded)
    assert wrong(settings) == []
    # The name is one part of the path. The stand-in decodes it before it looks.
    assert any(url.endswith(f"/dockerImages/nested%2Ftuning@sha256:{'0' * 64}") for url in sent)
    assert len(list(check(settings))) == 19
    elsewhere = msgspec.structs.replace(project, image=f"ghcr.io/mine/tuning@sha256:{'0' * 64}")
    assert len(list(check(elsewhere))) == 18


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"region": "europe-west1"}, "Gemini tuning is not available in europe-west1"),
        ({"bucket": "none"}, "there is no bucket gs://none"),
        ({"bigquery_dataset": "none"}, "there is no BigQuery dataset mine.none"),
        ({"location": "EU"}, "gs://bucket is in US, which does not accept exports from BigQuery in EU"),
        ({"location": "EU"}, "the public dataset is in US, but queries run in EU"),
        (
            {"service_account": ""},
            "runs use the project's default service account, which has more permissions than runs need",
        ),
    ],
)
def test_wrong_settings_are_named(project: Settings, change: dict[str, str], what: str) -> None:
    assert what in [finding.what for finding in wrong(msgspec.structs.replace(project, **change))]


def test_what_may_not_be_seen_is_said_and_the_rest_is_checked(project: Settings, google_api: Loopback) -> None:
    google_api.faults = [Fault("GET", "billingInfo", 403), Fault("GET", "batchGet", 403)]
    findings = wrong(project)
    assert [finding.state for finding in findings] == ["unseen", "unseen"]
    assert findings[0].what == "billing: Google refused to answer (HTTP 403)"


def test_a_busy_api_is_asked_again(project: Settings, google_api: Loopback) -> None:
    google_api.faults = [Fault("GET", "billingInfo", 503, 2), Fault("POST", "testIamPermissions", 429, 1)]
    assert wrong(project) == []


def test_something_wrong_ends_a_script() -> None:
    with pytest.raises(TuningError, match=r"1 checks found a problem\. The first: billing is off\. Fix: turn it on"):
        refuse_wrong([Finding("right", "a"), Finding("wrong", "billing is off", "turn it on"), Finding("unseen", "c")])


def test_an_empty_project_is_set_up_once(empty: Settings, google: Google, google_api: Loopback) -> None:
    google.repositories.clear()
    settings = msgspec.structs.replace(empty, bucket="new-bucket")

    first = list(init(settings))

    bucket = client(settings).get_bucket("new-bucket")
    assert bucket.iam_configuration.uniform_bucket_level_access_enabled
    assert bucket.iam_configuration.public_access_prevention == "enforced"
    (rule,) = bucket.lifecycle_rules
    assert rule["condition"] == {"age": 60, "matchesPrefix": list(STAGING_PREFIXES)}
    assert connect(settings).get_dataset("mine.python_qa").location == "US"
    assert google.repositories == {"us-central1/python-qa", "us-central1/python-qa-templates"}
    formats = [request.body["format"] for request in google_api.asked("POST", "/repositories$")]
    assert formats == ["DOCKER", "KFP"]
    assert first[0].startswith("created bucket gs://new-bucket in us-central1")

    second = list(init(settings))

    assert second[:4] == [
        "bucket gs://new-bucket: exists, nothing to change",
        "BigQuery dataset mine.python_qa: exists, nothing to change",
        "repository us-central1-docker.pkg.dev/mine/python-qa: exists, nothing to change",
        "repository us-central1-kfp.pkg.dev/mine/python-qa-templates: exists, nothing to change",
    ]
    assert second[4:] == first[4:]
    assert len(google_api.asked("POST", "/repositories$")) == 2


def test_the_repository_is_there_when_init_says_so(empty: Settings, google: Google, google_api: Loopback) -> None:
    google.repositories.clear()
    lines = init(empty)
    assert any(line.startswith("created repository") for line in lines)
    assert google.repositories == {"us-central1/python-qa"}  # one line, and the running operation has been waited for
    google.repositories.clear()
    google.fails = "too many repositories"
    with pytest.raises(TuningError, match=r"creating the repository .*/python-qa: too many repositories"):
        list(init(empty))


def test_a_dataset_elsewhere_is_refused_and_left_alone(empty: Settings) -> None:
    make_dataset(empty, "EU")
    assert "BigQuery dataset mine.python_qa is in EU" in [finding.what for finding in wrong(empty)]
    with pytest.raises(TuningError, match=r"mine\.python_qa is in EU, .*\. Set TUNING_BIGQUERY_DATASET"):
        list(init(empty))
    assert connect(empty).get_dataset("mine.python_qa").location == "EU"


def test_an_open_bucket_is_closed_and_its_other_rules_stay(empty: Settings) -> None:
    bucket = client(empty).get_bucket("bucket")
    bucket.add_lifecycle_delete_rule(age=400)
    bucket.patch()
    assert next(init(empty)) == "bucket gs://bucket: set uniform access, public access prevention, lifecycle"
    bucket = client(empty).get_bucket("bucket")
    assert bucket.iam_configuration.uniform_bucket_level_access_enabled
    assert [rule["condition"]["age"] for rule in bucket.lifecycle_rules] == [400, 60]


def test_a_rule_that_deletes_too_early_is_named_and_that_of_an_earlier_version_replaced(project: Settings) -> None:
    bucket = client(project).get_bucket("bucket")
    bucket.add_lifecycle_delete_rule(age=30, matches_prefix=["pipelines/", "requests/"])  # of an earlier version
    bucket.add_lifecycle_delete_rule(age=20, matches_prefix=["other/"])
    bucket.patch()
    (finding,) = wrong(project)
    assert finding == Finding(
        "wrong", "gs://bucket deletes working files after 30 days: too early", "invoke cloud.init --target gcp"
    )
    list(init(project))
    bucket = client(project).get_bucket("bucket")
    assert [rule["condition"]["age"] for rule in bucket.lifecycle_rules] == [20, 60]
    assert wrong(project) == []
    bucket.add_lifecycle_delete_rule(age=7)
    bucket.patch()
    (finding,) = wrong(project)
    assert finding.what == "gs://bucket deletes working files after 7 days: too early"
    assert finding.hint.startswith("remove that rule: gcloud storage buckets update gs://bucket")


def test_the_image_is_named_by_its_digest(empty: Settings) -> None:
    (line,) = [line for line in init(empty) if "TUNING_IMAGE=" in line]
    image = f"us-central1-docker.pkg.dev/mine/python-qa/tuning:{package_version()}"
    assert line == f"  export TUNING_IMAGE=$(docker inspect --format '{{{{index .RepoDigests 0}}}}' {image})"


def test_nothing_is_granted(empty: Settings, google_api: Loopback, storage_server: Any) -> None:
    lines = list(init(empty))
    assert all(f"  {command}" in lines for command in grants(empty))
    assert storage_server._storage.bucket_iam_policies == {}
    assert [request.path for request, _ in google_api.seen if "setIamPolicy" in request.path] == []
    assert not [command for command in grants(empty) if "roles/owner" in command or "roles/editor" in command]


def test_the_printed_roles_cover_what_is_checked_and_a_second_engineer(empty: Settings) -> None:
    lines = list(init(empty))
    assert "  gcloud auth application-default set-quota-project mine" in lines
    for grant in GRANTS:
        assert (f"  {grant_command(empty, grant)}" in lines) is (grant.resource not in ("key", "secret"))
    printed = "\n".join(grants(empty))
    assert 'GRANT `roles/bigquery.dataEditor` ON SCHEMA `mine`.`python_qa` TO "user:YOU@EXAMPLE.COM"' in printed
    assert "cryptoKeyEncrypterDecrypter" not in printed
    (on_secret,) = set(grants(msgspec.structs.replace(empty, webhook_secret="hook"))) - set(grants(empty))
    assert on_secret.startswith("gcloud secrets add-iam-policy-binding hook --member=serviceAccount:")
    assert "roles/secretmanager.secretAccessor --project=mine" in on_secret
    key = "projects/mine/locations/us-central1/keyRings/ring/cryptoKeys/key"
    with_key = grants(msgspec.structs.replace(empty, kms_key=key))
    agent, on_key = (line for line in with_key if line not in grants(empty))
    assert agent == "gcloud beta services identity create --service=aiplatform.googleapis.com --project=mine"
    assert on_key.startswith(f"gcloud kms keys add-iam-policy-binding {key} --member=serviceAccount:service-")


def test_a_bucket_whose_settings_may_not_be_read_names_the_role(
    project: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise Forbidden("storage.buckets.get denied")  # type: ignore[no-untyped-call]

    monkeypatch.setattr("google.cloud.storage.Client.lookup_bucket", refused)
    (finding,) = wrong(project)
    assert (
        finding.what
        == "gs://bucket belongs to somebody else (choose another TUNING_BUCKET), or you may not read its settings"
    )
    assert finding.hint.endswith("gs://bucket --member=user:YOU@EXAMPLE.COM --role=roles/storage.legacyBucketReader")


@pytest.mark.parametrize(
    ("outer", "inner", "fits"),
    [
        ("US", "US", True),
        ("US", "us-central1", True),
        ("US", "EU", False),
        ("US", "europe-west4", False),
        ("EU", "europe-west4", True),
        ("europe-west4", "europe-west4", True),
        ("europe-west4", "EU", False),
    ],
)
def test_where_exports_may_go(outer: str, inner: str, fits: bool) -> None:
    assert contains(outer, inner) is fits
