"""Find the server and credentials for a Google API, retry its temporary errors, and report its errors as one line."""

import contextlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
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
SAY_AFTER = 5.0  # seconds until a line says that a call is tried again
TRY_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_said: dict[str, float] = {}  # when the last line said that a server is tried again


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
    """Return a retry policy for 408, 429, 5xx and broken connections. Use it only for calls that are safe to repeat.

    If the calls take longer than a few seconds, a line on stderr says that they are tried again.
    """
    from google.api_core.retry import Retry

    return Retry(
        predicate=is_passing,
        initial=FIRST_DELAY,
        maximum=LONGEST_DELAY,
        multiplier=2.0,
        timeout=GIVE_UP_AFTER,
        on_error=_says_so(),
    )


def _says_so() -> Callable[[Exception], None]:
    """Return a function that says on stderr that a server is tried again, once for the calls of all threads."""
    begun = time.monotonic()

    def say(error: Exception) -> None:
        now, server = time.monotonic(), _server(error)
        if now - begun < SAY_AFTER or now - _said.get(server, float("-inf")) < GIVE_UP_AFTER:
            return
        _said[server] = now
        what = "does not answer" if (code := _code(error)) is None else f"answers with HTTP {code}"
        print(f"{server} {what}; trying again for up to {GIVE_UP_AFTER:g} s", file=sys.stderr, flush=True)

    return say


def is_passing(error: BaseException) -> bool:
    """Return whether an error is temporary, so that a retry can help.

    A server on this machine that refuses the connection is not running, so no retry helps.
    """
    import httpx
    import requests
    from google.auth.exceptions import TransportError

    if (code := _code(error)) is not None:
        return code in TRY_AGAIN
    broken = (requests.ConnectionError, requests.Timeout, httpx.TransportError, TransportError, ConnectionError)
    return isinstance(error, broken) and not _is_refused_here(error)


def _code(error: BaseException) -> int | None:
    """Return the HTTP status of an answer that is an error, or None for an error of another kind."""
    import requests
    from google.api_core.exceptions import GoogleAPICallError
    from google.genai.errors import APIError

    if isinstance(error, (GoogleAPICallError, APIError)):
        return int(error.code or 0)
    if isinstance(error, requests.HTTPError):
        return error.response.status_code if error.response is not None else 0
    return None


def _address(error: BaseException) -> str:
    """Return the URL that a request failed at, or '' if the error does not say it."""
    import httpx
    import requests

    asked = error.request if isinstance(error, (requests.RequestException, httpx.TransportError)) else None
    answer = getattr(error, "response", None)
    return str(getattr(asked if asked is not None else answer, "url", ""))


def _server(error: BaseException) -> str:
    return urlsplit(_address(error)).netloc or "the server"


def _is_refused_here(error: BaseException) -> bool:
    """Return whether nothing listens at the address on this machine that a request was sent to."""
    link: BaseException | None = error if is_loopback(_address(error)) else None
    while link is not None and not isinstance(link, ConnectionRefusedError):
        link = link.__cause__ or link.__context__
    return link is not None


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
        case requests.ConnectionError() | httpx.TransportError() if _is_refused_here(error):
            return TuningError(
                f"{doing}: no server runs at {_server(error)}",
                "Start it, or change the TUNING_*_ENDPOINT that names it (`invoke config`)",
            )
        case requests.ConnectionError() | requests.Timeout():
            return TuningError(f"{doing}: no answer from {_server(error)}", "Check the network and TUNING_*_ENDPOINT")
        case requests.exceptions.JSONDecodeError():
            return TuningError(f"{doing}: the server's answer is no JSON", "Check TUNING_*_ENDPOINT (`invoke config`)")
        case KeyError() if "Resource lacks required" in str(error):  # Google's client read JSON of something else
            return TuningError(f"{doing}: the server is not Google's", "Check TUNING_*_ENDPOINT (`invoke config`)")
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
