"""Run the HTTP server: its routes, who may ask, and how it begins and ends."""

import asyncio
import contextlib
import errno
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from datetime import datetime

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tuning.errors import TuningError
from tuning.serving.chat_api import ApiError, ChatRequest, Reply, event, read_request
from tuning.serving.limits import limited
from tuning.serving.log import AnswerLog
from tuning.serving.model import Ended, ServedModel, Started, stopping
from tuning.settings import Settings

LOOPBACK = "127.0.0.1"
_LONGEST_BODY = 1 << 20  # bytes
_SECONDS_TO_STOP = 3  # for the model, after the server
_LEFT = 499  # nginx's status of a request whose client left


def serve(settings: Settings, name: str, port: int) -> None:
    """Serve the model `name` on a port of this machine until SIGTERM or Ctrl-C.

    With the setting `serve_log`, the answers are logged (see `tuning.serving.log`). Raises TuningError if the port is
    in use, or the model does not exist or cannot be served.
    """
    with listening(port, "invoke serve") as listener:
        model = ServedModel(settings, name)
        log = AnswerLog(settings) if settings.serve_log else None
        server = _Server(limited(make_app(model, log)))

        def stop(*_: object) -> None:
            model.stop()
            server.should_exit = True

        with _handling_signals(stop):  # to the end, because a second Ctrl-C must not break the first one's work
            if log:
                print(f"redacted questions and answers are logged for {settings.serve_log_days} days", flush=True)
            print(f"serving {name} at http://{LOOPBACK}:{port}/v1 until Ctrl-C", flush=True)
            server.run(sockets=[listener])
            has_stopped = model.has_stopped(_SECONDS_TO_STOP)
            if log:
                log.close()
    print("the server has stopped", flush=True)
    if not has_stopped:  # it loads a model or reads a long prompt, which nothing else can interrupt
        sys.stderr.flush()
        os._exit(0)


class _Server(uvicorn.Server):
    """Leave the signals alone. uvicorn's own server would raise them again at its end, so the status would not be 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.contextmanager
def _handling_signals(stop: Callable[..., None]) -> Iterator[None]:
    """Call `stop` on SIGINT and SIGTERM."""
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def listening(port: int, command: str) -> Iterator[socket.socket]:
    """Open a port of this machine for `command` before any other work. Raises TuningError if the port is in use."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
            listener.listen()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            hint = f"Stop that program (is it another `{command}`?), or choose another port with --port"
            raise TuningError(f"another program uses port {port} of {LOOPBACK}", hint) from None
        yield listener


def make_app(model: ServedModel, log: AnswerLog | None = None) -> Starlette:
    """Return the application that answers with `model`, and adds each whole answer to `log`."""

    async def chat(request: Request) -> Response:
        began = time.monotonic()
        asked = read_request(await _body(request), model.name)
        items = model.answer(asked)
        started = await _first(request, items)  # an error before the answer has its own status
        if started is None:
            return Response(status_code=_LEFT)  # nobody reads it
        assert isinstance(started, Started)  # noqa: S101 - the order of the items
        reply = Reply(started.model, started.prompt_tokens)

        def ended(item: Ended) -> None:
            if log:
                log.add(reply.id, item.prediction, (reply.prompt_tokens, item.answer_tokens), began)

        if asked.stream:
            return StreamingResponse(_events(reply, items, asked, ended), media_type="text/event-stream")
        async with contextlib.aclosing(items):
            async for item in items:
                if isinstance(item, Ended):
                    ended(item)
                    return Response(reply.whole(item.prediction, item.answer_tokens), media_type="application/json")
                if await request.is_disconnected():
                    break
        return Response(status_code=_LEFT)  # nobody reads it

    def models(_: Request) -> Response:
        version = model.version()
        entry = {
            "id": model.name,
            "object": "model",
            "created": int(datetime.fromisoformat(version.created_at).timestamp()),
            "owned_by": "python-qa-tuning",
            "version": version.name,
        }
        return JSONResponse({"object": "list", "data": [entry]})

    def health(_: Request) -> Response:
        loaded = model.loaded
        status = "ok" if loaded else "no model is loaded"
        return JSONResponse({"status": status, "version": loaded}, 200 if loaded else 503)

    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/models", models, methods=["GET"]),
            Route("/health", health, methods=["GET"]),
        ],
        middleware=[Middleware(_LocalProgramsOnly)],
        exception_handlers={ApiError: _failed, TuningError: _failed, HTTPException: _failed, Exception: _failed},
    )


async def _first(request: Request, items: AsyncGenerator[Started | str | Ended]) -> Started | str | Ended | None:
    """Return the first item, or None if the client leaves before, whose question then waits no longer."""
    begins, leaves = asyncio.ensure_future(anext(items)), asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait((begins, leaves), return_when=asyncio.FIRST_COMPLETED)
        return begins.result() if begins.done() else None
    finally:
        begins.cancel()
        leaves.cancel()


async def _events(
    reply: Reply,
    items: AsyncGenerator[Started | str | Ended],
    asked: ChatRequest,
    ended: Callable[[Ended], None],
) -> AsyncIterator[bytes]:
    """Yield the answer as server-sent events, and call `ended` with its end. An error is the last event."""
    yield reply.piece("", role="assistant")
    try:
        async with contextlib.aclosing(items):
            async for item in items:
                if isinstance(item, str):
                    yield reply.piece(item)
                elif isinstance(item, Ended):
                    ended(item)
                    yield reply.end(item.prediction, item.answer_tokens if asked.include_usage else None)
    except Exception as error:
        yield event(msgspec.json.encode(_as_api_error(error).body()))
        if not isinstance(error, ApiError | TuningError):
            raise  # uvicorn prints the traceback


async def _body(request: Request) -> bytes:
    """Return the JSON text of a request. Forms of web pages cannot have this content type."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ApiError(415, "the content type of a request must be application/json")
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > _LONGEST_BODY:
                raise ApiError(413, f"a request can have at most {_LONGEST_BODY:,} bytes")
    except ClientDisconnect:
        raise ApiError(_LEFT, "the client left") from None
    except asyncio.CancelledError:  # uvicorn ends a request that is still being sent when the server stops
        raise stopping() from None
    return bytes(body)


async def _failed(_: Request, error: Exception) -> Response:
    problem = _as_api_error(error)
    return JSONResponse(problem.body(), problem.status)


def _as_api_error(error: Exception) -> ApiError:
    match error:
        case ApiError():
            return error
        case TuningError():
            return ApiError(503, str(error))
        case HTTPException():
            return ApiError(
                error.status_code,
                f"{error.detail}: this server has only /v1/chat/completions (POST), /v1/models and /health",
            )
        case _:
            return ApiError(500, "the server failed; its terminal shows the error")


class _LocalProgramsOnly:
    """Refuse web pages: each browser names the page's origin or site, and a page behind DNS rebinding its own host."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an HTTP request."""
        headers = Headers(scope=scope)
        is_page = "origin" in headers or headers.get("sec-fetch-site", "none") != "none"
        is_local = re.fullmatch(r"(127\.0\.0\.1|localhost)(:[0-9]+)?", headers.get("host", ""), re.IGNORECASE)
        if is_page or not is_local:
            error = ApiError(403, "only programs on this machine can use this server, by 127.0.0.1 or localhost")
            await JSONResponse(error.body(), error.status)(scope, receive, send)
            return
        await self._app(scope, receive, send)
