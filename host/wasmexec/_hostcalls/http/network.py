"""The network under the http capability: which connections a request may use, and one pool per kind of connection.

Apart from `http.py` because it imports httpcore, which a process whose statements never reach the network need not pay.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any, TypeAlias

import anyio
import h11
import httpcore

from ..._net.addresses import is_address
from ..._net.tls import TlsFileError, TlsFiles, client_context
from ...proxy import Proxy, ProxyServer
from ..error import HostCallError
from ..share import in_thread
from ..usage import UsageCounter
from .brokered import BrokeredBackend
from .connections import Backend, Meter, guarded
from .connector import connector_in_use
from .egress import MAX_ADDRESSES, Lookups, Resolver, Target, check_unresolved
from .proxies import ForwardingPool, ProxyConnector, TunnelBackend

KEEPALIVE_SECONDS = 5.0

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


def load_backend() -> None:
    """Have anyio import its part for asyncio, which it does at first use."""
    anyio.run(anyio.sleep, 0)


_Key: TypeAlias = "tuple[ProxyServer | None, bool, TlsFiles | None]"


class Network:
    """The connections of one execution: a pool for each kind of grant, so that no request rides on another's.

    Used on one event loop; `aclose` ends every connection.
    """

    def __init__(
        self,
        *,
        http_bytes: int,
        concurrent: int,
        usage: UsageCounter,
        resolver: Resolver | None,
        ca_file: str | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        self._meter = Meter(http_bytes, usage)
        self._concurrent = concurrent
        self._lookups = Lookups(resolver)
        # The proxy's name is the operator's, who may mean one of this machine's own.
        self._proxy_lookups = Lookups()
        self._ca_file = ca_file
        self._proxy = proxy
        self._pools: dict[_Key, httpcore.AsyncConnectionPool] = {}

    async def pool(self, target: Target) -> httpcore.AsyncConnectionPool:
        """The pool that serves this target.

        SECURITY: what a connection was allowed to reach, whom it trusts and as whom it speaks is part of the key.

        Raises:
            HostCallError: "denied", the proxy may not be asked for it; "connect", a file for TLS cannot be loaded.
        """
        server = None
        if self._proxy is not None:
            server = self._proxy.server_for(target.scheme, target.host, target.port)
        if server is not None:
            check_unresolved(target.host, target.port, allow_private=target.allow_private)
        files = self._files(target.tls) if target.scheme == "https" else None
        # Through a proxy nobody is connected to but the proxy: what it may be asked for was checked above, each time.
        key = (server, target.allow_private and server is None, files)
        if key not in self._pools:
            context = None if files is None else await _context(files)
            connector = None if server is None else await self._connector(server)
            # Meanwhile another request may have made it.
            if key not in self._pools:
                self._pools[key] = self._make(target, context, connector)
        return self._pools[key]

    async def aclose(self) -> None:
        """Close every connection."""
        pools = list(self._pools.values())
        self._pools.clear()
        for pool in pools:
            await pool.aclose()
        await self._lookups.aclose()
        await self._proxy_lookups.aclose()

    def _files(self, files: TlsFiles) -> TlsFiles:
        return files if files.ca_file is not None else files._replace(extra_ca_file=self._ca_file)

    async def _connector(self, server: ProxyServer) -> ProxyConnector:
        files = TlsFiles(extra_ca_file=self._ca_file)
        return ProxyConnector(
            server,
            Backend(self._meter, self._proxy_addresses, "the proxy"),
            await _context(files) if server.scheme == "https" else None,
            self._meter,
        )

    async def _proxy_addresses(self, host: str, port: int) -> Sequence[str]:
        """Where the proxy is, on whatever network: the operator chose it, not the statement."""
        try:
            return [host] if is_address(host) else (await self._proxy_lookups(host, port))[:MAX_ADDRESSES]
        except OSError:
            raise HostCallError("connect", "the name of the proxy does not resolve") from None

    def _make(
        self, target: Target, context: ssl.SSLContext | None, connector: ProxyConnector | None
    ) -> httpcore.AsyncConnectionPool:
        options: dict[str, Any] = {
            "max_connections": self._concurrent,
            "max_keepalive_connections": self._concurrent,
            "keepalive_expiry": KEEPALIVE_SECONDS,
        }
        if connector is None:
            return httpcore.AsyncConnectionPool(ssl_context=context, network_backend=self._backend(target), **options)
        if context is None:
            return ForwardingPool(connector, **options)
        return httpcore.AsyncConnectionPool(ssl_context=context, network_backend=TunnelBackend(connector), **options)

    def _backend(self, target: Target) -> Backend:
        maker = connector_in_use()
        if maker is not None:
            return BrokeredBackend(self._meter, maker, allow_private=target.allow_private)
        return Backend(self._meter, guarded(self._lookups, allow_private=target.allow_private))


async def _context(files: TlsFiles) -> ssl.SSLContext:
    """A verifying context, made in a thread: reading all authorities takes tens of ms.

    Raises:
        HostCallError: "connect", a file was there when the grant was made and cannot be loaded any more; its name and
            the reason are the host's business.
    """
    try:
        return await in_thread(client_context, files)
    except TlsFileError as error:
        owner = "of the host" if error.what.startswith("SSL_") else "of the grant"
        raise HostCallError("connect", f"the {error.what} {owner} cannot be loaded") from None
