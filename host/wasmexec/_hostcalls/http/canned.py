"""Recorded HTTP answers: what a step's test case says a server would answer, given instead of any connection.

They stand below the http capability, in place of its connections: grants, limits and the filling in of secrets are
what a case tests, too. People write them, so a request fits by what it means (query in any order, JSON as values,
headers if they are given). A recording (`replay`) stands in place of the capability itself, and fits byte for byte.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl, urlsplit

import httpcore

from ...rows.json_text import decode
from ..error import HostCallError
from ..usage import UsageCounter

if TYPE_CHECKING:
    from .egress import Target

MAX_BODY_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedAnswer:
    """One exchange: a request that is expected, and its response, or the failure that the statement is to see.

    `url` is compared without fragment and with its query parameters in any order; `body` and `headers` only if they
    are given. `error` is a code of the http capability, such as "connect_timeout".
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


class RecordedHttp:
    """Gives each answer once, in order among those that fit a request; the last one that fits is never used up.

    `seen` are the requests made, `unanswered` those that no answer fits. Usable by many executions at once.
    """

    def __init__(self, answers: Sequence[RecordedAnswer]) -> None:
        self._answers = list(answers)
        self._used = [0] * len(self._answers)
        self._lock = threading.Lock()
        self.seen: list[SeenRequest] = []
        self.unanswered: list[SeenRequest] = []

    @property
    def unused(self) -> list[RecordedAnswer]:
        """Answers that no request asked for."""
        return [answer for answer, used in zip(self._answers, self._used, strict=True) if not used]

    def take(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> RecordedAnswer:
        """The answer to a request.

        Raises:
            HostCallError: none fits.
        """
        request = SeenRequest(method, url)
        with self._lock:
            self.seen.append(request)
            fitting = [index for index, item in enumerate(self._answers) if _fits(item, method, url, headers, body)]
            if not fitting:
                self.unanswered.append(request)
                raise HostCallError("connect", f"no recorded answer for {method} {url}")
            index = next((index for index in fitting if not self._used[index]), fitting[-1])
            self._used[index] += 1
            return self._answers[index]


def _fits(answer: RecordedAnswer, method: str, url: str, headers: Mapping[str, str], body: bytes) -> bool:
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
    if wanted == found:
        return True
    try:
        return bool(decode(wanted) == decode(found))
    except ValueError:
        return False


class RecordedNetwork:
    """Stands where the network of an execution does; counts bytes like it."""

    def __init__(self, recorded: RecordedHttp, *, http_bytes: int, usage: UsageCounter) -> None:
        self._recorded = recorded
        self._http_bytes = http_bytes
        self._usage = usage

    async def pool(self, target: Target) -> RecordedNetwork:
        """Whatever the target: no name is resolved, nothing is connected."""
        return self

    async def aclose(self) -> None:
        """There is nothing to release."""

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """The recorded response.

        Raises:
            HostCallError: there is none, it is a failure, or a limit is reached.
        """
        body = b""
        async for piece in cast("AsyncIterable[bytes]", request.stream):
            body += piece
            if len(body) > MAX_BODY_BYTES:
                raise HostCallError("limit", "the body is too large for a recorded exchange")
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.headers}
        url = bytes(request.url).decode("latin-1")
        self._usage.http_bytes_sent += len(body)
        answer = self._recorded.take(request.method.decode("ascii"), url, headers, body)
        if answer.error is not None:
            raise HostCallError(answer.error, f"recorded failure: {answer.error}")
        self._usage.http_bytes_received += len(answer.body)
        if max(self._usage.http_bytes_received, self._usage.http_bytes_sent) > self._http_bytes:
            raise HostCallError("limit", f"more than {self._http_bytes:,} bytes over HTTP (limit http_bytes)")
        names = {name.lower() for name, _ in answer.headers}
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
        if not names & {"content-length", "transfer-encoding"}:
            pairs.append((b"Content-Length", str(len(answer.body)).encode()))
        return httpcore.Response(answer.status, headers=pairs, content=answer.body)
