"""uvicorn in a loop of ours: bounded heads of requests, no signal handlers of its own."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import socket
import stat
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

if TYPE_CHECKING:
    from .app import App
    from .connections import Connections

from .joined import JoinedTransport
from .request import DIVERT_BODY, WHEN_GONE, WHOLE_BODY

MOST_HEAD_BYTES = 64 * 1024
KEEP_ALIVE_SECONDS = 75
LEAST_TAKEN_BYTES = 1024
"""What a client takes in a second of an answer that is kept for it, or it is let go."""
_HANG_UP_SECONDS = 0.05
_HUNG_UP = select.POLLERR | select.POLLHUP | getattr(select, "POLLRDHUP", 0)
_LISTENING_MODE = 0o600
_ASKING_SECONDS = 1.0


class Listener(uvicorn.Server):
    """A uvicorn server that leaves signals to whoever runs the loop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are not its own."""
        yield


def protocol_class(
    head_seconds: float, stall_seconds: float, connections: Connections
) -> type[asyncio.Protocol]:  # fmt: skip
    """A protocol that closes connections whose next head does not arrive or is too long, and those that are too many.

    It closes those, too, whose clients take nothing of their answers, or hang up while nothing is read.

    SECURITY: uvicorn itself waits for a first head as long as the client likes, whatever it sends meanwhile; and for a
    client that takes nothing of its answer, which is kept meanwhile, likewise.
    """

    class BoundedProtocol(HttpToolsProtocol):
        def connection_made(self, transport: Any) -> None:
            self._refusal = connections.refuse(self, transport.get_extra_info("peername"))
            if self._refusal is not None:
                transport.write(self._refusal)
                transport.close()
                return
            super().connection_made(transport)
            self._watchers: dict[object, Callable[[], object]] = {}
            self._is_lost = False
            self._head_bytes = 0
            self._head_timer: asyncio.TimerHandle | None = None
            self._stall_timer: asyncio.TimerHandle | None = None
            self._hang_up_timer: asyncio.TimerHandle | None = None
            self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            if self._refusal is not None:
                return
            connections.closed(self)
            self._stop_timer()
            self._stop_stall_timer()
            if self._hang_up_timer is not None:
                self._hang_up_timer.cancel()
            super().connection_lost(exc)
            self._is_lost = True
            watchers, self._watchers = self._watchers, {}
            for watcher in watchers.values():
                watcher()

        def when_gone(self, watcher: Callable[[], object]) -> Callable[[], object]:
            """See `Request.when_gone`."""
            # What has not been read would hide that there is nobody any more.
            self.flow.resume_reading()
            key = object()
            self._watchers[key] = watcher
            if self._is_lost:
                self.loop.call_soon(watcher)
            return partial(self._watchers.pop, key, None)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._take: Callable[[bytes], bool] | None = None
            self._extensions: dict[str, Any] = {WHEN_GONE: self.when_gone}
            self.scope["extensions"] = self._extensions

        def _divert_body(self, cycle: RequestResponseCycle, take: Callable[[bytes], bool]) -> None:
            """See `Divert`. Reading goes on meanwhile: what is taken at once waits nowhere."""
            body, cycle.body = bytes(cycle.body), bytearray()
            if take(body) and cycle.more_body:
                self._take = take

        def on_body(self, body: bytes) -> None:
            if self._take is not None:
                if not self._take(body):
                    self._take = None
                    self.cycle.message_event.set()
                return
            super().on_body(body)
            if self.flow.read_paused and self._hang_up_timer is None:
                self._look_for_hang_up()

        def _look_for_hang_up(self) -> None:
            """Nothing is read while a handler has enough of a body, so the loop does not tell that the client goes."""
            self._hang_up_timer = None
            if not self.flow.read_paused or self.transport.is_closing():
                return
            poll = select.poll()
            poll.register(self.transport.get_extra_info("socket").fileno(), _HUNG_UP)
            if poll.poll(0):
                self.transport.abort()
            else:
                self._hang_up_timer = self.loop.call_later(_HANG_UP_SECONDS, self._look_for_hang_up)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._watch_stall(self.transport.get_write_buffer_size())

        def resume_writing(self) -> None:
            super().resume_writing()
            self._stop_stall_timer()

        def data_received(self, data: bytes) -> None:
            if self._refusal is not None:
                return
            if self._head_timer is None and self._is_between():
                self._await_head()
            super().data_received(data)
            if self._head_timer is not None:
                self._head_bytes += len(data)
                if self._head_bytes > MOST_HEAD_BYTES:
                    self.transport.close()

        def on_headers_complete(self) -> None:
            self._stop_timer()
            super().on_headers_complete()
            if self.cycle is not None and self.cycle.scope is self.scope:
                self._extensions[WHOLE_BODY] = partial(_whole_body, self.cycle)
                self._extensions[DIVERT_BODY] = partial(self._divert_body, self.cycle)
                self.cycle.transport = JoinedTransport(self.transport, self.loop)  # type: ignore[assignment]

        def _is_between(self) -> bool:
            # What follows a whole request is another head, also while the first is still at work.
            return self.cycle is None or self.cycle.response_complete or not self.cycle.more_body

        def _await_head(self) -> None:
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(head_seconds, self.transport.close)

        def _watch_stall(self, unsent: int) -> None:
            self._stop_stall_timer()
            self._stall_timer = self.loop.call_later(stall_seconds, self._check_stall, unsent)

        def _check_stall(self, before: int) -> None:
            # Nothing is added meanwhile: whoever writes waits for the buffer to be empty enough.
            unsent = self.transport.get_write_buffer_size()
            if before - unsent < LEAST_TAKEN_BYTES * stall_seconds:
                self.transport.abort()
            else:
                self._watch_stall(unsent)

        def _stop_stall_timer(self) -> None:
            if self._stall_timer is not None:
                self._stall_timer.cancel()
                self._stall_timer = None

        def _stop_timer(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

    return BoundedProtocol


def _whole_body(cycle: RequestResponseCycle) -> bytes | None:
    """The body of a request, if all of it is here."""
    if cycle.more_body or cycle.disconnected:
        return None
    body, cycle.body = bytes(cycle.body), bytearray()
    return body


def make_listener(app: App, head_seconds: float, stall_seconds: float, connections: Connections) -> Listener:
    """What accepts connections for the application."""
    return Listener(uvicorn.Config(
        app, http=protocol_class(head_seconds, stall_seconds, connections), ws="none", lifespan="off", access_log=False,
        log_config=None, server_header=False, date_header=True, timeout_keep_alive=KEEP_ALIVE_SECONDS,
        proxy_headers=False, timeout_graceful_shutdown=2,
    ))  # fmt: skip


def listening_socket(address: tuple[str, int] | str) -> socket.socket:
    """A socket that listens at a host and port, or at a path, where only its owner may connect.

    Raises:
        OSError: it cannot.
    """
    if isinstance(address, str):
        return _listening_at_path(address)
    listener = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return _listening(listener, address)


def remove_path(path: str) -> None:
    """Remove what was made at a path that was listened at."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _listening_at_path(path: str) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(errno.EEXIST, "there is something else than a socket")
        if _is_listened_at(path):
            raise OSError(errno.EADDRINUSE, "another process listens there")
        os.unlink(path)
    # SECURITY: never for a moment with another mode than it is to have.
    mask = os.umask(0o777 & ~_LISTENING_MODE)
    try:
        return _listening(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), path)
    finally:
        os.umask(mask)


def _is_listened_at(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(_ASKING_SECONDS)
        try:
            asking.connect(path)
        except ConnectionRefusedError:
            return False
        except TimeoutError:
            # Somebody does, and has no time.
            return True
    return True


def _listening(listener: socket.socket, address: tuple[str, int] | str) -> socket.socket:
    try:
        listener.bind(address)
        listener.listen(1024)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
