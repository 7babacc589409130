"""`Connections`: the open ones, and whether one more may be."""

from __future__ import annotations

import logging
import resource
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

from ..problems import MEDIA_TYPE, ProblemError

if TYPE_CHECKING:
    from ..watching.watch import Watch


_OTHER_DESCRIPTORS = 512
"""For everything that is no connection: workers, the store, the log."""
_log = logging.getLogger(__name__)


def descriptors_for(connections: int) -> None:
    """Raise this process's limit of descriptors as far as it may be, and say so if that is not enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_DESCRIPTORS
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        text = "the system lets this process have %d descriptors, which is too few for %d connections: ulimit -n"
        _log.warning(text, most, connections)


class Connections:
    """The open connections by where they come from; how many there are is never kept apart from them."""

    def __init__(self, most: int, most_per_address: int, watch: Watch) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._watch = watch
        self._open: dict[object, str] = {}
        self._by_address: dict[str, set[object]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[object]:
        return iter(self._open)

    def refuse(self, connection: object, address: Any) -> bytes | None:
        """Note a new connection, or the answer with which it is closed; `address` is as a socket has it."""
        where = _network(address)
        if len(self._open) >= self._most:
            return self._refusal("server.max_connections", 503, self._most, "the server has")
        if where and len(self._by_address.get(where, ())) >= self._most_per_address:
            rule = "server.max_connections_per_address"
            return self._refusal(rule, 429, self._most_per_address, "this address has")
        self._open[connection] = where
        self._by_address.setdefault(where, set()).add(connection)
        return None

    def closed(self, connection: object) -> None:
        """Forget one, if it was noted."""
        where = self._open.pop(connection, None)
        if where is None:
            return
        self._by_address[where].discard(connection)
        if not self._by_address[where]:
            del self._by_address[where]

    def _refusal(self, rule: str, status: int, most: int, who: str) -> bytes:
        problem = ProblemError(
            status, rule, f"{who} {most:,} open connections; one has to be closed first", value=most,
            changed_by="operator", retry_after_seconds=1,
        )  # fmt: skip
        self._watch.refused(rule)
        body = problem.document()
        head = (
            f"HTTP/1.1 {status} {problem.title}\r\ncontent-type: {MEDIA_TYPE.decode()}\r\nconnection: close\r\n"
            f"retry-after: 1\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def _network(address: Any) -> str:
    """Whose it is: an address, of version 6 the network of 64 bits, which is what one subscriber has."""
    if not isinstance(address, tuple) or not address:
        return ""
    found = ip_address(str(address[0]).partition("%")[0])
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped) if found.ipv4_mapped is not None else found.exploded[:19]
    return str(found)
