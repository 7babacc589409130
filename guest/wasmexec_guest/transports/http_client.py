"""The standard library's `http.client` over the host: its connections get a socket whose other end is the host.

Everything from `http.client` upwards is real: `urllib.request`, and with it `pandas.read_csv(url)`; urllib3 and
requests by way of their own connections (see `urllib3.py`). The whole guest waits while such a request is under way.
"""

from __future__ import annotations

import errno
import http.client
import io
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from ..errors import HostCallError
from ..hostcall import call_sync
from .exchange import READ_BYTES, WHOLE_BODY_BYTES, WRITE_BYTES, next_stream, open_arguments, timeout_seconds
from .wire import RequestReader, ResponseWriter, WireError, base_url

_TIMEOUTS = ("connect_timeout", "read_timeout", "write_timeout", "pool_timeout")
_AFTER_CONNECTING = ("read_timeout", "read", "write", "protocol")
Raised = Callable[[HostCallError], Exception]
"""Makes the exception of a library out of a failed host call."""


def os_error(error: HostCallError) -> Exception:
    """The exception that a socket would have raised."""
    if error.code == "denied":
        return PermissionError(error.message)
    if error.code == "connect":
        return ConnectionRefusedError(error.message)
    if error.code == "certificate":
        return ssl.SSLCertVerificationError(1, error.message)
    if error.code in _TIMEOUTS:
        return TimeoutError(error.message)
    if error.code == "protocol":
        return http.client.RemoteDisconnected(error.message)
    if error.code in ("read", "write"):
        return ConnectionResetError(error.message)
    return OSError(error.message)


class HostSocket:
    """What a connection of `http.client` uses of a socket: one request after the other goes to one server.

    `timeout` is that for connecting when the request begins, that for reading when its response is waited for. With
    `sends_at_once` there is one timeout for both, and `sendall` raises what went wrong before the server had a request.
    """

    def __init__(self, base: str, timeout: object, raised: Raised = os_error, *, sends_at_once: bool = True) -> None:
        self._base = base
        self._raised = raised
        self._sends_at_once = sends_at_once
        self._timeout: float | None = None
        self._exchange: _Exchange | None = None
        self.settimeout(timeout)

    def settimeout(self, seconds: object) -> None:
        """Seconds, None for no limit."""
        self._timeout = float(seconds) if isinstance(seconds, (int, float)) else None

    def gettimeout(self) -> float | None:
        """What `settimeout` was given."""
        return self._timeout

    def setsockopt(self, *arguments: object) -> None:
        """Accepted: the connection is the host's."""

    def sendall(self, data: Any) -> None:
        """Send a part of a request.

        Raises: Exception: the host refuses it or cannot send it, or it is no HTTP request.
        """
        if self._exchange is None or self._exchange.has_response:
            self._exchange = _Exchange(self._base, self._timeout, self._raised)
        self._exchange.send(bytes(data))
        if self._sends_at_once:
            self._exchange.send_if_complete(self._timeout)

    def makefile(self, mode: str = "rb", *arguments: object, **options: object) -> io.BufferedReader:
        """The response to the request that was sent, as the bytes of HTTP/1.1."""
        if self._exchange is None or mode != "rb":
            raise OSError("only the response to a request can be read")
        return io.BufferedReader(_ResponseFile(self._exchange, self), READ_BYTES)

    def close(self) -> None:
        """Give up a request whose response nobody has begun to read; the others end with their response."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None and not exchange.has_reader:
            exchange.close()

    def shutdown(self, how: int) -> None:
        """The same as `close`."""
        self.close()


class _Exchange:
    """One request and its response."""

    def __init__(self, base: str, connect_seconds: float | None, raised: Raised) -> None:
        self.has_reader = False
        self.has_response = False
        self._base = base
        self._connect_seconds = connect_seconds
        self._raised = raised
        self._request = RequestReader()
        self._response: ResponseWriter | None = None
        self._early = b""
        self._failure: HostCallError | None = None
        self._stream = 0
        self._is_over = False

    def send(self, data: bytes) -> None:
        """Take a part of the request; a body that is not small goes on to the host as it comes."""
        request = self._request
        try:
            request.feed(data)
        except WireError as error:
            raise OSError(errno.EPROTO, f"the request cannot be sent: {error}") from None
        if not request.has_head or request.is_small or self._response is not None:
            return
        try:
            if not self._stream:
                self._open("streamed", None, b"")
            while request.waiting_bytes and self._response is None:
                self._call("http.write", {"stream": self._stream}, request.take(WRITE_BYTES))
        except HostCallError as error:
            raise self._raised(error) from None

    def send_if_complete(self, read_seconds: float | None) -> None:
        """Send a request whose body is small once it is complete; what fails after that is raised by `receive`."""
        if self._request.is_small and self._request.is_complete and not self._stream:
            try:
                self._send_whole(read_seconds)
            except HostCallError as error:
                if error.code not in _AFTER_CONNECTING:
                    raise self._raised(error) from None
                self._failure = error

    def receive(self, read_seconds: float | None) -> bytes:
        """The next bytes of the response, b"" at its end."""
        self.has_response = True
        try:
            return self._receive(read_seconds)
        except HostCallError as error:
            if error.code == "protocol" and self._response is not None:
                # The connection ended too early: http.client sees what is missing, and says it in its own way.
                return b""
            raise self._raised(error) from None

    def _receive(self, read_seconds: float | None) -> bytes:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        if self._response is None:
            if self._is_over:
                return b""
            if self._stream:
                end = {"stream": self._stream, "end": True, "read_timeout": timeout_seconds(read_seconds)}
                return self._call("http.write", end)
            if not self._request.is_complete:
                raise OSError(errno.EPROTO, "the response is read before the request was complete")
            return self._send_whole(read_seconds)
        data, self._early = self._early, b""
        while not data and not self._is_over:
            data = self._call("http.read", {"stream": self._stream, "max_bytes": READ_BYTES})
        return data

    def _send_whole(self, read_seconds: float | None) -> bytes:
        body = self._request.take(WHOLE_BODY_BYTES)
        return self._open("whole" if body else "none", read_seconds, body)

    def _open(self, kind: str, read_seconds: float | None, body: bytes) -> bytes:
        request = self._request
        self._stream = next_stream()
        timeout = {"connect": self._connect_seconds, "read": read_seconds}
        url = f"{self._base}{request.target}"
        arguments = open_arguments(self._stream, request.method, url, request.headers, timeout=timeout, body=kind)
        return self._call("http.open", arguments, body)

    def _call(self, op: str, arguments: Mapping[str, object], body: bytes = b"") -> bytes:
        """One host call about this request; what it brings of the response, as bytes of HTTP."""
        try:
            reply, data = call_sync(op, arguments, body)
        except HostCallError:
            self._is_over = True
            raise
        except BaseException:
            self.close()
            raise
        if op != "http.read":
            if not reply:
                return b""
            self._response = ResponseWriter(self._request.method, reply)
        assert self._response is not None
        self._is_over = reply["eof"]
        framed = self._response.body(data, eof=self._is_over)
        if op == "http.read":
            return framed
        framed = self._response.head + framed
        if not self.has_response:
            # The server answers before it has the whole request.
            self._early = framed
        return framed

    def close(self) -> None:
        """End the request on the host, wherever it is."""
        if self._stream and not self._is_over:
            self._is_over = True
            call_sync("http.close", {"stream": self._stream})


class _ResponseFile(io.RawIOBase):
    """The bytes of one response; reading waits for the first of them only."""

    def __init__(self, exchange: _Exchange, connection: HostSocket) -> None:
        super().__init__()
        exchange.has_reader = True
        self._exchange = exchange
        self._socket = connection
        self._data = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._data:
            self._data = memoryview(self._exchange.receive(self._socket.gettimeout()))
        size = min(len(buffer), len(self._data))
        buffer[:size] = self._data[:size]
        self._data = self._data[size:]
        return size

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._exchange.close()


def refuse(library: str, name: str) -> NoReturn:
    """Raises: NotImplementedError: always."""
    raise NotImplementedError(f"{library}: {name} is not available here, the host makes the connections itself")


def _connect(connection: Any, scheme: str) -> None:
    if connection._tunnel_host:
        refuse("http.client", "a tunnel")
    timeout = connection.timeout if connection.timeout is not socket._GLOBAL_DEFAULT_TIMEOUT else None  # type: ignore[attr-defined]
    connection.sock = HostSocket(base_url(scheme, connection.host, connection.port), timeout)


def install() -> None:
    """Give the connections of `http.client` the host's sockets."""

    def connect(self: http.client.HTTPConnection) -> None:
        """Connect to the host and port of this connection."""
        _connect(self, "http")

    def connect_tls(self: http.client.HTTPConnection) -> None:
        """Connect to the host and port of this connection; the host verifies the certificate."""
        _connect(self, "https")

    connect_tls.__name__ = "connect"
    http.client.HTTPConnection.connect = connect  # type: ignore[method-assign]
    http.client.HTTPSConnection.connect = connect_tls  # type: ignore[method-assign]
