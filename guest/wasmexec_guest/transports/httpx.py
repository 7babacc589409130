"""httpx's own transports over the host: every request is one host call, and bodies stream through further ones.

Everything above the transport is the real httpx: clients, redirects, cookies, authentication, decompression. The host
keeps the connections, verifies certificates and speaks HTTP/1.1; `verify`, `trust_env` and the keep-alive limits are
accepted and change nothing, what would need a connection of the guest's own is refused. The extension `trace` hears of
requests and responses as httpcore tells it (`http11.*`), not of connections; `network_stream` says that it is none.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import httpx

from ..errors import HostCallError
from .drivers import drive_async, drive_sync, give_up
from .httpx_extensions import NO_NETWORK_STREAM, Head, Trace, exception, head_as_httpcore_has_it
from .request import WHOLE_BODY_BYTES, HostRequest, Steps
from .slots import slots

_WORTH_RETRYING = ("connect", "connect_timeout")

_DEFAULT_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20)


class _Options:
    """What both transports are made with, in httpx's own order."""

    def __init__(
        self,
        verify: Any = True,
        cert: Any = None,
        http1: bool = True,
        http2: bool = False,
        limits: httpx.Limits = _DEFAULT_LIMITS,
        trust_env: bool = True,
        proxy: Any = None,
        uds: str | None = None,
        local_address: str | None = None,
        retries: int = 0,
        socket_options: Iterable[Any] | None = None,
    ) -> None:
        unavailable = {
            "cert": cert,
            "proxy": proxy,
            "uds": uds,
            "local_address": local_address,
            "socket_options": socket_options,
            "http1=False": not http1,
        }
        for name, value in unavailable.items():
            if value:
                raise NotImplementedError(f"httpx: {name} is not available here, the host makes the connections itself")
        self._retries = retries
        self._max_connections = limits.max_connections
        self._open: set[HostRequest] = set()

    def _delays(self) -> Iterator[float]:
        """Seconds to wait before each repetition of a failed connection; httpcore's."""
        return itertools.islice(itertools.chain([0.0], (0.5 * 2**power for power in itertools.count())), self._retries)

    def _opening(self, request: httpx.Request, host_request: HostRequest, body: bytes | None) -> Steps[None]:
        """The beginning of a request; its body is streamed if it is None.

        Raises:
            UnsupportedProtocol: neither http nor https.
            LocalProtocolError: another server name for TLS than the URL's.
        """
        url = request.url
        if not url.scheme:
            raise httpx.UnsupportedProtocol("Request URL is missing an 'http://' or 'https://' protocol.")
        if url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol(f"Request URL has an unsupported protocol '{url.scheme}://'.")
        if request.extensions.get("sni_hostname", url.host) != url.host:
            raise httpx.LocalProtocolError("the extension sni_hostname can only name the host of the URL")
        full_url = f"{url.scheme}://{url.netloc.decode('ascii')}{url.raw_path.decode('ascii')}"
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        timeout = request.extensions.get("timeout", {})
        return host_request.open(request.method, full_url, headers, timeout=timeout, body=body)


def _whole_body(request: httpx.Request) -> bytes | None:
    """The body of a request when it is in memory and small, else None: it is streamed."""
    if not isinstance(request.stream, httpx.ByteStream):
        return None
    body = b"".join(request.stream)
    return body if len(body) <= WHOLE_BODY_BYTES else None


def _response(head: Head, body: httpx.SyncByteStream | httpx.AsyncByteStream) -> httpx.Response:
    version, status, reason, headers = head
    extensions = {"http_version": version, "reason_phrase": reason, "network_stream": NO_NETWORK_STREAM}
    return httpx.Response(status, headers=headers, stream=body, extensions=extensions)


class _Body:
    """A response body; the host has no more of it in memory than it read ahead."""

    def __init__(
        self, transport: HTTPTransport | AsyncHTTPTransport, request: httpx.Request, host_request: HostRequest
    ) -> None:
        self._transport = transport
        self._request = request
        self._host_request = host_request
        if host_request.has_ended:
            transport._end(host_request)


class HTTPTransport(_Options, httpx.BaseTransport):
    """Sends the requests of `httpx.Client` through the host; the whole guest waits meanwhile."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the response when its head is there."""
        if self._max_connections is not None and len(self._open) >= self._max_connections:
            raise httpx.PoolTimeout(f"{len(self._open)} responses are open, and the client has no more connections")
        delays = self._delays()
        while True:
            host_request = HostRequest()
            self._open.add(host_request)
            try:
                head = self._send(request, host_request)
                return _response(head, _SyncBody(self, request, host_request))
            except HostCallError as error:
                self._end(host_request)
                delay = next(delays, None) if error.code in _WORTH_RETRYING else None
                if delay is None:
                    raise exception(error) from None
            except BaseException:
                self._end(host_request)
                raise
            time.sleep(delay)

    def _send(self, request: httpx.Request, host_request: HostRequest) -> Head:
        body = _whole_body(request)
        with Trace("send_request_headers", request):
            if body is None:
                drive_sync(self._opening(request, host_request, None))
        with Trace("send_request_body", request):
            if body is None:
                assert isinstance(request.stream, httpx.SyncByteStream)
                for data in request.stream:
                    drive_sync(host_request.write(data))
                    if host_request.head is not None:
                        break
        with Trace("receive_response_headers", request) as trace:
            if body is None:
                drive_sync(host_request.write(b"", is_last=True))
            else:
                drive_sync(self._opening(request, host_request, body))
            assert host_request.head is not None
            trace.return_value = head = head_as_httpcore_has_it(host_request.head)
        return head

    def _read(self, host_request: HostRequest) -> bytes:
        try:
            return drive_sync(host_request.read())
        except HostCallError as error:
            raise exception(error) from None
        finally:
            if not host_request.is_open:
                self._end(host_request)

    def _end(self, host_request: HostRequest) -> None:
        self._open.discard(host_request)
        give_up(host_request)

    def close(self) -> None:
        """End every response that is still open."""
        for host_request in tuple(self._open):
            self._end(host_request)


class _SyncBody(_Body, httpx.SyncByteStream):
    _transport: HTTPTransport

    def __iter__(self) -> Iterator[bytes]:
        with Trace("receive_response_body", self._request):
            if data := self._host_request.take():
                yield data
            while not self._host_request.has_ended:
                if data := self._transport._read(self._host_request):
                    yield data

    def close(self) -> None:
        """End the request, read or not."""
        with Trace("response_closed", self._request):
            self._transport._end(self._host_request)


class AsyncHTTPTransport(_Options, httpx.AsyncBaseTransport):
    """Sends the requests of `httpx.AsyncClient` through the host; other tasks run meanwhile."""

    _connections: asyncio.Semaphore | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the response when its head is there."""
        await self._take_slot(request.extensions.get("timeout", {}).get("pool"))
        delays = self._delays()
        while True:
            host_request = HostRequest()
            self._open.add(host_request)
            try:
                head = await self._send(request, host_request)
                return _response(head, _AsyncBody(self, request, host_request))
            except HostCallError as error:
                self._open.discard(host_request)
                delay = next(delays, None) if error.code in _WORTH_RETRYING else None
                if delay is None:
                    self._give_slot_back()
                    raise exception(error) from None
            except BaseException:
                self._end(host_request)
                raise
            try:
                await asyncio.sleep(delay)
            except BaseException:
                self._give_slot_back()
                raise

    async def _take_slot(self, seconds: float | None) -> None:
        """Wait for a connection of this client, as httpx does, then for a slot of those the guest has."""
        if self._max_connections is not None:
            if self._connections is None:
                self._connections = asyncio.Semaphore(self._max_connections)
            try:
                async with asyncio.timeout(seconds):
                    await self._connections.acquire()
            except TimeoutError:
                raise httpx.PoolTimeout(f"all connections of the client in use for {seconds:g} s") from None
        try:
            await slots().acquire()
        except BaseException:
            if self._connections is not None:
                self._connections.release()
            raise

    def _give_slot_back(self) -> None:
        slots().release()
        if self._connections is not None:
            self._connections.release()

    async def _send(self, request: httpx.Request, host_request: HostRequest) -> Head:
        body = _whole_body(request)
        async with Trace("send_request_headers", request):
            if body is None:
                await drive_async(self._opening(request, host_request, None))
        async with Trace("send_request_body", request):
            if body is None:
                assert isinstance(request.stream, httpx.AsyncByteStream)
                async for data in request.stream:
                    await drive_async(host_request.write(data))
                    if host_request.head is not None:
                        break
        async with Trace("receive_response_headers", request) as trace:
            if body is None:
                await drive_async(host_request.write(b"", is_last=True))
            else:
                await drive_async(self._opening(request, host_request, body))
            assert host_request.head is not None
            trace.return_value = head = head_as_httpcore_has_it(host_request.head)
        return head

    async def _read(self, host_request: HostRequest) -> bytes:
        try:
            return await drive_async(host_request.read())
        except HostCallError as error:
            raise exception(error) from None
        finally:
            if not host_request.is_open:
                self._end(host_request)

    def _end(self, host_request: HostRequest) -> None:
        if host_request in self._open:
            self._open.discard(host_request)
            self._give_slot_back()
            give_up(host_request)

    async def aclose(self) -> None:
        """End every response that is still open."""
        for host_request in tuple(self._open):
            self._end(host_request)


class _AsyncBody(_Body, httpx.AsyncByteStream):
    _transport: AsyncHTTPTransport

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with Trace("receive_response_body", self._request):
            if data := self._host_request.take():
                yield data
            while not self._host_request.has_ended:
                if data := await self._transport._read(self._host_request):
                    yield data

    async def aclose(self) -> None:
        """End the request, read or not."""
        async with Trace("response_closed", self._request):
            self._transport._end(self._host_request)


def install() -> None:
    """Make these the transports that httpx itself uses and hands out."""
    import httpx._client
    import httpx._transports.default

    for transport in (HTTPTransport, AsyncHTTPTransport):
        transport.__module__ = "httpx"
        for module in (httpx, httpx._client, httpx._transports.default):
            setattr(module, transport.__name__, transport)
