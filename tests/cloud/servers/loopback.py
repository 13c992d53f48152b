"""A server on loopback that stands for Google: routes, a record of what was asked, and faults on demand."""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from tests.cloud.servers import validated
from tests.cloud.servers.discovery import InvalidError, Method

TOKEN = "planted-loopback-token"  # noqa: S105 - a fake, planted to be looked for
STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
          409: "ALREADY_EXISTS", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}  # fmt: skip


class RefusedError(Exception):
    """What Google would answer with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    body: Any
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answered:
    """An answer with headers of its own."""

    body: Any
    headers: dict[str, str]


@dataclass
class Fault:
    """What goes wrong with the next `times` requests of that method and path.

    A number is answered with that status. ``drop``: the request is carried out, then the connection breaks before the
    answer; ``break``: it breaks before; ``slow``: it waits until the client has given up and asks again; ``die``: it is
    answered, and the server is gone.
    """

    method: str
    path: str
    how: int | Literal["drop", "break", "slow", "die"]
    times: int = 1


Route = Callable[[Request], Any]


@dataclass
class Loopback:
    """`with Loopback(routes) as server`: `server.url` is its address, `server.seen` every request with its status."""

    routes: list[tuple[str, str, Route]]
    token: str | None = TOKEN  # None: whoever asks is answered
    find: Callable[[Request], Method | None] = lambda request: None  # the method by whose discovery document is checked
    after: list[Callable[[], None]] = field(default_factory=list)  # what a route leaves to do, before it is answered
    checked: int = 0  # requests and answers that were found valid
    seen: list[tuple[Request, int]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    asked_again: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Loopback":
        loopback = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else an answer waits for the acknowledgement of its headers: 40 ms

            def handle_any(self) -> None:
                loopback.answer(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - http.server's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        validated.counts.append(self.checked)
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def asked(self, method: str, path: str) -> list[Request]:
        """The requests of that kind that were answered well."""
        return [request for request, status in self.seen
                if request.method == method and status == 200 and re.search(path, request.path)]  # fmt: skip

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        content = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        query = {name: values[0] for name, values in parse_qs(parts.query).items() if name != "$alt"}
        is_form = handler.headers.get_content_type() == "application/x-www-form-urlencoded"
        body = dict(parse_qsl(content.decode())) if is_form else json.loads(content) if content else None
        request = Request(handler.command, unquote(parts.path), query, body)
        how = self._fault(request)
        self.asked_again.set()
        if how == "break":
            handler.close_connection = True
            return
        if how == "slow":
            self.asked_again.clear()
            self.asked_again.wait(timeout=30)
        status, answer = self._carry_out(request, handler.headers.get("Authorization"), how)
        self.seen.append((request, status))
        if how == "drop":
            handler.close_connection = True
            return
        headers = answer.headers if isinstance(answer, Answered) else {}
        answer = answer.body if isinstance(answer, Answered) else answer
        payload = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        if how == "slow":  # nobody listens any more
            handler.close_connection = True
            return
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json; charset=UTF-8")
        handler.send_header("Content-Length", str(len(payload)))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        if how == "die":  # before the answer is out: the client may ask again at once
            handler.close_connection = True
            threading.Thread(target=self.server.shutdown).start()
            self.server.socket.close()
        handler.wfile.write(payload)

    def _fault(self, request: Request) -> int | str | None:
        with self.lock:
            for fault in self.faults:
                if fault.times and fault.method == request.method and re.search(fault.path, request.path):
                    fault.times -= 1
                    return fault.how
        return None

    def _carry_out(self, request: Request, authorization: str | None, how: int | str | None) -> tuple[int, Any]:
        if self.token is not None and authorization != f"Bearer {self.token}":
            return _error(401, "Request had invalid authentication credentials.")
        if isinstance(how, int):
            return _error(how, "planted fault")
        for method, pattern, route in self.routes:
            match = re.fullmatch(pattern, request.path)
            if match and method == request.method:
                try:
                    with self.lock:
                        answer = self._checked(route, replace(request, groups=match.groups()))
                        after, self.after[:] = list(self.after), []
                except RefusedError as refused:
                    return _error(refused.code, str(refused))
                except InvalidError as error:
                    return _error(500, f"the stand-in gave an answer that Google cannot give: {error}")
                for one in after:  # without the lock, because it may ask this server something
                    one()
                return 200, answer
        return _error(404, f"{request.method} {request.path} is no method of this server")

    def _checked(self, route: Route, request: Request) -> Any:
        """Answer a request that its discovery document allows; an answer that it does not allow is a fault of ours."""
        method = self.find(request)
        if method is None:
            return route(request)
        try:
            body = method.request(request.query, request.body)
        except InvalidError as error:
            raise RefusedError(400, f"Invalid JSON payload received. {error}") from None
        answer = route(replace(request, body=body))
        method.check_answer(answer.body if isinstance(answer, Answered) else answer)
        self.checked += 2
        return answer


def _error(code: int, message: str) -> tuple[int, Any]:
    return code, {"error": {"code": code, "message": message, "status": STATUS.get(code, "UNKNOWN")}}
