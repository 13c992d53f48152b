"""Connect to Vertex AI with Google's Gen AI client."""

from typing import TYPE_CHECKING

from tuning.gcs.access import credentials, require_project
from tuning.settings import Settings

if TYPE_CHECKING:
    from google.genai import Client


def connect(settings: Settings, location: str) -> "Client":
    """A google-genai client of Vertex AI; `location` is a region, or us or eu. It retries nothing by itself."""
    from google import genai
    from google.genai.types import HttpOptions

    require_project(settings)
    return genai.Client(
        vertexai=True,
        project=settings.project,
        location=location,
        credentials=credentials(settings.vertex_endpoint, settings),
        http_options=HttpOptions(
            base_url=settings.vertex_endpoint or None,
            api_version="v1beta1" if settings.vertex_endpoint else None,
            timeout=120_000,
        ),
    )
