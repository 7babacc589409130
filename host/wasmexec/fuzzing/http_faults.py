"""Failures of HTTP, one of them for every request of an execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ..canned import CannedAnswer, CannedHttp, SeenRequest

_JSON = (("Content-Type", "application/json"),)
FAULTS: Final[dict[str, tuple[int, Sequence[tuple[str, str]], bytes, str | None]]] = {
    "connect": (200, (), b"", "connect"),
    "connect_timeout": (200, (), b"", "connect_timeout"),
    "read_timeout": (200, (), b"", "read_timeout"),
    "read": (200, (), b"", "read"),
    "protocol": (200, (), b"", "protocol"),
    "status 500": (500, (), b"Internal Server Error", None),
    "status 503": (503, (("Retry-After", "1"),), b"", None),
    "status 429": (429, (("Retry-After", "1"),), b"", None),
    "status 404": (404, _JSON, b'{"error": "not found"}', None),
    "status 401": (401, _JSON, b'{"error": "unauthorized"}', None),
    "no JSON": (200, (("Content-Type", "text/html"),), b"<html>maintenance</html>", None),
    "empty body": (200, _JSON, b"", None),
    "JSON null": (200, _JSON, b"null", None),
    "JSON without keys": (200, _JSON, b"{}", None),
}


class FaultyHttp(CannedHttp):
    """Every request meets the same failure."""

    def __init__(self, fault: str) -> None:
        super().__init__(())
        self._fault = FAULTS[fault]

    def take(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> CannedAnswer:
        """The failure."""
        self.seen.append(SeenRequest(method, url))
        status, answer_headers, data, error = self._fault
        return CannedAnswer(method=method, url=url, status=status, headers=answer_headers, body=data, error=error)
