"""Limit what one client can hold of a server, so that a slow or silent client keeps nobody else from an answer.

uvicorn has no limit on the time in which a request must arrive, and its limit on connections refuses new ones.
"""

import asyncio

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 10  # for a client to send a whole request, or to read on
CONNECTIONS = 128  # at once; macOS allows a process 256 open files
_SECONDS_TO_STOP = 3


def limited(app: ASGIApp) -> uvicorn.Config:
    """Return the configuration of a server on this machine. No line of its log contains a request."""
    return uvicorn.Config(
        app,
        http=_Limited,
        backlog=CONNECTIONS,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=_SECONDS_TO_STOP,
    )


class _Limited(H11Protocol):
    """End the connection of a client that is slow. Of too many connections, end the one that has waited longest."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, and make room for it."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._watch()
        if len(self.connections) > CONNECTIONS:
            waiting = [one for one in self.connections if isinstance(one, _Limited) and one._can_be_ended]
            min(waiting, key=lambda one: one._since).transport.abort()  # this one, if all others are being answered

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request: for `timeout_keep_alive` seconds until its first part."""
        self._since = self.loop.time()
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:  # a part of the next request is here already
            self._watch()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Go on, because the client has read."""
        super().resume_writing()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        if self._timer:
            self._timer.cancel()

    @property
    def _can_be_ended(self) -> bool:
        return self._is_sending and not self.transport.is_closing()

    @property
    def _is_sending(self) -> bool:
        """Whether the client owes a request, or the rest of one."""
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    def _watch(self) -> None:
        """Begin the client's time if it owes something, and end it if not."""
        owes = self._is_sending or self.flow.write_paused
        if owes and not self._timer:
            self._timer = self.loop.call_later(SECONDS, self.transport.abort)
        elif self._timer and not owes:
            self._timer.cancel()
            self._timer = None
