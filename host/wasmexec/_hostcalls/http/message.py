"""The HTTP message that the guest asks for, checked field by field and rewritten where the host decides.

SECURITY: one request goes out as exactly one message. Lengths and framing come from the body that is really sent, the
Host header from the URL that was checked; for the other headers see `headers.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..._net.addresses import normalise_host
from ...limits import Limits
from ..error import HostCallError
from .egress import DEFAULT_PORT, EgressPolicy, Target
from .headers import header_pairs

if TYPE_CHECKING:
    import httpcore

OPERATIONS = ("http.open", "http.write", "http.read", "http.close")
"""What they take and reply: see `capability.py`."""
CHUNK_BYTES = 256 * 1024
MAX_WRITE_BYTES = 1024 * 1024

_METHOD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{1,5}))?")
_LENGTH = re.compile(r"[0-9]{1,15}")
_TIMEOUTS = ("connect", "read", "write", "pool")
# Source: RFC 9110 7.6.1, and the headers that are set here.
_DROPPED = {
    "host", "content-length", "transfer-encoding", "keep-alive", "te", "trailer", "proxy-connection",
    "proxy-authorization", "proxy-authenticate",
}  # fmt: skip
_CONNECTION_OPTIONS = {"close", "keep-alive"}
_NO_BODY_STATUSES = {204, 304}


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """A granted request whose every field has been checked; `headers` as they go on the wire, `body` None: streamed."""

    target: Target
    method: str
    headers: list[tuple[bytes, bytes]]
    timeouts: dict[str, float | None]
    body: bytes | None

    def with_header(self, name: bytes, value: bytes) -> OutgoingRequest:
        """The same with one header of the host's, in place of any of that name; `name` in small letters."""
        return replace(self, headers=[*(pair for pair in self.headers if pair[0].lower() != name), (name, value)])

    def for_httpcore(self, streamed_body: AsyncIterable[bytes], timeouts: dict[str, float | None]) -> httpcore.Request:
        """The request as httpcore takes it; `timeouts` may still be changed while it is under way."""
        import httpcore

        target = self.target
        return httpcore.Request(
            self.method,
            httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path),
            headers=self.headers,
            content=streamed_body if self.body is None else _Chunks(self.body),
            extensions={"timeout": timeouts},
        )


class _Chunks:
    """A whole body in chunks; an iterator, so that one that is dropped half-way leaves nothing to be closed."""

    def __init__(self, body: bytes) -> None:
        self._chunks = iter([body[start : start + CHUNK_BYTES] for start in range(0, len(body), CHUNK_BYTES)])

    def __aiter__(self) -> _Chunks:
        return self

    async def __anext__(self) -> bytes:
        for chunk in self._chunks:
            return chunk
        raise StopAsyncIteration


def parse_request(args: Mapping[str, object], blob: bytes, policy: EgressPolicy, limits: Limits) -> OutgoingRequest:
    """The request that the arguments of `http.open` describe.

    Raises:
        HostCallError: "bad_request", a field is wrong; "denied", the policy does not permit it; "limit", its headers
            are too many or too long.
    """
    method, url, body = args.get("method"), args.get("url"), args.get("body", "none")
    if not isinstance(method, str) or not _METHOD.fullmatch(method):
        raise _bad("method must be a word")
    if not isinstance(url, str):
        raise _bad("url must be a string")
    if body not in ("none", "whole", "streamed"):
        raise _bad("body must be none, whole or streamed")
    method = method.upper()
    if method == "CONNECT":
        raise HostCallError("denied", "HTTP CONNECT is refused: there are no tunnels")
    target = policy.target(method, url)
    pairs = header_pairs(args.get("headers", []), limits)
    return OutgoingRequest(
        target, method,
        headers=_headers(pairs, target, method, None if body == "streamed" else len(blob)),
        timeouts=_timeouts(args.get("timeout", {})),
        body=None if body == "streamed" else bytes(blob),
    )  # fmt: skip


def body_length(method: str, response: httpcore.Response) -> int | None:
    """How long the body of a response is going to be; None when only its end will tell."""
    if method == "HEAD" or response.status in _NO_BODY_STATUSES:
        return 0
    lengths = {value for name, value in response.headers if name.lower() == b"content-length"}
    if is_chunked(response.headers) or len(lengths) != 1:
        return None
    text = lengths.pop().decode("latin-1")
    return int(text) if _LENGTH.fullmatch(text) else None


def is_chunked(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether the body of a response comes in chunks."""
    return any(name.lower() == b"transfer-encoding" for name, _ in headers)


def _bad(message: str) -> HostCallError:
    return HostCallError("bad_request", message)


def _headers(
    pairs: list[tuple[str, str]], target: Target, method: str, length: int | None
) -> list[tuple[bytes, bytes]]:
    """What goes on the wire: Host first, the guest's own, then the framing of the body (`length` None: streamed)."""
    dropped = set(_DROPPED)
    declared = set()
    for name, value in pairs:
        lower = name.lower()
        if lower == "host":
            _check_host(value, target)
        elif lower == "upgrade":
            raise _bad("protocol upgrades are not available")
        elif lower == "content-length":
            declared.add(value)
        elif lower == "connection":
            options = {option.strip().lower() for option in value.split(",")}
            dropped |= options - _CONNECTION_OPTIONS
            if not options <= _CONNECTION_OPTIONS:
                dropped.add("connection")
    wire = [("Host", target.authority)]
    wire += [(name, value) for name, value in pairs if name.lower() not in dropped]
    if length is None and declared:
        text = declared.pop()
        if declared or not _LENGTH.fullmatch(text):
            raise _bad("Content-Length must be one number")
        wire.append(("Content-Length", text))
    elif length is None:
        wire.append(("Transfer-Encoding", "chunked"))
    elif length or method in ("POST", "PUT", "PATCH") or (declared == {"0"} and method not in ("GET", "HEAD")):
        wire.append(("Content-Length", str(length)))
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in wire]


def _check_host(value: str, target: Target) -> None:
    """SECURITY: a Host header of its own would reach another site on the servers of the granted one."""
    match = _AUTHORITY.fullmatch(value)
    try:
        host = normalise_host(match["host"]) if match else None
    except ValueError:
        host = None
    port = int(match["port"] or DEFAULT_PORT[target.scheme]) if match else 0
    if (host, port) != (target.host, target.port):
        raise HostCallError("denied", f"a request to {target.authority} cannot carry the Host header {value!a}")


def _timeouts(timeouts: object) -> dict[str, float | None]:
    if not isinstance(timeouts, dict):
        raise _bad("timeout must be an object")
    checked: dict[str, float | None] = dict.fromkeys(_TIMEOUTS)
    for name, value in timeouts.items():
        if name not in checked:
            raise _bad("timeout has connect, read, write and pool")
        checked[name] = timeout_seconds(name, value)
    return checked


def timeout_seconds(name: str, value: object) -> float | None:
    """A timeout as the guest gives it.

    Raises:
        HostCallError: "bad_request", it is none.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise _bad(f"the {name} timeout must be a number of seconds or null")
    return float(value)
