"""Connect to Vertex AI with Google's Gen AI client."""

from typing import TYPE_CHECKING

from tuning.gcs.access import credentials
from tuning.settings import Settings
from tuning.target import find_target

if TYPE_CHECKING:
    from google.genai import Client


def connect(settings: Settings, location: str) -> "Client":
    """Return a google-genai client for Vertex AI, which does not retry requests.

    `location` is a region, or the multi-region us or eu. Raises TuningError if no project is set or if there are no
    credentials.
    """
    from google import genai
    from google.genai.types import HttpOptions

    find_target(settings).require_project()
    return genai.Client(
        vertexai=True,
        project=settings.project,
        location=location,
        credentials=credentials(settings.vertex_endpoint, settings),
        http_options=HttpOptions(
            base_url=settings.vertex_endpoint or None,
            api_version="v1beta1",
            timeout=120_000,
        ),
    )
