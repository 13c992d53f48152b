"""Query a model on Vertex AI: several prompts in parallel, with a limit on the requests per minute."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tuning.dataset.formats.records import Example, Message
from tuning.gcs.access import backoff, google_errors
from tuning.settings import Settings
from tuning.tuners.gemini.client import connect
from tuning.tuners.gemini.models import location_of, thinking
from tuning.tuners.protocol import Answer, Model

if TYPE_CHECKING:
    from google.genai.types import Candidate, GenerateContentResponse

PARALLEL = 8  # maximum number of concurrent requests
# Thoughts count against the limit of the output, so a lower limit can leave no token for the answer.
LEAST_OUTPUT_TOKENS = 1_024
# The default of the service. It is set explicitly, so that a change of the default does not change the answers.
THRESHOLD = "BLOCK_MEDIUM_AND_ABOVE"
HARMS = (
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
)
_UNREMARKABLE = frozenset({"NEGLIGIBLE", "HARM_PROBABILITY_UNSPECIFIED"})


class GeminiPredictor:
    """Query the endpoint of a tuned model, or a Google base model."""

    def __init__(self, settings: Settings, model: Model) -> None:
        self._client = connect(settings, location_of(settings, model.uri))
        self._model = model.uri
        self._thinking = thinking(model.uri, model.base_model)
        self._pace = _Pace(settings.requests_per_minute)

    def generate(self, prompts: Sequence[Sequence[Message]], max_new_tokens: int) -> list[Answer]:
        """Return answers at temperature 0, in the order of the prompts. The answer to a blocked prompt has no text.

        Each model thinks as little as it can. The limit sent is at least 1,024 tokens, because thoughts count against
        it, so an answer can be longer than `max_new_tokens`.

        Raises TuningError if a request fails.
        """
        with google_errors(f"querying {self._model}"), ThreadPoolExecutor(PARALLEL) as pool:
            return list(pool.map(lambda prompt: self._ask(prompt, max_new_tokens), prompts))

    def losses(self, examples: Sequence[Example], max_length: int) -> None:
        """Return None, because Vertex AI gives no token probabilities for answers that its model did not generate."""
        del examples, max_length

    def _ask(self, prompt: Sequence[Message], max_new_tokens: int) -> Answer:
        from google.genai import types

        system = [message.content for message in prompt if message.role == "system"]
        roles = {"user": "user", "assistant": "model"}
        contents: Any = [
            types.Content(role=roles[message.role], parts=[types.Part(text=message.content)])
            for message in prompt
            if message.role != "system"
        ]
        config = types.GenerateContentConfig(
            system_instruction="\n\n".join(system) or None,
            temperature=0.0,
            max_output_tokens=max(max_new_tokens, LEAST_OUTPUT_TOKENS),
            thinking_config=self._thinking,
            safety_settings=[
                types.SafetySetting(category=types.HarmCategory[harm], threshold=types.HarmBlockThreshold[THRESHOLD])
                for harm in HARMS
            ],
        )

        def attempt() -> "GenerateContentResponse":
            self._pace.wait()
            return self._client.models.generate_content(model=self._model, contents=contents, config=config)

        return read_answer(backoff()(attempt)())


def read_answer(response: "GenerateContentResponse") -> Answer:
    """Return the text of a response, why it ended, and notes.

    The text does not contain the model's thoughts. The notes say what blocked the answer, which safety ratings are not
    negligible, and which sources the answer cites, with their licences. If the answer is empty or was cut, they also
    say how many tokens the model used for thinking.
    """
    feedback = response.prompt_feedback
    if feedback and feedback.block_reason:
        reason = feedback.block_reason.value
        return Answer("", "BLOCKED", (f"the prompt was blocked: {reason}", *_ratings(feedback.safety_ratings or [])))
    if not response.candidates:
        return Answer("", "EMPTY", ("the service returned no answer",))
    candidate = response.candidates[0]
    parts = candidate.content.parts if candidate.content and candidate.content.parts else []
    text = "".join(part.text or "" for part in parts if not part.thought)
    finish = candidate.finish_reason.value if candidate.finish_reason else "UNKNOWN"
    thoughts = _thoughts(response) if finish == "MAX_TOKENS" or not text.strip() else []
    return Answer(text, finish, (*thoughts, *_ratings(candidate.safety_ratings or []), *_citations(candidate)))


def _thoughts(response: "GenerateContentResponse") -> list[str]:
    count = response.usage_metadata.thoughts_token_count if response.usage_metadata else None
    return [f"used {count} tokens for thinking"] if count else []


def _ratings(ratings: Sequence[Any]) -> list[str]:
    notes = []
    for rating in ratings:
        probability = rating.probability.value if rating.probability else "HARM_PROBABILITY_UNSPECIFIED"
        if rating.blocked or probability not in _UNREMARKABLE:
            category = rating.category.value.removeprefix("HARM_CATEGORY_") if rating.category else "UNSPECIFIED"
            notes.append(f"safety: {category} {probability}{', blocked' if rating.blocked else ''}")
    return notes


def _citations(candidate: "Candidate") -> list[str]:
    citations = candidate.citation_metadata.citations if candidate.citation_metadata else None
    return [
        f"cites {citation.uri or citation.title or 'a source without an address'} "
        f"(licence: {citation.license or 'not given'})"
        for citation in citations or []
    ]


class _Pace:
    """Limit the requests of all threads to `per_minute`, at equal intervals."""

    def __init__(self, per_minute: int) -> None:
        self._gap = 60.0 / per_minute
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + self._gap
        time.sleep(start - now)
