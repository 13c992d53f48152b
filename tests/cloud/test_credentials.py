"""A login that Google refuses: one line that tells what to do, and nothing of the login itself."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.cloud.as_typed import start_invoke
from tests.cloud.servers.loopback import Loopback, RefusedError, Request
from tests.cloud.storage.cloud_dataset import make_dataset
from tuning.errors import TuningError
from tuning.gcs.access import credentials
from tuning.pipelines.vertex.notebook_template import URI
from tuning.settings import Settings


@pytest.fixture
def asked() -> list[str]:
    """The signed assertions that the token server was sent."""
    return []


@pytest.fixture
def token_server(asked: list[str]) -> Iterator[Loopback]:
    """Google's token endpoint, which knows nobody."""

    def refuse(request: Request) -> None:
        asked.append(request.body["assertion"])
        raise RefusedError(400, "invalid_grant")

    with Loopback([("POST", "/token", refuse)], token=None) as server:
        yield server


@pytest.fixture
def key() -> str:
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def account(key: str, token_uri: str) -> dict[str, str]:
    return {
        "type": "service_account",
        "project_id": "mine",
        "private_key_id": "planted-key-id",
        "private_key": key,
        "client_email": "runner@mine.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_uri,
    }


def submit(settings: Settings, *options: str) -> tuple[int, str]:
    process = start_invoke(settings, "submit", "--target", "gcp", "--template", URI, *options)
    output, errors = process.communicate(timeout=120)
    return process.returncode, output + errors


@pytest.mark.parametrize("options", [[], ["--debug"]], ids=["plain", "debug"])
def test_a_service_account_that_is_refused_leaves_no_trace_of_its_key(
    settings: Settings,
    token_server: Loopback,
    asked: list[str],
    key: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
) -> None:
    path = tmp_path / "account.json"
    path.write_text(json.dumps(account(key, f"{token_server.url}/token")))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    mine = Settings(home=settings.home, project="mine", bucket="bucket")
    make_dataset(mine)
    status, said = submit(mine, *options)
    assert status == 1
    assert "the Google credentials were refused or have expired. Run `gcloud auth application-default login`" in said
    assert asked  # the key was used
    if not options:
        assert len(said.strip().splitlines()) == 1
    secrets = [*key.splitlines()[1:-1], *asked, "planted-key-id"]
    kept = said.encode() + b"".join(one.read_bytes() for one in settings.home.rglob("*") if one.is_file())
    assert [secret for secret in secrets if secret.encode() in kept] == []


@pytest.mark.parametrize(
    "content",
    [
        "{} planted-secret",
        json.dumps({"type": "service_account", "private_key": "planted-secret", "client_email": "a@b"}),
        json.dumps({"type": "authorized_user", "refresh_token": "planted-secret"}),
    ],
    ids=["no JSON", "half a key", "half a login"],
)
def test_a_login_that_does_not_work_is_named_and_not_shown(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    path = tmp_path / "account.json"
    path.write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with pytest.raises(TuningError, match="the credentials named by GOOGLE_APPLICATION_CREDENTIALS do not work") as no:
        credentials("", settings)
    assert "planted-secret" not in str(no.value)
