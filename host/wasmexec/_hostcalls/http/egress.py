"""The egress policy: which requests are granted, and which addresses a granted host may turn out to be.

Every request is checked twice: its URL against the grants before anything happens, and every address that its host
resolves to before anything is connected.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..._net.addresses import address_kind, bracketed, is_address, is_reachable, name_kind, normalise_host
from ..._net.tls import TlsFiles
from ...grants import HttpGrant
from ..error import HostCallError
from .resolver import shared_resolver

MAX_URL_CHARACTERS = 65_536
MAX_ADDRESSES = 8
MAX_LOOKUPS = 2
DEFAULT_PORT = {"http": 80, "https": 443}

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

# SECURITY: nothing but what stands here gets through, so no parser after this one can read the URL differently: no
# userinfo, no fragment, no space, no control or non-ASCII character, no backslash before the path.
_URL = re.compile(
    r"(?P<scheme>[a-zA-Z]+)://(?P<host>\[[0-9a-fA-F:.%]*\]|[^\[\]:/?#@\\]*)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>[/?][\x21\x22\x24-\x7e]*)?"
)
_SHOWN = re.compile(r"[\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class Target:
    """A granted request's destination: `host` normalised, `path` the request target as it goes on the wire."""

    scheme: str
    host: str
    port: int
    path: bytes
    allow_private: bool
    tls: TlsFiles

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        return bracketed(self.host) + ("" if self.port == DEFAULT_PORT[self.scheme] else f":{self.port}")


class EgressPolicy:
    """Decides which requests the grants of one execution permit; what any grant permits is permitted."""

    def __init__(self, grants: Sequence[HttpGrant]) -> None:
        self._grants = tuple(grants)

    def target(self, method: str, url: str) -> Target:
        """Where a granted request goes.

        Raises:
            HostCallError: "bad_request", the URL is not one of http or https in plain spelling; "denied", no grant
                covers its host, port and method.
        """
        if len(url) > MAX_URL_CHARACTERS:
            raise HostCallError("bad_request", f"the URL is longer than {MAX_URL_CHARACTERS:,} characters")
        match = _URL.fullmatch(url)
        if match is None:
            raise HostCallError("bad_request", f"not a plain http or https URL: {_shown(url)}")
        scheme = match["scheme"].lower()
        if scheme not in DEFAULT_PORT:
            raise HostCallError("bad_request", f"only http and https can be requested, not {scheme}")
        port = int(match["port"] or DEFAULT_PORT[scheme])
        if not 1 <= port <= 65_535:
            raise HostCallError("bad_request", f"port {port} does not exist")
        try:
            host = normalise_host(match["host"])
        except ValueError as error:
            raise HostCallError("denied", f"HTTP to {_shown(match['host'])} is refused: it {error}") from None
        target = match["target"] or "/"
        path = target if target.startswith("/") else "/" + target
        matching = self._matching(method, scheme, host, port)
        return Target(
            scheme, host, port, path.encode("ascii"),
            allow_private=any(grant.allow_private for grant in matching),
            tls=_tls_files(matching),
        )  # fmt: skip

    def _matching(self, method: str, scheme: str, host: str, port: int) -> list[HttpGrant]:
        for_host = [grant for grant in self._grants if grant.covers_host(host)]
        for_port = [grant for grant in for_host if port in grant.ports]
        for_scheme = [grant for grant in for_port if scheme in grant.schemes]
        matching = [grant for grant in for_scheme if method in grant.methods]
        if matching:
            return matching
        where = bracketed(host)
        if not for_host:
            text = where if port in DEFAULT_PORT.values() else f"{where}:{port}"
            raise HostCallError("denied", f"HTTP to {text} is not granted: {_how_to_grant(text)}")
        if not for_port:
            ports = ", ".join(str(port) for grant in for_host for port in grant.ports)
            raise HostCallError(
                "denied",
                f"HTTP to {where} is granted on port {ports} only, not on {port}: {_how_to_grant(f'{where}:{port}')}",
            )
        url = f"{scheme}://{where}" + ("" if port == DEFAULT_PORT[scheme] else f":{port}")
        if not for_scheme:
            raise HostCallError("denied", f"HTTP to {url} is not granted: {_how_to_widen(url, for_port)}")
        methods = ", ".join(dict.fromkeys(method for grant in for_scheme for method in grant.methods))
        raise HostCallError(
            "denied",
            f"HTTP {method} to {where} is not granted, only {methods}: {_how_to_widen(f'{method} {url}', for_scheme)}",
        )


def _tls_files(matching: Sequence[HttpGrant]) -> TlsFiles:
    """The files of the grants that permit a request, the exact ones before wildcards."""
    exact_first = sorted(matching, key=lambda grant: grant.host.startswith("*."))
    ca_file = next((str(grant.ca_file) for grant in exact_first if grant.ca_file is not None), None)
    for grant in exact_first:
        if grant.client_cert is not None:
            key = None if grant.client_key is None else str(grant.client_key)
            return TlsFiles(ca_file, client_cert=str(grant.client_cert), client_key=key)
    return TlsFiles(ca_file)


def _how_to_grant(text: str) -> str:
    return f'allow it with --allow-http {text} or Grants(http=["{text}"])'


def _how_to_widen(text: str, grants: Sequence[HttpGrant]) -> str:
    private = any(grant.allow_private for grant in grants)
    option, field = ("--allow-private", ", allow_private=True") if private else ("--allow-http", "")
    return f'allow it with {option} "{text}" or HttpGrant.parse("{text}"{field})'


def _shown(text: str) -> str:
    """A hostile text on one line; it is cut once secrets are masked in it."""
    return text if _SHOWN.fullmatch(text) else ascii(text)


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host name, as the operating system resolves it.

    Raises:
        OSError: the name does not resolve.
    """
    return await shared_resolver()(host, port)


class Lookups:
    """The name lookups of one execution, few at a time.

    SECURITY: a lookup takes a thread of the process until the operating system gives up, however soon the statement
    does. One that was given up therefore still counts, or names that never resolve would take every thread there is.
    """

    def __init__(self, resolver: Resolver | None = None) -> None:
        self._resolver = resolver
        self._free = asyncio.Semaphore(MAX_LOOKUPS)
        self._running: set[asyncio.Future[Sequence[str]]] = set()

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a name; see `resolve`."""
        await self._free.acquire()
        lookup = asyncio.ensure_future((self._resolver or resolve)(host, port))
        self._running.add(lookup)
        lookup.add_done_callback(self._ended)
        return await asyncio.shield(lookup)

    async def aclose(self) -> None:
        """Give up what is still running."""
        for lookup in self._running:
            lookup.cancel()
        if self._running:
            await asyncio.wait(self._running)

    def _ended(self, lookup: asyncio.Future[Sequence[str]]) -> None:
        self._running.discard(lookup)
        self._free.release()
        if not lookup.cancelled():
            lookup.exception()  # or asyncio complains when nobody waits for it any more


def check_unresolved(host: str, port: int, *, allow_private: bool) -> None:
    """Check a normalised host that a proxy is going to resolve.

    SECURITY: only the proxy sees to which address a name leads, so what is left to be checked here is an address that
    is written out, and the names that mean the proxy's own machine or the metadata service of its cloud.

    Raises:
        HostCallError: "denied".
    """
    kind = address_kind(host) if is_address(host) else name_kind(host)
    if not is_reachable(kind, allow_private=allow_private, granted_by_address=is_address(host)):
        raise HostCallError("denied", _refusal(host, port, str(kind)))


async def checked_addresses(host: str, port: int, *, allow_private: bool, resolver: Resolver) -> list[str]:
    """The addresses to connect to, in order of preference, each of them checked; `host` is normalised.

    SECURITY: one forbidden address among the answers refuses them all, and callers connect to what is returned here
    without resolving again: a name that changes its mind between the check and the connection gains nothing.

    Raises:
        HostCallError: "connect", the name does not resolve; "denied", an address is private or otherwise special.
    """
    if is_address(host):
        addresses: Sequence[str] = [host]
    else:
        try:
            addresses = await resolver(host, port)
        except OSError as error:
            reason = error.strerror or str(error)
            raise HostCallError("connect", f"the name {host} does not resolve: {reason}") from None
        except UnicodeError:
            raise HostCallError("connect", f"the name {host} does not resolve: not a valid name") from None
        if not addresses:
            raise HostCallError("connect", f"the name {host} does not resolve: no address")
    for address in addresses:
        kind = address_kind(address)
        if not is_reachable(kind, allow_private=allow_private, granted_by_address=is_address(host)):
            raise HostCallError("denied", _refusal(host, port, str(kind)))
    return list(addresses[:MAX_ADDRESSES])


def _refusal(host: str, port: int, kind: str) -> str:
    verb = "is" if is_address(host) else "resolves to"
    sentence = f"HTTP to {bracketed(host)} is refused: it {verb} {'an' if kind[0] in 'aeiou' else 'a'} {kind} address"
    if is_reachable(kind, allow_private=True, granted_by_address=is_address(host)):
        return (
            f"{sentence}; allow it with --allow-private {bracketed(host)}:{port} "
            f'or HttpGrant("{host}", ports=({port},), allow_private=True)'
        )
    if is_reachable(kind, allow_private=True, granted_by_address=True):
        return f"{sentence}, which is reached only by a grant of that very address with allow_private=True"
    return f"{sentence}, which no grant allows"
