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
from types import TracebackType
from typing import Any

import httpx

from ..errors import HostCallError
from ..hostcall import call_sync
from ..loop import host_call
from .exchange import READ_BYTES, WHOLE_BODY_BYTES, next_stream, open_arguments, pieces, places
from .httpx_extensions import NO_NETWORK_STREAM, Trace, exception, head_as_httpcore_has_it

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
        self._open: set[int] = set()

    def _delays(self) -> Iterator[float]:
        """Seconds to wait before each repetition of a failed connection; httpcore's."""
        return itertools.islice(itertools.chain([0.0], (0.5 * 2**power for power in itertools.count())), self._retries)

    def _arguments(self, request: httpx.Request, stream: int, body: str) -> dict[str, object]:
        """The arguments of http.open.

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
        return open_arguments(stream, request.method, full_url, headers, timeout=timeout, body=body)


def _whole_body(request: httpx.Request) -> bytes | None:
    """The body of a request when it is in memory and small, else None: it is streamed."""
    if not isinstance(request.stream, httpx.ByteStream):
        return None
    body = b"".join(request.stream)
    return body if len(body) <= WHOLE_BODY_BYTES else None


def _response(head: dict[str, Any], body: httpx.SyncByteStream | httpx.AsyncByteStream) -> httpx.Response:
    return httpx.Response(
        head["status"],
        headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in head["headers"]],
        stream=body,
        extensions={
            "http_version": head["http_version"].encode("ascii"),
            "reason_phrase": head["reason"].encode("latin-1"),
            "network_stream": NO_NETWORK_STREAM,
        },
    )


class HTTPTransport(_Options, httpx.BaseTransport):
    """Sends the requests of `httpx.Client` through the host; the whole guest waits meanwhile."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the response when its head is there."""
        if self._max_connections is not None and len(self._open) >= self._max_connections:
            raise httpx.PoolTimeout(f"{len(self._open)} responses are open, and the client has no more connections")
        delays = self._delays()
        while True:
            stream = next_stream()
            self._open.add(stream)
            try:
                head, data = self._send(request, stream)
                return _response(head, _SyncBody(self, request, stream, data, eof=head["eof"]))
            except HostCallError as error:
                self._end(stream)
                delay = next(delays, None) if error.code in _WORTH_RETRYING else None
                if delay is None:
                    raise exception(error) from None
            except BaseException:
                self._end(stream, on_host=True)
                raise
            time.sleep(delay)

    def _send(self, request: httpx.Request, stream: int) -> tuple[dict[str, Any], bytes]:
        body, answer = _whole_body(request), None
        with Trace("send_request_headers", request):
            if body is None:
                call_sync("http.open", self._arguments(request, stream, "streamed"))
        with Trace("send_request_body", request):
            if body is None:
                answer = self._send_body(request, stream)
        with Trace("receive_response_headers", request) as trace:
            if body is not None:
                arguments = self._arguments(request, stream, "whole" if body else "none")
                answer = call_sync("http.open", arguments, body)
            elif answer is None:
                answer = call_sync("http.write", {"stream": stream, "end": True})
            assert answer is not None
            trace.return_value = head_as_httpcore_has_it(answer[0])
        return answer

    def _send_body(self, request: httpx.Request, stream: int) -> tuple[dict[str, Any], bytes] | None:
        """Send a body piece by piece; the answer if the server gives it before the end."""
        assert isinstance(request.stream, httpx.SyncByteStream)
        for data in request.stream:
            for piece in pieces(data):
                head, start = call_sync("http.write", {"stream": stream}, piece)
                if head:
                    return head, start
        return None

    def _end(self, stream: int, *, on_host: bool = False) -> None:
        if stream in self._open:
            self._open.discard(stream)
            if on_host:
                call_sync("http.close", {"stream": stream})

    def close(self) -> None:
        """End every response that is still open."""
        for stream in tuple(self._open):
            self._end(stream, on_host=True)

    def __enter__(self) -> HTTPTransport:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()


class _SyncBody(httpx.SyncByteStream):
    """A response body; the host has no more of it in memory than it read ahead."""

    def __init__(
        self, transport: HTTPTransport, request: httpx.Request, stream: int, data: bytes, *, eof: bool
    ) -> None:
        self._transport = transport
        self._request = request
        self._stream = stream
        self._data = data
        self._eof = eof
        if eof:
            transport._end(stream)

    def __iter__(self) -> Iterator[bytes]:
        with Trace("receive_response_body", self._request):
            yield from self._pieces()

    def _pieces(self) -> Iterator[bytes]:
        data, self._data = self._data, b""
        if data:
            yield data
        while not self._eof:
            try:
                reply, data = call_sync("http.read", {"stream": self._stream, "max_bytes": READ_BYTES})
            except HostCallError as error:
                self._transport._end(self._stream)
                raise exception(error) from None
            self._eof = reply["eof"]
            if self._eof:
                self._transport._end(self._stream)
            if data:
                yield data

    def close(self) -> None:
        """End the request, read or not."""
        with Trace("response_closed", self._request):
            self._transport._end(self._stream, on_host=True)


class AsyncHTTPTransport(_Options, httpx.AsyncBaseTransport):
    """Sends the requests of `httpx.AsyncClient` through the host; other tasks run meanwhile."""

    _places: asyncio.Semaphore | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the response when its head is there."""
        await self._take_place(request.extensions.get("timeout", {}).get("pool"))
        delays = self._delays()
        while True:
            stream = next_stream()
            self._open.add(stream)
            try:
                head, data = await self._send(request, stream)
                return _response(head, _AsyncBody(self, request, stream, data, eof=head["eof"]))
            except HostCallError as error:
                self._open.discard(stream)
                delay = next(delays, None) if error.code in _WORTH_RETRYING else None
                if delay is None:
                    self._give_place_back()
                    raise exception(error) from None
            except BaseException:
                self._end(stream, on_host=True)
                raise
            try:
                await asyncio.sleep(delay)
            except BaseException:
                self._give_place_back()
                raise

    async def _take_place(self, seconds: float | None) -> None:
        """Wait for a connection of this client, as httpx does, then for one of those the guest has."""
        if self._max_connections is not None:
            if self._places is None:
                self._places = asyncio.Semaphore(self._max_connections)
            try:
                async with asyncio.timeout(seconds):
                    await self._places.acquire()
            except TimeoutError:
                raise httpx.PoolTimeout(f"all connections of the client in use for {seconds:g} s") from None
        try:
            await places().acquire()
        except BaseException:
            if self._places is not None:
                self._places.release()
            raise

    def _give_place_back(self) -> None:
        places().release()
        if self._places is not None:
            self._places.release()

    async def _send(self, request: httpx.Request, stream: int) -> tuple[dict[str, Any], bytes]:
        body, answer = _whole_body(request), None
        async with Trace("send_request_headers", request):
            if body is None:
                await host_call("http.open", self._arguments(request, stream, "streamed"))
        async with Trace("send_request_body", request):
            if body is None:
                answer = await self._send_body(request, stream)
        async with Trace("receive_response_headers", request) as trace:
            if body is not None:
                arguments = self._arguments(request, stream, "whole" if body else "none")
                answer = await host_call("http.open", arguments, body)
            elif answer is None:
                answer = await host_call("http.write", {"stream": stream, "end": True})
            assert answer is not None
            trace.return_value = head_as_httpcore_has_it(answer[0])
        return answer

    async def _send_body(self, request: httpx.Request, stream: int) -> tuple[dict[str, Any], bytes] | None:
        """Send a body piece by piece; the answer if the server gives it before the end."""
        assert isinstance(request.stream, httpx.AsyncByteStream)
        async for data in request.stream:
            for piece in pieces(data):
                head, start = await host_call("http.write", {"stream": stream}, piece)
                if head:
                    return head, start
        return None

    def _end(self, stream: int, *, on_host: bool = False) -> None:
        if stream in self._open:
            self._open.discard(stream)
            self._give_place_back()
            if on_host:
                # Not an async call: that would go out with the next frame, perhaps after a synchronous request that
                # waits for the place of this one.
                call_sync("http.close", {"stream": stream})

    async def aclose(self) -> None:
        """End every response that is still open."""
        for stream in tuple(self._open):
            self._end(stream, on_host=True)

    async def __aenter__(self) -> AsyncHTTPTransport:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()


class _AsyncBody(httpx.AsyncByteStream):
    """A response body; the host has no more of it in memory than it read ahead."""

    def __init__(
        self, transport: AsyncHTTPTransport, request: httpx.Request, stream: int, data: bytes, *, eof: bool
    ) -> None:
        self._transport = transport
        self._request = request
        self._stream = stream
        self._data = data
        self._eof = eof
        if eof:
            transport._end(stream)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with Trace("receive_response_body", self._request):
            data, self._data = self._data, b""
            if data:
                yield data
            while not self._eof:
                try:
                    reply, data = await host_call("http.read", {"stream": self._stream, "max_bytes": READ_BYTES})
                except HostCallError as error:
                    self._transport._end(self._stream)
                    raise exception(error) from None
                self._eof = reply["eof"]
                if self._eof:
                    self._transport._end(self._stream)
                if data:
                    yield data

    async def aclose(self) -> None:
        """End the request, read or not."""
        async with Trace("response_closed", self._request):
            self._transport._end(self._stream, on_host=True)


def install() -> None:
    """Make these the transports that httpx itself uses and hands out."""
    import httpx._client
    import httpx._transports.default

    for transport in (HTTPTransport, AsyncHTTPTransport):
        transport.__module__ = "httpx"
        for module in (httpx, httpx._client, httpx._transports.default):
            setattr(module, transport.__name__, transport)
