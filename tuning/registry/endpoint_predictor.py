"""Ask the versions on the bucket's endpoint, whose containers answer by OpenAI's chat API.

Google's container of vLLM answers at ``ENDPOINT/chat/completions``:
https://cloud.google.com/vertex-ai/generative-ai/docs/open-models/vllm/use-vllm
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from tuning.cloud.endpoint import Endpoint
from tuning.dataset.formats.records import Example, Message
from tuning.errors import TuningError
from tuning.gcs.access import backoff, google_errors, session, vertex_url
from tuning.registry import registry
from tuning.registry.records import Version
from tuning.settings import Settings
from tuning.tuners.chat_server import read_completion
from tuning.tuners.protocol import LIMIT, Answer
from tuning.visible import visible

_PARALLEL = 4  # maximum number of concurrent requests; one machine answers them
_REFUSED = 400  # of a question that is longer than the context, for example
_TIMEOUT = 120  # seconds for one answer; Google itself ends a request to a shared endpoint after 60
# https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints/rawPredict
_ANSWERED_BY = "X-Vertex-AI-Deployed-Model-Id"


class EndpointPredictor:
    """Ask an endpoint on which `versions` are deployed, the one with the most traffic first.

    The tokenizer of that version decides how the prompt is worded. Raises TuningError if it cannot be loaded.
    """

    def __init__(self, settings: Settings, endpoint: Endpoint, versions: Sequence[Version]) -> None:
        from tuning.tuners.hf.models.base_models import load_tokenizer

        self._settings, self._endpoint = settings, endpoint
        first, *others = versions
        folder = registry.small_files(settings, first) / registry.describe(settings, first).uri
        self._tokenizer = load_tokenizer(folder)
        differ = [one.name for one in others if _wording(one) != _wording(first)]
        self._notes = tuple(
            f"the prompt is worded for {first.name}, and {name} was trained on another wording" for name in differ
        )
        self._names = [one.name for one in versions]

    def generate(self, prompts: Sequence[Sequence[Message]], max_new_tokens: int) -> list[Answer]:
        """Return answers by greedy decoding, in the order of the prompts.

        Raises TuningError if the model has no chat template, or if a request fails.
        """
        with google_errors(f"asking {self._endpoint.name}"), ThreadPoolExecutor(_PARALLEL) as pool:
            return list(pool.map(lambda prompt: self._ask(prompt, max_new_tokens), prompts))

    def losses(self, examples: Sequence[Example], max_length: int) -> None:
        """Return None, because the chat API gives no token probabilities for given answers."""
        del examples, max_length

    def _ask(self, prompt: Sequence[Message], max_new_tokens: int) -> Answer:
        from tuning.tuners.hf.chat import NO_THINKING, conversation

        url = f"{vertex_url(self._settings, self._settings.region)}/v1/{self._endpoint.name}/chat/completions"
        http: Any = session(self._settings.vertex_endpoint, self._settings)
        request = {
            "model": "",  # the container has one
            "messages": [{"role": one.role, "content": one.content} for one in conversation(self._tokenizer, prompt)],
            "temperature": 0,
            "max_tokens": max_new_tokens,
            "chat_template_kwargs": NO_THINKING,
        }

        def attempt() -> Any:
            response = http.post(url, json=request, timeout=_TIMEOUT)
            if response.status_code != _REFUSED:
                response.raise_for_status()
            return response

        response = backoff()(attempt)()
        if response.status_code == _REFUSED:  # a local model gives an empty answer to a question it cannot read whole
            reason = visible(" ".join(response.text.split())[:300])
            if "context length" in reason:
                return Answer("", LIMIT, (reason,), self._answered_by(response.headers.get(_ANSWERED_BY, "")))
            raise TuningError(f"the endpoint refuses the question: {reason}")
        return msgspec.structs.replace(
            read_completion(url, response.content),
            notes=self._notes,
            model=self._answered_by(response.headers.get(_ANSWERED_BY, "")),
        )

    def _answered_by(self, identity: str) -> str:
        """Return the version with this ID, or else the only one with traffic, or ''. An answer may have no ID."""
        found = next((one.version for one in self._endpoint.deployed if one.id == identity), "")
        return found or (self._names[0] if len(self._names) == 1 else "")


def _wording(version: Version) -> tuple[str, str, str, str]:
    return version.template, version.format, version.body, version.base_model
