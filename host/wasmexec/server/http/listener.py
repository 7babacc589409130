"""uvicorn in a loop of ours: bounded heads of requests, no signal handlers of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from .app import App
    from .connections import Connections

from .request import WHEN_GONE

MOST_HEAD_BYTES = 64 * 1024
KEEP_ALIVE_SECONDS = 75


class Listener(uvicorn.Server):
    """A uvicorn server that leaves signals to whoever runs the loop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are not its own."""
        yield


def protocol_class(head_seconds: float, connections: Connections) -> type[asyncio.Protocol]:
    """A protocol that closes connections whose next head does not arrive, or is too long, and those that are too many.

    SECURITY: uvicorn itself waits for a first head as long as the client likes, whatever it sends meanwhile.
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
            self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            if self._refusal is not None:
                return
            connections.closed(self)
            self._stop_timer()
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
            self.scope["extensions"] = {WHEN_GONE: self.when_gone}  # type: ignore[dict-item]

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

        def _is_between(self) -> bool:
            # What follows a whole request is another head, also while the first is still at work.
            return self.cycle is None or self.cycle.response_complete or not self.cycle.more_body

        def _await_head(self) -> None:
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(head_seconds, self.transport.close)

        def _stop_timer(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

    return BoundedProtocol


def make_listener(app: App, head_seconds: float, connections: Connections) -> Listener:
    """What accepts connections for the application."""
    return Listener(uvicorn.Config(
        app, http=protocol_class(head_seconds, connections), ws="none", lifespan="off", access_log=False,
        log_config=None, server_header=False, date_header=True, timeout_keep_alive=KEEP_ALIVE_SECONDS,
        proxy_headers=False, timeout_graceful_shutdown=2,
    ))  # fmt: skip


def listening_socket(address: tuple[str, int]) -> socket.socket:
    """A socket that listens there.

    Raises:
        OSError: it cannot.
    """
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(1024)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
