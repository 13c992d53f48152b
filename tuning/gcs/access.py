"""Find the server and credentials for a Google API, retry its temporary errors, and report its errors as one line."""

import contextlib
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import urlsplit

from tuning.errors import TuningError
from tuning.resource_errors import disk_error
from tuning.settings import Settings
from tuning.target import find_target

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.auth.credentials import Credentials
    from google.auth.transport.requests import AuthorizedSession

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LOGIN = "Run `gcloud auth application-default login` (on a machine without a browser, add --no-launch-browser)"
# Google recommends exponential backoff with jitter for 429 and 5xx:
# https://cloud.google.com/storage/docs/retry-strategy
FIRST_DELAY, LONGEST_DELAY, GIVE_UP_AFTER = 1.0, 32.0, 120.0  # seconds
TRY_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def is_loopback(endpoint: str) -> bool:
    """Return whether the URL points to this machine."""
    return urlsplit(endpoint).hostname in _LOOPBACK


def credentials(endpoint: str, settings: Settings) -> "Credentials":
    """Return Application Default Credentials, or the access token of the settings for a server on loopback.

    A server on loopback never receives the credentials of a real account. Raises TuningError if the endpoint uses plain
    HTTP and is not on loopback, or if there are no usable credentials.
    """
    if is_loopback(endpoint):
        from google.oauth2.credentials import Credentials as Token

        return Token(token=settings.access_token or "loopback")  # type: ignore[no-untyped-call]
    if endpoint and not endpoint.startswith("https://"):
        raise TuningError(
            f"the endpoint {endpoint} would receive credentials without encryption", "Use https or a server on loopback"
        )
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    try:
        default, _ = google.auth.default(scopes=[SCOPE])
    except DefaultCredentialsError as error:
        path = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
        what = f"the credentials named by GOOGLE_APPLICATION_CREDENTIALS do not work ({error})" if path else ""
        raise TuningError(what or "there are no Google credentials on this machine", LOGIN) from None
    return default


class ClientArguments(TypedDict):
    """Hold the arguments of Google's clients of Vertex AI."""

    credentials: "Credentials"
    transport: str
    client_options: dict[str, str]


def vertex_client(settings: Settings, region: str) -> ClientArguments:
    """Return the arguments of Google's clients of Vertex AI in `region`: server, credentials and transport.

    Raises TuningError if the target is local, or if the project or the credentials are missing.
    """
    find_target(settings).require_vertex()
    return {
        "credentials": credentials(settings.vertex_endpoint, settings),
        "transport": "rest",
        "client_options": {"api_endpoint": vertex_url(settings, region)},
    }


def vertex_url(settings: Settings, region: str) -> str:
    """Return the address of Vertex AI in `region`, or of the server that TUNING_VERTEX_ENDPOINT names."""
    return settings.vertex_endpoint or f"https://{region}-aiplatform.googleapis.com"


def session(endpoint: str, settings: Settings) -> "AuthorizedSession":
    """Return an HTTP session that authenticates with `credentials()`, for calls that Google's libraries do not cover.

    Raises TuningError if there are no usable credentials.
    """
    from google.auth.transport.requests import AuthorizedSession

    return AuthorizedSession(credentials(endpoint, settings))  # type: ignore[no-untyped-call]


def google_url(settings: Settings, url: str) -> str:
    """Return the URL to call for Google's ``https://HOST/PATH``.

    If TUNING_GOOGLE_ENDPOINT is set, the URL is ``ENDPOINT/HOST/PATH``.
    """
    if not settings.google_endpoint:
        return url
    return f"{settings.google_endpoint.rstrip('/')}/{url.removeprefix('https://')}"


def label(text: str) -> str:
    """Return `text` as a label: lower-case letters, digits, dashes and underscores, at most 63 characters."""
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower())[:63].strip("-")


def backoff() -> "Retry":
    """Return a retry policy for 408, 429, 5xx and broken connections. Use it only for calls that are safe to repeat."""
    from google.api_core.retry import Retry

    return Retry(
        predicate=is_passing, initial=FIRST_DELAY, maximum=LONGEST_DELAY, multiplier=2.0, timeout=GIVE_UP_AFTER
    )


def is_passing(error: BaseException) -> bool:
    """Return whether an error is temporary, so that a retry can help."""
    import httpx
    import requests
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import TransportError
    from google.genai.errors import APIError

    if isinstance(error, (GoogleAPICallError, APIError)):
        return error.code in TRY_AGAIN
    if isinstance(error, requests.HTTPError):
        return error.response is not None and error.response.status_code in TRY_AGAIN
    broken = (requests.ConnectionError, requests.Timeout, httpx.TransportError, TransportError, ConnectionError)
    return isinstance(error, broken)


@contextlib.contextmanager
def google_errors(doing: str) -> Iterator[None]:
    """Raise TuningError if a Google client fails in the block. Other errors pass unchanged.

    `doing` describes the work of the block and begins the message, such as ``reading gs://BUCKET/NAME``.
    """
    try:
        yield
    except Exception as error:
        explained = _explain(doing, error)
        if explained is None:
            raise
        raise explained from error


def _explain(doing: str, error: Exception) -> TuningError | None:
    import httpx
    import requests
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import GoogleAuthError
    from google.genai.errors import APIError

    match error:
        case GoogleAPICallError() if full := disk_error(str(error.message)):  # of the local server
            return TuningError(f"{doing}: {full}")
        case GoogleAPICallError():
            return TuningError(f"{doing}: {_brief(error.message)}", _hint(int(error.code or 0)))
        case APIError():
            return TuningError(f"{doing}: {_brief(error.message or str(error))}", _hint(error.code))
        case RetryError():
            return TuningError(
                f"{doing}: still failing after {GIVE_UP_AFTER:g} s of retries ({_brief(str(error.cause))})",
                "Run the same command again later",
            )
        case GoogleAuthError():
            return TuningError(f"{doing}: the Google credentials were refused or have expired", LOGIN)
        case requests.HTTPError():
            return TuningError(f"{doing}: HTTP {error.response.status_code}", _hint(error.response.status_code))
        case requests.ConnectionError() | requests.Timeout():
            server = urlsplit(error.request.url or "").netloc if error.request is not None else "the server"
            return TuningError(f"{doing}: no answer from {server}", "Check the network and TUNING_*_ENDPOINT")
        case httpx.TransportError():
            return TuningError(f"{doing}: no answer ({_brief(str(error))})", "Check the network and TUNING_*_ENDPOINT")
        case _:
            return None


def _brief(message: str) -> str:
    """Return a Google error message as one short line. The original may have many lines and quote a whole request."""
    text = " ".join(str(message).split())
    return text if len(text) <= 300 else text[:297] + "..."


def _hint(code: int) -> str:
    match code:
        case 401:
            return LOGIN
        case 403:
            return "Run `invoke cloud.check --target gcp` to find the missing role or API"
        case 404:
            return "Run `invoke cloud.check --target gcp` to find the missing resource"
        case 412:
            return "Another process is writing the same object: run the same command again"
        case 429:
            return "The quota is used up: wait, or request more quota under IAM & Admin > Quotas"
        case _:
            return ""
