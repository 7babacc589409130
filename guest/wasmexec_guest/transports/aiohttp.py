"""aiohttp over the host: its connector gets transports whose other end is the host.

Sessions, redirects, cookies, timeouts, pool limits, parsing, decompression and flow control are the real ones; the host
verifies certificates, so `ssl` changes nothing. Each request has a transport of its own, which closes behind the
response: keeping connections alive is the host's business.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

import aiohttp
import aiohttp.connector

from ..errors import HostCallError
from ..loop import HostCall, host_call
from .drivers import give_up
from .http_client import refuse
from .request import WRITE_BYTES, HostRequest, Operation, Steps
from .slots import slots
from .wire import RequestReader, ResponseWriter, WireError, base_url

MOST_WAITING_BYTES = 256 * 1024
"""A request body is taken from its writer up to here, then the writer waits."""


_Made = Callable[[Any, str], Exception]


def _with_key(kind: Callable[..., Exception], cause: Callable[[str], Exception]) -> _Made:
    return lambda request, message: kind(request.connection_key, cause(message))


def _with_message(kind: Callable[[str], Exception]) -> _Made:
    return lambda request, message: kind(message)


_EXCEPTIONS: dict[str, _Made] = {
    "denied": _with_key(aiohttp.ClientConnectorError, partial(OSError, errno.EACCES)),
    "connect": _with_key(aiohttp.ClientConnectorError, partial(OSError, errno.ECONNREFUSED)),
    "certificate": _with_key(aiohttp.ClientConnectorCertificateError, partial(ssl.SSLCertVerificationError, 1)),
    "connect_timeout": lambda request, _: aiohttp.ServerTimeoutError(f"Connection timeout to host {request.url}"),
    "read_timeout": _with_message(aiohttp.ClientConnectionError),
    "write_timeout": _with_message(aiohttp.ClientConnectionError),
    "pool_timeout": _with_message(aiohttp.ClientConnectionError),
    "read": _with_message(aiohttp.ServerDisconnectedError),
    "write": _with_message(aiohttp.ServerDisconnectedError),
    "protocol": _with_message(aiohttp.ServerDisconnectedError),
    "bad_request": _with_message(aiohttp.ClientConnectionError),
}
"""By the code of a host call that failed before there was a response: what makes an exception of request and message.

Any other code is a ClientConnectionError.
"""


class HostTransport(asyncio.Transport):
    """One request and its response, as a protocol of aiohttp sees a connection.

    Driven by the answers of host calls, at most one of which is under way; it holds one of the `slots` to its end.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, request: Any, connect_seconds: float | None) -> None:
        super().__init__()
        self._loop = loop
        self._request = request
        self._connect_seconds = connect_seconds
        self._protocol: Any = None
        self._written = RequestReader()
        self._host_request = HostRequest()
        self._response: ResponseWriter | None = None
        self._steps: Steps[object] | None = None
        self._call: HostCall | None = None
        self._end_sent = False
        self._writing_paused = False
        self._reading_paused = False
        self._is_closing = False

    def connect(self, protocol: Any) -> None:
        """Become the transport of this protocol."""
        self._protocol = protocol
        protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take a part of the request."""
        if self._is_closing:
            return
        written = self._written
        had_head = written.has_head
        try:
            written.feed(bytes(data))
        except WireError as error:
            self._fail(aiohttp.ClientConnectionError(f"the request cannot be sent: {error}"))
            return
        if written.has_head and not had_head and (written.header("expect") or "").lower() == "100-continue":
            written.headers = [pair for pair in written.headers if pair[0].lower() != "expect"]
            self._loop.call_soon(self._deliver, b"HTTP/1.1 100 Continue\r\n\r\n")
        self._go_on()

    def _go_on(self) -> None:
        """Start the next host call, if one is due."""
        written = self._written
        if self._call is not None or self._is_closing or not written.has_head:
            return
        steps = self._due()
        if steps is not None:
            self._steps = steps
            self._start(next(steps))
        self._set_writing(paused=self._response is None and written.waiting_bytes > MOST_WAITING_BYTES)

    def _due(self) -> Steps[object] | None:
        written, host_request = self._written, self._host_request
        if not host_request.stream:
            if written.is_small and not written.is_complete:
                return None
            url = self._request.url
            self._end_sent = written.is_small
            # Everything but the time for connecting is measured here, by aiohttp itself.
            timeout = {"connect": self._connect_seconds}
            return written.opening(host_request, base_url(url.scheme, url.raw_host, url.port), timeout)
        if self._response is not None:
            return None if self._reading_paused else host_request.read()
        if self._end_sent or not (written.waiting_bytes or written.is_complete):
            return None
        data = written.take(WRITE_BYTES)
        self._end_sent = written.is_complete and not written.waiting_bytes
        return host_request.write(data, is_last=self._end_sent)

    def _start(self, operation: Operation) -> None:
        self._call = call = host_call(*operation)
        call.add_done_callback(self._answered)

    def _answered(self, call: asyncio.Future[Any]) -> None:
        self._call = None
        if self._is_closing or call.cancelled():
            return
        assert self._steps is not None
        error, data, failure = call.exception(), None, None
        try:
            self._start(self._steps.send(call.result()) if error is None else self._steps.throw(error))
            return
        except StopIteration as end:
            data = end.value
        except HostCallError as raised:
            failure = self._exception(raised)
        finally:
            # The traceback of the error has this frame.
            del call, error
        if failure is None:
            self._done(data)
        else:
            self._fail(failure)

    def _done(self, data: Any) -> None:
        """A step has come to its end; `data` is what it read, if it did."""
        host_request = self._host_request
        if self._response is None:
            if host_request.head is None:
                self._go_on()
                return
            self._response = ResponseWriter(self._written.method, host_request.head)
            self._deliver(self._response.head)
            data = host_request.take()
        self._deliver(self._response.body(data, eof=host_request.has_ended))
        if host_request.has_ended:
            self.close()
        else:
            self._go_on()

    def _deliver(self, data: bytes) -> None:
        if data and not self._is_closing:
            self._protocol.data_received(data)

    def _exception(self, error: HostCallError) -> Any:
        if self._response is not None:
            return aiohttp.ClientPayloadError(f"Response payload is not completed: {error.message}")
        make = _EXCEPTIONS.get(error.code, _EXCEPTIONS["bad_request"])
        return make(self._request, error.message)

    def _fail(self, error: Exception) -> None:
        protocol = self._protocol
        payload = protocol._payload
        protocol.set_exception(error)
        if payload is not None and not payload.is_eof():
            payload.set_exception(error)
        self.close()

    def _set_writing(self, *, paused: bool) -> None:
        if paused != self._writing_paused:
            self._writing_paused = paused
            if paused:
                self._protocol.pause_writing()
            else:
                self._protocol.resume_writing()

    def pause_reading(self) -> None:
        """Ask the host for no more until `resume_reading`."""
        self._reading_paused = True

    def resume_reading(self) -> None:
        """Go on with the response."""
        self._reading_paused = False
        self._go_on()

    def is_reading(self) -> bool:
        """Whether the response is asked for as it comes."""
        return not self._reading_paused and not self._is_closing

    def is_closing(self) -> bool:
        """Whether this transport has been closed, by either side."""
        return self._is_closing

    def get_write_buffer_size(self) -> int:
        """Bytes of the body that the host has not taken."""
        return self._written.waiting_bytes

    def close(self) -> None:
        """End the request, wherever it is."""
        if self._is_closing:
            return
        self._is_closing = True
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        give_up(self._host_request)
        slots().release()
        protocol, self._protocol, self._request = self._protocol, None, None
        if protocol is not None and not self._loop.is_closed():
            self._loop.call_soon(protocol.connection_lost, None)

    def abort(self) -> None:
        """The same as `close`."""
        self.close()

    def __del__(self) -> None:
        self.close()


def _connect_seconds(timeout: aiohttp.ClientTimeout) -> float | None:
    return min((seconds for seconds in (timeout.connect, timeout.sock_connect) if seconds), default=None)


def install() -> None:
    """Give the connectors of aiohttp the host's transports."""

    async def _create_connection(self: Any, req: Any, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        if req.proxy:
            refuse("aiohttp", "a proxy")
        if self._local_addr:
            refuse("aiohttp", "local_addr")
        await slots().acquire()
        protocol = self._factory()
        HostTransport(self._loop, req, _connect_seconds(timeout)).connect(protocol)
        return protocol

    aiohttp.connector.TCPConnector._create_connection = _create_connection
