"""Canned HTTP answers: what a test says a server would answer, given instead of any connection.

People write them, so a request fits by what it means (query in any order, JSON as values, headers if they are given);
grants, limits and the filling in of secrets apply. A recording is answered by the very bytes that were recorded.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from .rows.json_text import decode

_LONGEST_READ = 1024 * 1024
"""SECURITY: the statement decides how long a body is; one of more bytes is not parsed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CannedAnswer:
    """A request that is expected, and its response, or the failure that the statement is to see.

    `url` is compared without fragment and with its query parameters in any order; `request_body` and `request_headers`
    only if they are given. A body of more than 1 MiB must be the very same bytes, a shorter one may be the same JSON.
    `error` is a code of the http capability, such as "connect_timeout".
    """

    method: str
    url: str
    request_headers: Mapping[str, str] | None = None
    request_body: bytes | None = None
    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request that the statement made."""

    method: str
    url: str


class CannedHttp:
    """Gives each answer once, in order among those that fit a request; the last one that fits is never used up.

    `seen` are the requests made, `unanswered` those that no answer fits. Usable by many executions at once.
    """

    def __init__(self, answers: Sequence[CannedAnswer]) -> None:
        self._answers = list(answers)
        self._used = [0] * len(self._answers)
        self._lock = threading.Lock()
        self.seen: list[SeenRequest] = []
        self.unanswered: list[SeenRequest] = []

    @property
    def unused(self) -> list[CannedAnswer]:
        """Answers that no request asked for."""
        return [answer for answer, used in zip(self._answers, self._used, strict=True) if not used]

    def take(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> CannedAnswer:
        """The answer to a request.

        Raises:
            LookupError: none fits.
        """
        request = SeenRequest(method, url)
        with self._lock:
            self.seen.append(request)
            fitting = [index for index, item in enumerate(self._answers) if _fits(item, method, url, headers, body)]
            if not fitting:
                self.unanswered.append(request)
                raise LookupError(f"no canned answer for {method} {url}")
            index = next((index for index in fitting if not self._used[index]), fitting[-1])
            self._used[index] += 1
            return self._answers[index]


def _fits(answer: CannedAnswer, method: str, url: str, headers: Mapping[str, str], body: bytes) -> bool:
    if answer.method != method or _parts(answer.url) != _parts(url):
        return False
    if answer.request_body is not None and not _same_body(answer.request_body, body):
        return False
    wanted = answer.request_headers or {}
    return all(headers.get(name.lower()) == value for name, value in wanted.items())


def _parts(url: str) -> tuple[object, ...]:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    query = sorted(parse_qsl(parts.query, keep_blank_values=True))
    return parts.scheme, (parts.hostname or "").lower(), port, parts.path or "/", query


def _same_body(wanted: bytes, found: bytes) -> bool:
    if wanted == found or max(len(wanted), len(found)) > _LONGEST_READ:
        return wanted == found
    try:
        return bool(decode(wanted) == decode(found))
    except ValueError:
        return False
