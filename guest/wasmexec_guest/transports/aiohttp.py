"""aiohttp over the host: its connector gets transports whose other end is the host.

Sessions, redirects, cookies, timeouts, pool limits, parsing, decompression and flow control are the real ones; the host
verifies certificates, so `ssl` changes nothing. Each request has a transport of its own, which closes behind the
response: keeping connections alive is the host's business.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
from typing import Any

import aiohttp
import aiohttp.connector

from ..errors import HostCallError
from ..hostcall import call_sync
from ..loop import HostCall, host_call
from .exchange import READ_BYTES, WHOLE_BODY_BYTES, WRITE_BYTES, next_stream, open_arguments, places
from .http_client import refuse
from .wire import RequestReader, ResponseWriter, WireError, base_url

MOST_WAITING_BYTES = 256 * 1024
"""A request body is taken from its writer up to here, then the writer waits."""


class HostTransport(asyncio.Transport):
    """One request and its response, as a protocol of aiohttp sees a connection.

    Driven by the answers of host calls, at most one of which is under way; it holds one of the `places` to its end.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, request: Any, connect_seconds: float | None) -> None:
        super().__init__()
        self._loop = loop
        self._asked = request
        self._connect_seconds = connect_seconds
        self._protocol: Any = None
        self._request = RequestReader()
        self._response: ResponseWriter | None = None
        self._call: HostCall | None = None
        self._stream = 0
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
        request = self._request
        had_head = request.has_head
        try:
            request.feed(bytes(data))
        except WireError as error:
            self._fail(aiohttp.ClientConnectionError(f"the request cannot be sent: {error}"))
            return
        if request.has_head and not had_head and (request.header("expect") or "").lower() == "100-continue":
            request.headers = [pair for pair in request.headers if pair[0].lower() != "expect"]
            self._loop.call_soon(self._deliver, b"HTTP/1.1 100 Continue\r\n\r\n")
        self._go_on()

    def _go_on(self) -> None:
        """Start the next host call, if one is due."""
        request = self._request
        if self._call is not None or self._is_closing or not request.has_head:
            return
        if not self._stream:
            if request.is_small and not request.is_complete:
                return
            body = request.take(WHOLE_BODY_BYTES) if request.is_small else b""
            kind = ("whole" if body else "none") if request.is_small else "streamed"
            self._end_sent = request.is_small
            self._stream = next_stream()
            self._start("http.open", self._open_arguments(kind), body)
        elif self._response is not None:
            if not self._reading_paused:
                self._start("http.read", {"stream": self._stream, "max_bytes": READ_BYTES})
        elif not self._end_sent and (request.waiting_bytes or request.is_complete):
            data = request.take(WRITE_BYTES)
            self._end_sent = request.is_complete and not request.waiting_bytes
            self._start("http.write", {"stream": self._stream, "end": self._end_sent}, data)
        self._set_writing(paused=self._response is None and request.waiting_bytes > MOST_WAITING_BYTES)

    def _open_arguments(self, kind: str) -> dict[str, object]:
        request, url = self._request, self._asked.url
        full_url = base_url(url.scheme, url.raw_host, url.port) + request.target
        # Everything but the time for connecting is measured here, by aiohttp itself.
        timeout = {"connect": self._connect_seconds}
        return open_arguments(self._stream, request.method, full_url, request.headers, timeout=timeout, body=kind)

    def _start(self, op: str, arguments: dict[str, object], body: bytes = b"") -> None:
        self._call = call = host_call(op, arguments, body)
        call.add_done_callback(self._answered)

    def _answered(self, call: asyncio.Future[Any]) -> None:
        self._call = None
        if self._is_closing or call.cancelled():
            return
        error = call.exception()
        if isinstance(error, HostCallError):
            # A host call that failed has ended the request.
            self._stream = 0
            self._fail(self._exception(error))
            return
        reply, data = call.result()
        if self._response is None:
            if not reply:
                self._go_on()
                return
            self._response = ResponseWriter(self._request.method, reply)
            self._deliver(self._response.head)
        self._deliver(self._response.body(data, eof=reply["eof"]))
        if reply["eof"]:
            self._stream = 0
            self.close()
        else:
            self._go_on()

    def _deliver(self, data: bytes) -> None:
        if data and not self._is_closing:
            self._protocol.data_received(data)

    def _exception(self, error: HostCallError) -> Any:
        if self._response is not None:
            return aiohttp.ClientPayloadError(f"Response payload is not completed: {error.message}")
        if error.code in ("denied", "connect"):
            number = errno.EACCES if error.code == "denied" else errno.ECONNREFUSED
            return aiohttp.ClientConnectorError(self._asked.connection_key, OSError(number, error.message))
        if error.code == "certificate":
            refused = ssl.SSLCertVerificationError(1, error.message)
            return aiohttp.ClientConnectorCertificateError(self._asked.connection_key, refused)
        if error.code == "connect_timeout":
            return aiohttp.ServerTimeoutError(f"Connection timeout to host {self._asked.url}")
        if error.code in ("read", "write", "protocol"):
            return aiohttp.ServerDisconnectedError(error.message)
        return aiohttp.ClientConnectionError(error.message)

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
        return self._request.waiting_bytes

    def close(self) -> None:
        """End the request, wherever it is."""
        if self._is_closing:
            return
        self._is_closing = True
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        if self._stream:
            # Not an async call: that would go out with the next frame, perhaps after a synchronous request that waits
            # for the place of this one.
            call_sync("http.close", {"stream": self._stream})
        places().release()
        protocol, self._protocol, self._asked = self._protocol, None, None
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
        await places().acquire()
        protocol = self._factory()
        HostTransport(self._loop, req, _connect_seconds(timeout)).connect(protocol)
        return protocol

    aiohttp.connector.TCPConnector._create_connection = _create_connection
