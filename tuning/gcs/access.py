"""Who we are to Google: which server stands for an API, credentials for it, when to try again, errors as one line."""

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tuning.errors import TuningError
from tuning.settings import Settings

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.auth.credentials import Credentials
    from google.auth.transport.requests import AuthorizedSession

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LOGIN = "Run `gcloud auth application-default login` (on a machine without a browser add --no-launch-browser)"
# Google's advice for 429 and 5xx: exponential, with jitter (https://cloud.google.com/storage/docs/retry-strategy).
FIRST_DELAY, LONGEST_DELAY, GIVE_UP_AFTER = 1.0, 32.0, 120.0  # seconds
TRY_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def is_loopback(endpoint: str) -> bool:
    return urlsplit(endpoint).hostname in _LOOPBACK


def credentials(endpoint: str, settings: Settings) -> "Credentials":
    """Application Default Credentials; for a server on loopback only the test token.

    The login of a real account is never sent to another server than Google's: TuningError for plain http elsewhere.
    """
    if is_loopback(endpoint):
        from google.oauth2.credentials import Credentials as Token

        return Token(token=settings.access_token or "loopback")  # type: ignore[no-untyped-call]
    if endpoint and not endpoint.startswith("https://"):
        raise TuningError(f"{endpoint} would carry credentials unencrypted", "Use https, or a server on loopback")
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    try:
        found, _ = google.auth.default(scopes=[SCOPE])
    except DefaultCredentialsError as error:
        named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
        what = f"the credentials named by GOOGLE_APPLICATION_CREDENTIALS do not work ({error})" if named else ""
        raise TuningError(what or "there are no Google credentials on this machine", LOGIN) from None
    return found


def require_project(settings: Settings) -> None:
    """TuningError where the target is Google's own and the project or the bucket is still the local default."""
    default = Settings()
    if settings.target != "gcp" or settings.vertex_endpoint:
        return
    for name in ("project", "bucket"):
        if getattr(settings, name) == getattr(default, name):
            raise TuningError(
                f"target gcp needs your own {name}, {getattr(default, name)!r} is only the local default",
                f"Set TUNING_{name.upper()}",
            )


def require_google(settings: Settings) -> None:
    """`require_project`, and a TuningError on target local, where there is no project to look at."""
    if settings.target != "gcp":
        raise TuningError("the target is local, which needs no project", "Add --target gcp")
    require_project(settings)


def session(endpoint: str, settings: Settings) -> "AuthorizedSession":
    """An HTTP session with `credentials`, for what Google's own clients do not cover."""
    from google.auth.transport.requests import AuthorizedSession

    return AuthorizedSession(credentials(endpoint, settings))  # type: ignore[no-untyped-call]


def google_url(settings: Settings, url: str) -> str:
    """Where ``https://HOST/PATH`` of Google really goes: with TUNING_GOOGLE_ENDPOINT to ``ENDPOINT/HOST/PATH``."""
    if not settings.google_endpoint:
        return url
    return f"{settings.google_endpoint.rstrip('/')}/{url.removeprefix('https://')}"


def backoff() -> "Retry":
    """Retry on 429, 5xx and a broken connection: only for calls that may be made twice."""
    from google.api_core.retry import Retry

    return Retry(
        predicate=is_passing, initial=FIRST_DELAY, maximum=LONGEST_DELAY, multiplier=2.0, timeout=GIVE_UP_AFTER
    )


def is_passing(error: BaseException) -> bool:
    """Whether trying again can help."""
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
    """Errors of Google's clients as one TuningError that says what was being done; others pass."""
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
        case GoogleAPICallError():
            return TuningError(f"{doing}: {_brief(error.message)}", _mend(int(error.code or 0)))
        case APIError():
            return TuningError(f"{doing}: {_brief(error.message or str(error))}", _mend(error.code))
        case RetryError():
            return TuningError(f"{doing}: gave up after {GIVE_UP_AFTER:g} s ({_brief(str(error.cause))})")
        case GoogleAuthError():
            return TuningError(f"{doing}: the Google credentials were refused or have expired", LOGIN)
        case requests.HTTPError():
            return TuningError(f"{doing}: HTTP {error.response.status_code}", _mend(error.response.status_code))
        case requests.ConnectionError() | requests.Timeout():
            where = urlsplit(error.request.url or "").netloc if error.request is not None else "the server"
            return TuningError(f"{doing}: no answer from {where}", "Check the network and TUNING_*_ENDPOINT")
        case httpx.TransportError():
            return TuningError(f"{doing}: no answer ({_brief(str(error))})", "Check the network and TUNING_*_ENDPOINT")
        case _:
            return None


def _brief(message: str) -> str:
    """Google's messages run over many lines and may quote a whole request."""
    text = " ".join(str(message).split())
    return text if len(text) <= 300 else text[:297] + "..."


def _mend(code: int) -> str:
    match code:
        case 401:
            return LOGIN
        case 403:
            return "`invoke cloud.check` names the missing role or API"
        case 404:
            return "`invoke cloud.check` names what does not exist"
        case 412:
            return "Somebody else writes the same object: run the same command again"
        case 429:
            return "The quota is used up: wait, or ask for more under IAM & Admin > Quotas"
        case _:
            return ""
