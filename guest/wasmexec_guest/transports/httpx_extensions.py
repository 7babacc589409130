"""What httpx's transports tell besides responses: exceptions, and the extensions `trace` and `network_stream`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NoReturn

import httpcore._trace
import httpx

from ..errors import HostCallError

_EXCEPTIONS: dict[str, type[httpx.TransportError]] = {
    "denied": httpx.ConnectError,
    "connect": httpx.ConnectError,
    "certificate": httpx.ConnectError,
    "connect_timeout": httpx.ConnectTimeout,
    "read_timeout": httpx.ReadTimeout,
    "write_timeout": httpx.WriteTimeout,
    "pool_timeout": httpx.PoolTimeout,
    "read": httpx.ReadError,
    "write": httpx.WriteError,
    "protocol": httpx.RemoteProtocolError,
    "bad_request": httpx.LocalProtocolError,
}
Head = tuple[bytes, int, bytes, list[tuple[bytes, bytes]]]
"""Version, status, reason, headers."""

_log = logging.getLogger("httpcore.http11")
"""Its last word is the prefix of the names that `trace` gets."""


def exception(error: HostCallError) -> httpx.TransportError:
    """httpx's own exception for a host call that failed."""
    return _EXCEPTIONS.get(error.code, httpx.TransportError)(error.message)


class Trace(httpcore._trace.Trace):
    """Tells the request's `trace` extension, if it has one, of what goes on inside."""

    def __init__(self, name: str, request: httpx.Request) -> None:
        super().__init__(name, _log, request, {"request": request})  # type: ignore[arg-type]

    def __exit__(
        self, kind: type[BaseException] | None = None, error: BaseException | None = None, trace: Any = None
    ) -> None:
        super().__exit__(kind, exception(error) if isinstance(error, HostCallError) else error, trace)

    async def __aexit__(
        self, kind: type[BaseException] | None = None, error: BaseException | None = None, trace: Any = None
    ) -> None:
        await super().__aexit__(kind, exception(error) if isinstance(error, HostCallError) else error, trace)


def head_as_httpcore_has_it(head: Mapping[str, Any]) -> Head:
    """The head of a response, as `trace` hears it, too."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head["headers"]]
    return head["http_version"].encode("ascii"), head["status"], head["reason"].encode("latin-1"), headers


class _NoNetworkStream:
    """What stands for the connection of a response.

    Raises: NotImplementedError: whatever is asked of it.
    """

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotImplementedError(
            f"httpx: network_stream.{name} is not available here, the host has the connection; read the response with "
            "iter_bytes(), aiter_bytes() or read()"
        )

    def __repr__(self) -> str:
        return "<network_stream: not available, the host has the connection>"


NO_NETWORK_STREAM = _NoNetworkStream()
