"""Answer questions with one registered model, one question at a time.

One thread does all work with the model, in the order of the requests. So a new champion replaces the old one between
two requests, when nothing uses the old one any more.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tuning.errors import TuningError
from tuning.registry import registry
from tuning.registry.predict import MAX_NEW_TOKENS, Asked, Prediction, ask, load, parse_question
from tuning.registry.records import Version
from tuning.resource_errors import in_one_line
from tuning.serving.chat_api import ApiError, ChatRequest
from tuning.settings import Settings
from tuning.tuners.protocol import LocalPredictor


class Started(NamedTuple):
    """Say which version answers, and how many tokens its prompt has."""

    model: str
    prompt_tokens: int


class Ended(NamedTuple):
    """Hold the whole answer and its number of tokens."""

    prediction: Prediction
    answer_tokens: int


_MOST_WAITING = 64  # questions
Item = Started | str | Ended | Exception


def stopping() -> ApiError:
    """Return the error of a request that the server ends because it stops."""
    return ApiError(503, "the server is stopping")


def _is_same(one: Version, other: Version) -> bool:
    """Return whether both have one name and content. A newer verdict does not matter, and a name can be used again."""
    return (one.name, one.contents_sha256) == (other.name, other.contents_sha256)


class ServedModel:
    """Hold the version `name` (``champion`` or a version) in memory, and answer with it.

    Raises TuningError if the version does not exist, or cannot be served.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self.name = name
        self._settings = settings
        self._is_stopping = False
        self._waiting: set[Callable[[Item], None]] = set()  # what gives an item to each open request
        self._thread = ThreadPoolExecutor(1)
        self._loaded: tuple[Version, Asked, LocalPredictor] | None = None
        self._current()

    def version(self) -> Version:
        """Return the version that answers the next request. Raises TuningError if there is none."""
        return registry.find_version(self._settings, self.name)

    @property
    def loaded(self) -> str | None:
        """Return the name of the version in memory, or None if loading it failed or goes on."""
        return self._loaded[0].name if self._loaded else None

    async def answer(self, request: ChatRequest) -> AsyncGenerator[Started | str | Ended]:
        """Yield Started, pieces of the answer, and Ended. If the iterator is closed, generation ends.

        The pieces together are the answer. Raises ApiError if the prompt is too long, too many questions wait or the
        server stops, and TuningError if the model cannot be loaded.
        """
        items: asyncio.Queue[Item] = asyncio.Queue()
        loop, is_closed = asyncio.get_running_loop(), threading.Event()

        def put(item: Item) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
                loop.call_soon_threadsafe(items.put_nowait, item)

        if len(self._waiting) >= _MOST_WAITING:
            raise ApiError(503, f"{_MOST_WAITING} questions are open already. Ask again later")
        self._waiting.add(put)
        try:
            if self._is_stopping:
                raise stopping()
            self._thread.submit(self._work, request, put, is_closed)
            item: Item | None = None
            while not isinstance(item, Ended):
                item = await items.get()
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self._waiting.discard(put)
            is_closed.set()

    def stop(self) -> None:
        """End all requests with an error, also those that come later."""
        self._is_stopping = True
        for put in [*self._waiting]:
            put(stopping())

    def has_stopped(self, seconds: float) -> bool:
        """Return whether the thread has ended its work, for which it gets this time."""
        try:
            self._thread.submit(lambda: None).result(timeout=seconds)
        except TimeoutError:
            return False
        return True

    def _work(self, request: ChatRequest, put: Callable[[Item], None], is_closed: threading.Event) -> None:
        """Answer in this thread, and `put` the pieces, or the error."""
        try:
            if not is_closed.is_set():  # the request has not ended while it waited
                with in_one_line():
                    self._answer(request, put, is_closed)
        except Exception as error:  # the request's own task reports it
            put(error)

    def _answer(self, request: ChatRequest, put: Callable[[Item], None], is_closed: threading.Event) -> None:
        asked, predictor = self._current()
        prompt_tokens = predictor.prompt_tokens(asked.prompt(parse_question(request.question)))
        room = predictor.context - prompt_tokens
        if room < (request.max_tokens or 1):
            limit = f" and max_tokens is {request.max_tokens}" if request.max_tokens else ""
            message = (
                f"this model's maximum context length is {predictor.context} tokens, but the prompt has "
                f"{prompt_tokens}{limit}. Ask a shorter question, or for fewer tokens"
            )
            raise ApiError(400, message, "messages", "context_length_exceeded")
        put(Started(asked.name, prompt_tokens))
        space, is_first = "", True  # `predict` strips the white space around an answer
        limit_of_tokens = request.max_tokens or min(MAX_NEW_TOKENS, room)
        with contextlib.closing(ask(asked, request.question, limit_of_tokens)) as pieces:
            for piece in pieces:
                if is_closed.is_set():
                    return
                if isinstance(piece, Prediction):
                    put(Ended(piece, predictor.count_tokens(piece.answer)))
                    return
                text = (space + piece).lstrip() if is_first else space + piece
                space = text[len(text.rstrip()) :]
                if shown := text.rstrip():
                    put(shown)
                    is_first = False

    def _current(self) -> tuple[Asked, LocalPredictor]:
        """Return the version that is asked for now. If it is another one than before, load it."""
        version = self.version()
        if self._loaded is None or not _is_same(self._loaded[0], version):
            self._loaded = None  # no request uses the old one, and both together may not fit into memory
            if version.tuner == "gemini":
                raise TuningError(
                    f"{version.name} is a Gemini model, which Vertex AI serves",
                    "Serve a local version (`invoke models`)",
                )
            asked = load(self._settings, version.name)
            if not isinstance(asked.predictor, LocalPredictor):
                raise TuningError(
                    f"{version.name} cannot be served: the predictor of its tuner {version.tuner} is no LocalPredictor",
                    "tuning/tuners/protocol.py describes what it needs",
                )
            self._loaded = (version, asked, asked.predictor)
            print(f"loaded {version.name}", flush=True)
        return self._loaded[1:]
