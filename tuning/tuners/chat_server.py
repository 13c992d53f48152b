"""Query a server with OpenAI's chat API, such as vLLM, llama.cpp, Ollama or a hosted service."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urldefrag

import httpx
import msgspec

from tuning.dataset.formats.records import Example, Message
from tuning.errors import TuningError
from tuning.gcs.access import FIRST_DELAY, TRY_AGAIN, is_loopback
from tuning.tuners.protocol import Answer

_PARALLEL = 4  # maximum number of concurrent requests
_ATTEMPTS = 6  # with doubled delays, the last attempt is half a minute after the first
_TIMEOUT = 600.0  # seconds for one answer
_ROOM = 4096  # tokens for the thoughts, which count against a server's limit of the answer
_EXAMPLE = "http://127.0.0.1:11434/v1#qwen3"
_FINISH = {"stop": "STOP", "length": "MAX_TOKENS"}


class _Part(msgspec.Struct):
    type: str = ""
    text: str | None = None


class _Said(msgspec.Struct):
    content: str | list[_Part] | None = None

    def text(self) -> str:
        """Return the text without the parts that are no text, such as thoughts."""
        if isinstance(self.content, list):
            return "".join(part.text or "" for part in self.content if part.type == "text")
        return self.content or ""


class _Choice(msgspec.Struct):
    message: _Said
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]


class ChatServer:
    """Query the model at ``URL#MODEL``, for example ``http://127.0.0.1:11434/v1#qwen3``, at temperature 0.

    `key` is sent as a bearer token if it is not empty. Raises TuningError if the address has no model, or if it would
    send the key and the texts to another machine without encryption.
    """

    def __init__(self, address: str, key: str) -> None:
        try:
            url, self._model = urldefrag(address)
            httpx.URL(url)
            is_here = is_loopback(url)
        except (httpx.InvalidURL, ValueError) as error:
            raise TuningError(f"{address} is not an address ({error})", f"Give one such as {_EXAMPLE}") from None
        if not self._model:
            raise TuningError(f"{address} names no model", f"Add it after a #, as in {_EXAMPLE}")
        if not url.startswith("https://") and not is_here:
            raise TuningError(f"{url} would receive the texts without encryption", "Use https or a server on loopback")
        self._url = url.rstrip("/") + "/chat/completions"
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def generate(self, prompts: Sequence[Sequence[Message]], max_new_tokens: int) -> list[Answer]:
        """Return answers in the order of the prompts. Raises TuningError if a request fails.

        The limit sent is higher, because thoughts count against it, unless the model cannot read and write so much.
        """
        with httpx.Client(headers=self._headers, timeout=_TIMEOUT) as client, ThreadPoolExecutor(_PARALLEL) as pool:
            return list(pool.map(lambda prompt: self._ask(client, prompt, max_new_tokens), prompts))

    def losses(self, examples: Sequence[Example], max_length: int) -> None:
        """Return None, because the API gives no token probabilities for given answers."""
        del examples, max_length

    def _ask(self, client: httpx.Client, prompt: Sequence[Message], max_new_tokens: int) -> Answer:
        request = {
            "model": self._model,
            "messages": [{"role": message.role, "content": message.content} for message in prompt],
            "temperature": 0,
            "max_tokens": max_new_tokens + _ROOM,
        }
        for attempt in range(_ATTEMPTS):
            try:
                response = client.post(self._url, json=request)
            except (httpx.HTTPError, UnicodeError) as error:  # UnicodeError: a name that no host can have
                raise TuningError(f"{self._url} does not answer ({error})") from None
            if response.status_code == httpx.codes.BAD_REQUEST and request["max_tokens"] != max_new_tokens:
                request["max_tokens"] = max_new_tokens
                continue
            if response.status_code not in TRY_AGAIN or attempt == _ATTEMPTS - 1:
                break
            time.sleep(FIRST_DELAY * 2**attempt)
        if response.status_code != httpx.codes.OK:
            raise TuningError(f"{self._url} answers with status {response.status_code}: {response.text[:200]!r}")
        return read_completion(self._url, response.content)


def read_completion(url: str, content: bytes) -> Answer:
    """Return the answer in a response of OpenAI's chat API from `url`. Raises TuningError if it has another form."""
    try:
        choice = msgspec.json.decode(content, type=_Completion).choices[0]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, IndexError):
        start = content[:200].decode(errors="replace")
        raise TuningError(f"{url} does not answer as OpenAI's chat API does: {start!r}") from None
    reason = choice.finish_reason or "unknown"
    return Answer(choice.message.text(), _FINISH.get(reason, reason.upper()))
