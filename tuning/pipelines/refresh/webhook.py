"""Send a line to the team's chat when a refresh has ended, by a webhook that takes Slack's JSON.

Whoever has the address can write into the channel, so it is a secret: it is in no file, log or message. On this machine
it is TUNING_WEBHOOK, which steps read as they read all secrets. A job on Vertex AI shows its arguments and environment
to everyone who may see the job, so there the step reads the address from Secret Manager.
"""

import base64

import requests
from google.api_core.exceptions import RetryError

from tuning.cloud.apis import call
from tuning.errors import TuningError
from tuning.gcs.access import TRY_AGAIN, backoff, google_errors, is_loopback
from tuning.settings import Settings, variable
from tuning.target import find_target

_TIMEOUT = 30  # seconds for one try


def check_webhook(settings: Settings) -> None:
    """Raise TuningError if a webhook is set that the steps of this target would not use, or that is not safe."""
    on_vertex = find_target(settings).on_vertex
    if settings.webhook and on_vertex and not settings.webhook_secret:
        raise TuningError(
            f"{variable('webhook')} does not reach the steps on Vertex AI",
            "Store the address in Secret Manager (`gcloud secrets create NAME --data-file=FILE`), set "
            f"{variable('webhook_secret')} to NAME, and unset {variable('webhook')}",
        )
    if settings.webhook_secret and not on_vertex:
        raise TuningError(
            f"{variable('webhook_secret')} is for jobs on Vertex AI", f"Set {variable('webhook')}, or add --target gcp"
        )
    if settings.webhook and not on_vertex:
        _check(settings.webhook)


def notify(settings: Settings, text: str) -> bool:
    """Send the text. Return False if no webhook is set.

    Raises TuningError if the address cannot be read, or if the webhook refuses the text; no message names the address.
    """
    if settings.webhook_secret:  # only for jobs on Vertex AI, as `check_webhook` says
        address = _stored(settings)
    elif settings.webhook:
        address = settings.webhook
    else:
        return False
    _check(address)
    _send(address, text)
    return True


def _send(address: str, text: str) -> None:
    def attempt() -> requests.Response:
        response = requests.post(address, json={"text": text}, timeout=_TIMEOUT, allow_redirects=False)
        if response.status_code in TRY_AGAIN:
            response.raise_for_status()
        return response

    try:
        status = backoff()(attempt)().status_code
        problem = "" if status < 300 else f"HTTP {status}"  # a redirect is not followed
    except (requests.RequestException, RetryError) as error:  # whose own text names the address
        problem = type(error.__cause__ or error).__name__
    if problem:
        raise TuningError(
            f"the webhook did not take the message ({problem}); the run itself is not affected",
            f"Correct {variable('webhook')}, or on target gcp the secret that {variable('webhook_secret')} names",
        )


def _stored(settings: Settings) -> str:
    name = f"projects/{settings.project}/secrets/{settings.webhook_secret}/versions/latest"
    with google_errors(f"reading the secret {settings.webhook_secret}"):
        found = call(settings, "GET", f"https://secretmanager.googleapis.com/v1/{name}:access")
    return base64.b64decode(found["payload"]["data"]).decode().strip()


def _check(address: str) -> None:
    if not address.startswith("https://") and not is_loopback(address):
        raise TuningError("the webhook's address does not begin with https://", "The message would travel unencrypted")
