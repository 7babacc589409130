"""The network under the http capability: guarded connections, metered streams, and one pool per kind of connection.

Apart from `http.py` because it imports httpcore, which a process whose statements never reach the network need not pay.
"""

from __future__ import annotations

import asyncio
import functools
import os
import ssl
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import certifi
import h11
import httpcore

from .._hosts import bracketed
from ..result import UsageCounter
from . import HostCallError
from ._pressure import before_read
from .egress import Lookups, Resolver, Target, checked_addresses

KEEPALIVE_SECONDS = 5.0
LONGEST_CONNECT_SECONDS = 60.0

_CODES: tuple[tuple[type[Exception], str], ...] = (
    (httpcore.ConnectTimeout, "connect_timeout"),
    (httpcore.ReadTimeout, "read_timeout"),
    (httpcore.WriteTimeout, "write_timeout"),
    (httpcore.PoolTimeout, "pool_timeout"),
    (httpcore.ConnectError, "connect"),
    (httpcore.ReadError, "read"),
    (httpcore.WriteError, "write"),
    (httpcore.LocalProtocolError, "bad_request"),
    (httpcore.ProtocolError, "protocol"),
    (h11.LocalProtocolError, "bad_request"),
    (h11.RemoteProtocolError, "protocol"),
    (OSError, "read"),
)
_MESSAGES = {
    "connect_timeout": "no connection within the time allowed",
    "read_timeout": "nothing received within the time allowed",
    "write_timeout": "nothing could be sent within the time allowed",
    "read": "the connection broke while receiving",
    "write": "the connection broke while sending",
}
# Source: h11's Connection.next_event, and MAX_INCOMPLETE_EVENT_SIZE of httpcore's connections.
_H11_IN_OUR_WORDS = {
    "Receive buffer too long": "the head of the response, or a line in it, has more than 102,400 bytes"
}


def host_call_error(error: Exception) -> HostCallError | None:
    """What the guest is told about a failure of the network; None if this is no such failure."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), None)
    if code is None:
        return None
    text = str(error) or _MESSAGES.get(code, code)
    return HostCallError(code, _H11_IN_OUR_WORDS.get(text, text))


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


class _MeteredStream(httpcore.AsyncNetworkStream):
    """A connection whose bytes are counted; after `start_tls` those inside TLS are."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, meter: Meter) -> None:
        self._inner = inner
        self._meter = meter
        self._write_failed = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        await before_read.get()()
        try:
            data = await self._inner.read(max_bytes, timeout)
        except httpcore.ReadError:
            if self._write_failed:
                raise httpcore.ReadError("the server closed the connection before it had the whole request") from None
            raise
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
            inner = await self._inner.start_tls(ssl_context, server_hostname, timeout)
        except httpcore.ConnectError as error:
            if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                raise HostCallError(
                    "certificate",
                    f"the certificate of {server_hostname} is not accepted: {error.__cause__.verify_message} "
                    "(certificates are always verified; a private authority is trusted with HttpGrant(ca_file=...))",
                ) from error
            reason = str(error) or "the server closed the connection"
            raise httpcore.ConnectError(f"TLS with {server_hostname} failed: {reason}") from error
        return _MeteredStream(inner, self._meter)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a name once, checks every answer and connects to a checked address, never to a name."""

    def __init__(self, meter: Meter, *, allow_private: bool, lookups: Lookups) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._meter = meter
        self._allow_private = allow_private
        self._lookups = lookups

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        seconds = LONGEST_CONNECT_SECONDS if timeout is None else min(timeout, LONGEST_CONNECT_SECONDS)
        try:
            async with asyncio.timeout(seconds):
                addresses = await checked_addresses(
                    host, port, allow_private=self._allow_private, resolver=self._lookups
                )
                inner = await self._connect_first(host, addresses, port, seconds)
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"no connection to {bracketed(host)}:{port} in {seconds:g} s") from None
        return _MeteredStream(inner, self._meter)

    async def _connect_first(
        self, host: str, addresses: Sequence[str], port: int, seconds: float
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
        raise httpcore.ConnectError(f"connection to {bracketed(host)}:{port} failed: {reason}")

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("Unix sockets are not reachable")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _reason(error: BaseException) -> str:
    """The operating system's word for why a connection failed, without the address."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno)
        cause = cause.__cause__
    return "no connection"


class Network:
    """The connections of one execution: a pool for each kind of grant, so that no request rides on another's.

    Used on one event loop; `aclose` ends every connection.
    """

    def __init__(self, *, http_bytes: int, concurrent: int, usage: UsageCounter, resolver: Resolver | None) -> None:
        self._meter = Meter(http_bytes, usage)
        self._concurrent = concurrent
        self._lookups = Lookups(resolver)
        self._pools: dict[tuple[bool, str | None, bool], httpcore.AsyncConnectionPool] = {}

    async def pool(self, target: Target) -> httpcore.AsyncConnectionPool:
        """The pool that serves this target.

        SECURITY: what a connection was allowed to reach and whom it trusts is part of the key.
        """
        tls = target.scheme == "https"
        key = (target.allow_private, target.ca_file if tls else None, tls)
        context = await asyncio.to_thread(_ssl_context, target.ca_file) if tls and key not in self._pools else None
        if key not in self._pools:
            self._pools[key] = httpcore.AsyncConnectionPool(
                ssl_context=context,
                max_connections=self._concurrent,
                max_keepalive_connections=self._concurrent,
                keepalive_expiry=KEEPALIVE_SECONDS,
                network_backend=_GuardedBackend(self._meter, allow_private=target.allow_private, lookups=self._lookups),
            )
        return self._pools[key]

    async def aclose(self) -> None:
        """Close every connection."""
        pools = list(self._pools.values())
        self._pools.clear()
        for pool in pools:
            await pool.aclose()
        await self._lookups.aclose()


def _ssl_context(ca_file: str | None) -> ssl.SSLContext:
    """A verifying context that trusts the roots of the grant, else the system's.

    Raises:
        HostCallError: "connect", the file was there when the grant was made and cannot be loaded any more.
    """
    if ca_file is None:
        return _system_context()
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError:
        raise HostCallError("connect", "the ca_file of the grant cannot be loaded") from None


@functools.cache
def _system_context() -> ssl.SSLContext:
    """A verifying context with the system's roots, or certifi's on a machine without any; takes tens of ms."""
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    folder = Path(paths.capath or os.devnull)
    if not paths.cafile and not (folder.is_dir() and any(entry.suffix == ".0" for entry in folder.iterdir())):
        context.load_verify_locations(cafile=certifi.where())
    return context
