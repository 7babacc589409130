"""`HttpExchange`: one recorded request and its response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpExchange:
    """One request and what the statement got for it; `status` is None when it failed before a response.

    `error` is what it was told then, or instead of the rest of the body: {"code", "message"}. Bodies are as they went
    through the guest, compressed ones compressed; `response_chunks` are the sizes in which it took the body. `started`
    and `seconds` are on the execution's clock, `index` is the number of the request. `extra` has what a replay needs to
    repeat the timing; an exchange written by hand has none, and is answered at once and in one piece.
    """

    method: str
    url: str
    request_headers: tuple[tuple[str, str], ...] = ()
    request_body: bytes = b""
    status: int | None = None
    reason: str = ""
    http_version: str = "HTTP/1.1"
    response_headers: tuple[tuple[str, str], ...] = ()
    response_body: bytes = b""
    response_chunks: tuple[int, ...] = ()
    error: Mapping[str, Any] | None = None
    started: float = 0.0
    seconds: float = 0.0
    execution: int = 0
    index: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)


class Operation(NamedTuple):
    """One host call of a request, its times in nanoseconds since the start of the execution.

    `answered` is None if the guest never heard of it. `order` counts the answers of the whole execution. `kind` is what
    the answer was: "ok" (nothing to tell), "head" or "data" with `size` bytes of the body, "error", "" for none.
    """

    op: str
    issued: int
    answered: int | None = None
    order: int = 0
    kind: str = ""
    size: int = 0
    eof: bool = False

    @property
    def latency(self) -> int | None:
        """Nanoseconds from the call to its answer."""
        return None if self.answered is None else max(1, self.answered - self.issued)
