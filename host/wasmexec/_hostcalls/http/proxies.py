"""Requests through an HTTP proxy: forwarded by it (http), or through a tunnel that it makes (https).

SECURITY: the proxy alone has its credentials, the server behind it never sees them, the guest neither; what the proxy
says about itself reaches the guest as a number only.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import h11
import httpcore

from ..._net.addresses import bracketed
from ...proxy import ProxyServer
from ..error import HostCallError
from .connections import LONGEST_CONNECT_SECONDS, Backend, Meter, MeteredStream

MAX_ANSWER_BYTES = 64 * 1024
_READ_BYTES = 16 * 1024


class ProxyConnector:
    """Makes connections to one proxy, with TLS if it wants that."""

    def __init__(self, server: ProxyServer, backend: Backend, context: ssl.SSLContext | None, meter: Meter) -> None:
        self.server = server
        self.meter = meter
        self._backend = backend
        self._context = context

    @property
    def authorization(self) -> list[tuple[bytes, bytes]]:
        """The header that tells the proxy who we are, if it is to know."""
        if self.server.user is None:
            return []
        plain = f"{self.server.user}:{self.server.password}".encode()
        return [(b"Proxy-Authorization", b"Basic " + base64.b64encode(plain))]

    async def connect(self, seconds: float) -> httpcore.AsyncNetworkStream:
        """A connection to the proxy, its bytes not counted."""
        stream = await self._backend.connect(self.server.host, self.server.port, seconds)
        if self._context is None:
            return stream
        try:
            return await stream.start_tls(self._context, self.server.host, seconds)
        except BaseException as error:
            await stream.aclose()
            if not isinstance(error, httpcore.ConnectError):
                raise
            if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                reason = error.__cause__.verify_message
                raise HostCallError("certificate", f"the certificate of the proxy is not accepted: {reason}") from error
            raise httpcore.ConnectError("TLS with the proxy failed") from error


class _ProxyBackend(httpcore.AsyncNetworkBackend):
    """What is connected to is the proxy."""

    def __init__(self, connector: ProxyConnector) -> None:
        self._connector = connector

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        seconds = LONGEST_CONNECT_SECONDS if timeout is None else min(timeout, LONGEST_CONNECT_SECONDS)
        shown = f"{bracketed(host)}:{port}"
        try:
            async with asyncio.timeout(seconds):
                stream = await self._connector.connect(seconds)
                try:
                    await self._prepare(stream, shown)
                except BaseException:
                    await stream.aclose()
                    raise
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"no connection to {shown} through the proxy in {seconds:g} s") from None
        return MeteredStream(stream, self._connector.meter)

    async def _prepare(self, stream: httpcore.AsyncNetworkStream, authority: str) -> None:
        """Nothing has to be said before the first request."""

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("Unix sockets are not reachable")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class TunnelBackend(_ProxyBackend):
    """Has the proxy connect to the server (HTTP CONNECT): what goes through then is between the host and the server."""

    async def _prepare(self, stream: httpcore.AsyncNetworkStream, authority: str) -> None:
        talk = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_ANSWER_BYTES)
        headers = [(b"Host", authority.encode("ascii")), *self._connector.authorization]
        data = talk.send(h11.Request(method=b"CONNECT", target=authority.encode("ascii"), headers=headers))
        event: Any = h11.NEED_DATA
        try:
            await stream.write((data or b"") + (talk.send(h11.EndOfMessage()) or b""))
            while event is h11.NEED_DATA or isinstance(event, h11.InformationalResponse):
                if event is h11.NEED_DATA:
                    received = await stream.read(_READ_BYTES)
                    if not received:
                        break
                    talk.receive_data(received)
                event = talk.next_event()
        except h11.RemoteProtocolError:
            raise HostCallError("protocol", f"the proxy gave no answer to CONNECT {authority}") from None
        except (httpcore.ReadError, httpcore.WriteError):
            event = h11.NEED_DATA
        if not isinstance(event, h11.Response):
            raise HostCallError("connect", f"the proxy closed the connection instead of connecting to {authority}")
        if not 200 <= event.status_code <= 299:
            raise _refused(event.status_code, f"to connect to {authority}")
        if talk.trailing_data[0]:
            raise HostCallError("protocol", "the proxy sent something before the server could")


class ForwardingPool(httpcore.AsyncConnectionPool):
    """Has the proxy perform each request, named by its whole URL; any request may use any connection to the proxy."""

    def __init__(self, connector: ProxyConnector, **options: Any) -> None:
        super().__init__(network_backend=_ProxyBackend(connector), **options)
        self._connector = connector

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Perform a request to an http URL.

        Raises:
            HostCallError: the proxy wants to know who we are.
        """
        url, server = request.url, self._connector.server
        authority = bracketed(url.host.decode("ascii")) + ("" if url.port in (None, 80) else f":{url.port}")
        response = await super().handle_async_request(
            httpcore.Request(
                request.method,
                # TLS with the proxy is the backend's.
                httpcore.URL(
                    scheme="http", host=server.host, port=server.port,
                    target=b"http://" + authority.encode("ascii") + url.target,
                ),
                headers=[*request.headers, *self._connector.authorization],
                content=request.stream,
                extensions=request.extensions,
            )
        )  # fmt: skip
        if response.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            await response.aclose()
            raise _refused(response.status, f"a request to {authority}")
        return response


def _refused(status: int, what: str) -> HostCallError:
    known = next((f" {item.phrase}" for item in HTTPStatus if item == status), "")
    return HostCallError("connect", f"the proxy refused {what}: {status}{known}")
