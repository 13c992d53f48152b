"""Decompress in a thread, ahead of the reader. Memory is bounded."""

import queue
import threading
from collections.abc import Callable, Iterator

_AHEAD = 8  # pieces that the thread may decompress ahead of the reader

Put = Callable[[str | bytes], None]


def read_members(produce: Callable[[Put], None]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield the name and the bytes of each member that `produce` passes on.

    `produce` runs in a thread, because decompression releases the GIL. It calls its argument with a member's name, then
    with its pieces, then with the next name. An error in `produce` is raised here.

    Read a member's bytes before you request the next member, which skips unread bytes. Reading bytes after the end
    of the iteration raises RuntimeError.
    """
    pipe = _Pipe()
    thread = threading.Thread(target=_run, args=(produce, pipe), daemon=True)
    thread.start()
    try:
        while (name := pipe.next_member()) is not None:
            yield name, pipe.chunks()
        pipe.raise_failure()
    finally:
        pipe.stop()
        thread.join()


def read_ahead(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same pieces. A thread computes them ahead of the reader."""

    def produce(put: Put) -> None:
        put("")
        for piece in pieces:
            put(piece)

    for _, chunks in read_members(produce):
        yield from chunks


def _run(produce: Callable[[Put], None], pipe: "_Pipe") -> None:
    try:
        produce(pipe.put)
    except _StoppedError:
        pass  # the reader stopped early
    except BaseException as error:  # raise_failure raises it in the reader's thread
        pipe.failure = error
    finally:
        pipe.put(None)


class _StoppedError(Exception):
    """Signal to the decompressing thread that the reader stopped."""


class _Pipe:
    """Pass members from the decompressing thread to the reader.

    The queue contains a member's name, then its pieces, then the next name. None marks the end.
    """

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self._queue: queue.Queue[str | bytes | None] = queue.Queue(_AHEAD)
        self._stopped = threading.Event()
        self._next: str | None = None

    def put(self, item: str | bytes | None) -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.2)
            except queue.Full:
                continue
            return
        if item is not None:
            raise _StoppedError

    def next_member(self) -> str | None:
        """Return the name of the next member, or None at the end. Skips unread bytes of the previous member."""
        item = self._queue.get() if self._next is None else self._next
        self._next = None
        while isinstance(item, bytes):
            item = self._queue.get()
        return item

    def chunks(self) -> Iterator[bytes]:
        if self._stopped.is_set():
            raise RuntimeError("a member's bytes must be read before the next member is requested")
        while isinstance(item := self._queue.get(), bytes):
            yield item
        if item is None:
            self._queue.put(None)  # next_member needs the end mark too
            self.raise_failure()
        self._next = item

    def raise_failure(self) -> None:
        """Raise the error that ended the thread, if there was one."""
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        self._stopped.set()
