"""Connections of one execution: made to addresses that were checked, or to a proxy; their bytes are counted."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeAlias

import httpcore

from ..._net.addresses import bracketed
from ..error import HostCallError
from ..share import take_turn
from ..usage import UsageCounter
from .egress import Lookups, checked_addresses
from .pressure import reader

LONGEST_CONNECT_SECONDS = 60.0
# Source: RFC 8446 6.2 (certificate_required) and what servers send for a certificate that they do not take.
_CERTIFICATE_ALERTS = ("ALERT_CERTIFICATE_", "ALERT_BAD_CERTIFICATE", "ALERT_UNKNOWN_CA", "ALERT_ACCESS_DENIED")

FindAddresses: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]


class Meter:
    """Counts the bytes of one execution on all its connections and stops each direction at the limit."""

    def __init__(self, limit: int, usage: UsageCounter) -> None:
        self._limit = limit
        self._usage = usage

    def sending(self, count: int) -> None:
        """Count bytes about to be sent.

        Raises:
            HostCallError: "limit".
        """
        if self._usage.http_bytes_sent + count > self._limit:
            raise HostCallError("limit", f"more than {self._limit:,} bytes sent over HTTP (limit http_bytes)")
        self._usage.http_bytes_sent += count

    def received(self, count: int) -> None:
        """Count bytes received.

        Raises:
            HostCallError: "limit".
        """
        self._usage.http_bytes_received += count
        if self._usage.http_bytes_received > self._limit:
            raise HostCallError("limit", f"more than {self._limit:,} bytes received over HTTP (limit http_bytes)")


class MeteredStream(httpcore.AsyncNetworkStream):
    """A connection whose bytes are counted; after `start_tls` those inside TLS are."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, meter: Meter, server_hostname: str | None = None) -> None:
        self._inner = inner
        self._meter = meter
        self._server_hostname = server_hostname
        self._write_failed = False
        self._has_received = False
        self._unparsed = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        request = reader.get()
        await request.room()
        data = self._unparsed or await self._receive(max_bytes, timeout)
        await take_turn()
        size = request.piece(data)
        self._unparsed = data[size:]
        return data[:size]

    async def _receive(self, max_bytes: int, timeout: float | None) -> bytes:
        try:
            data = await self._inner.read(max_bytes, timeout)
        except httpcore.ReadError:
            if self._write_failed:
                raise httpcore.ReadError("the server closed the connection before it had the whole request") from None
            if self._server_hostname is not None and not self._has_received:
                # The alert that says so is lost when the server's closing resets the connection.
                raise httpcore.ReadError(
                    f"{self._server_hostname} broke the connection before it answered, as servers do that want a "
                    "certificate of the client (--client-cert HOST=FILE or HttpGrant(client_cert=...))"
                ) from None
            raise
        except ssl.SSLError as error:
            # With TLS 1.3 a server says only after the handshake what it thinks of the client.
            raise _tls_failure(error, self._server_hostname) from error
        self._has_received = True
        self._meter.received(len(data))
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._meter.sending(len(buffer))
        try:
            await self._inner.write(buffer, timeout)
        except httpcore.WriteError:
            # httpcore goes on to read: the server may have answered before it closed.
            self._write_failed = True
            raise

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            await take_turn()
            inner = await self._inner.start_tls(ssl_context, server_hostname, timeout)
        except BaseException as error:
            # httpcore does that for errors, and not for a cancellation.
            await self._inner.aclose()
            if not isinstance(error, httpcore.ConnectError):
                raise
            if isinstance(error.__cause__, ssl.SSLError):
                raise _tls_failure(error.__cause__, server_hostname) from error
            reason = str(error) or "the server closed the connection"
            raise httpcore.ConnectError(f"TLS with {server_hostname} failed: {reason}") from error
        return MeteredStream(inner, self._meter, server_hostname)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable" and self._unparsed:
            # More than the response that was asked for: httpcore gives such a connection up.
            return True
        return self._inner.get_extra_info(info)


class Backend(httpcore.AsyncNetworkBackend):
    """Connects to one of the addresses that `find_addresses` gives for a host, never to a name.

    `called` is how messages call every host; None: as it is.
    """

    def __init__(self, meter: Meter, find_addresses: FindAddresses, called: str | None = None) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._meter = meter
        self._find_addresses = find_addresses
        self._called = called

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        seconds = LONGEST_CONNECT_SECONDS if timeout is None else min(timeout, LONGEST_CONNECT_SECONDS)
        return MeteredStream(await self.connect(host, port, seconds), self._meter)

    async def connect(self, host: str, port: int, seconds: float) -> httpcore.AsyncNetworkStream:
        """A connection whose bytes are not counted.

        Raises:
            HostCallError: no address is found, or one of them is refused.
            httpcore.ConnectError, httpcore.ConnectTimeout: none of them answers.
        """
        shown = self._called or f"{bracketed(host)}:{port}"
        try:
            async with asyncio.timeout(seconds):
                addresses = await self._find_addresses(host, port)
                return await self._connect_first(shown, addresses, port, seconds)
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"no connection to {shown} in {seconds:g} s") from None

    async def _connect_first(
        self, shown: str, addresses: Sequence[str], port: int, seconds: float
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that answers; each but the last has its share of the time left."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        reasons = []
        for position, address in enumerate(addresses):
            untried = len(addresses) - position
            share = None if untried == 1 else (deadline - loop.time()) / untried
            try:
                return await self._inner.connect_tcp(address, port, share)
            except httpcore.ConnectTimeout:
                reasons.append("timed out")
            except httpcore.ConnectError as error:
                reasons.append(_reason(error))
        reason = ", ".join(dict.fromkeys(reasons))
        raise httpcore.ConnectError(f"connection to {shown} failed: {reason}")

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("Unix sockets are not reachable")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _tls_failure(error: ssl.SSLError, server_hostname: str | None) -> Exception:
    if isinstance(error, ssl.SSLCertVerificationError):
        return HostCallError(
            "certificate",
            f"the certificate of {server_hostname} is not accepted: {error.verify_message} (certificates are always "
            "verified; a private authority is trusted with --ca-file FILE or HttpGrant(ca_file=...))",
        )
    if any(alert in (error.reason or "") for alert in _CERTIFICATE_ALERTS):
        return HostCallError(
            "certificate",
            f"{server_hostname} wants a certificate of the client, or another one than it got: "
            "--client-cert HOST=FILE or HttpGrant(client_cert=...)",
        )
    return httpcore.ConnectError(f"TLS with {server_hostname} failed: {error}")


def guarded(lookups: Lookups, *, allow_private: bool) -> FindAddresses:
    """The addresses of a granted host, each of them checked."""

    async def find(host: str, port: int) -> Sequence[str]:
        return await checked_addresses(host, port, allow_private=allow_private, resolver=lookups)

    return find


def _reason(error: BaseException) -> str:
    """The operating system's word for why a connection failed, without the address."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno)
        cause = cause.__cause__
    return "no connection"
