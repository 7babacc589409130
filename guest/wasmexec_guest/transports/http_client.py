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
from functools import partial
from typing import Any, NoReturn

from ..errors import HostCallError
from .drivers import drive_sync, give_up
from .request import READ_BYTES, WRITE_BYTES, HostRequest, Steps, T
from .wire import RequestReader, ResponseWriter, WireError, base_url

_AFTER_CONNECTING = ("read_timeout", "read", "write", "protocol")
Exceptions = Mapping[str, Callable[[str], Exception]]
"""By the code of a failed host call: what makes an exception of its message."""

SOCKET_EXCEPTIONS: Exceptions = {
    "denied": partial(PermissionError, errno.EACCES),
    "connect": partial(ConnectionRefusedError, errno.ECONNREFUSED),
    "certificate": partial(ssl.SSLCertVerificationError, 1),
    "connect_timeout": TimeoutError,
    "read_timeout": TimeoutError,
    "write_timeout": TimeoutError,
    "pool_timeout": TimeoutError,
    "read": partial(ConnectionResetError, errno.ECONNRESET),
    "write": partial(ConnectionResetError, errno.ECONNRESET),
    "protocol": http.client.RemoteDisconnected,
    "bad_request": OSError,
}
"""What a socket would have raised."""


class HostSocket:
    """What a connection of `http.client` uses of a socket: one request after the other goes to one server.

    `timeout` is that for connecting when the request begins, that for reading when its response is waited for. With
    `sends_at_once` there is one timeout for both, and `sendall` raises what went wrong before the server had a request.
    """

    def __init__(
        self, base: str, timeout: object, exceptions: Exceptions = SOCKET_EXCEPTIONS, *, sends_at_once: bool = True
    ) -> None:
        self._base = base
        self._exceptions = exceptions
        self._sends_at_once = sends_at_once
        self._timeout: float | None = None
        self._request: _Request | None = None
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
        if self._request is None or self._request.has_response:
            self._request = _Request(self._base, self._timeout, self._exceptions)
        self._request.send(bytes(data))
        if self._sends_at_once:
            self._request.send_if_complete(self._timeout)

    def makefile(self, mode: str = "rb", *arguments: object, **options: object) -> io.BufferedReader:
        """The response to the request that was sent, as the bytes of HTTP/1.1."""
        if self._request is None or mode != "rb":
            raise OSError("only the response to a request can be read")
        return io.BufferedReader(_ResponseFile(self._request, self), READ_BYTES)

    def close(self) -> None:
        """Give up a request whose response nobody has begun to read; the others end with their response."""
        request, self._request = self._request, None
        if request is not None and not request.has_reader:
            request.close()

    def shutdown(self, how: int) -> None:
        """The same as `close`."""
        self.close()


class _Request:
    """One request and its response, in the bytes of HTTP/1.1 that `http.client` writes and reads."""

    def __init__(self, base: str, connect_seconds: float | None, exceptions: Exceptions) -> None:
        self.has_reader = False
        self.has_response = False
        self._base = base
        self._connect_seconds = connect_seconds
        self._exceptions = exceptions
        self._written = RequestReader()
        self._host_request = HostRequest()
        self._response: ResponseWriter | None = None
        self._failure: HostCallError | None = None

    def send(self, data: bytes) -> None:
        """Take a part of the request; a body that is not small goes on to the host as it comes."""
        written, host_request = self._written, self._host_request
        try:
            written.feed(data)
        except WireError as error:
            raise OSError(errno.EPROTO, f"the request cannot be sent: {error}") from None
        if not written.has_head or written.is_small or host_request.head is not None:
            return
        try:
            if not host_request.stream:
                self._drive(self._opening(None))
            while written.waiting_bytes and host_request.head is None:
                self._drive(host_request.write(written.take(WRITE_BYTES)))
        except HostCallError as error:
            raise self._exception(error) from None

    def send_if_complete(self, read_seconds: float | None) -> None:
        """Send a request whose body is small once it is complete; what fails after that is raised by `receive`."""
        if self._written.is_small and self._written.is_complete and not self._host_request.stream:
            try:
                self._drive(self._opening(read_seconds))
            except HostCallError as error:
                if error.code not in _AFTER_CONNECTING:
                    raise self._exception(error) from None
                self._failure = error

    def receive(self, read_seconds: float | None) -> bytes:
        """The next bytes of the response, b"" at its end."""
        self.has_response = True
        try:
            return self._receive(read_seconds)
        except HostCallError as error:
            if error.code == "protocol" and self._host_request.head is not None:
                # The connection ended too early: http.client sees what is missing, and says it in its own way.
                return b""
            raise self._exception(error) from None

    def _receive(self, read_seconds: float | None) -> bytes:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        host_request = self._host_request
        if self._response is None:
            self._wait_for_head(read_seconds)
            if host_request.head is None:
                return b""
            self._response = ResponseWriter(self._written.method, host_request.head)
            return self._response.head + self._response.body(host_request.take(), eof=host_request.has_ended)
        if not host_request.is_open:
            return b""
        return self._response.body(self._drive(host_request.read()), eof=host_request.has_ended)

    def _wait_for_head(self, read_seconds: float | None) -> None:
        host_request = self._host_request
        if host_request.head is not None:
            return
        if host_request.is_open:
            self._drive(host_request.write(b"", is_last=True, read_seconds=read_seconds))
        elif not host_request.stream:
            if not self._written.is_complete:
                raise OSError(errno.EPROTO, "the response is read before the request was complete")
            self._drive(self._opening(read_seconds))

    def _opening(self, read_seconds: float | None) -> Steps[None]:
        timeout = {"connect": self._connect_seconds, "read": read_seconds}
        return self._written.opening(self._host_request, self._base, timeout)

    def _drive(self, steps: Steps[T]) -> T:
        try:
            return drive_sync(steps)
        except HostCallError:
            raise
        except BaseException:
            self.close()
            raise

    def _exception(self, error: HostCallError) -> Exception:
        return self._exceptions.get(error.code, OSError)(error.message)

    def close(self) -> None:
        """End the request on the host, wherever it is."""
        give_up(self._host_request)


class _ResponseFile(io.RawIOBase):
    """The bytes of one response; reading waits for the first of them only."""

    def __init__(self, request: _Request, connection: HostSocket) -> None:
        super().__init__()
        request.has_reader = True
        self._request = request
        self._socket = connection
        self._data = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._data:
            self._data = memoryview(self._request.receive(self._socket.gettimeout()))
        size = min(len(buffer), len(self._data))
        buffer[:size] = self._data[:size]
        self._data = self._data[size:]
        return size

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._request.close()


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
