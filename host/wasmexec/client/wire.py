"""What both clients do around httpx: where to connect, how a call becomes a request, what a failure is."""

from __future__ import annotations

import re
import ssl
import time
from dataclasses import dataclass
from typing import Any

import httpx

from ..errors import ConfigError
from .batches import NDJSON
from .calls import Call, Received
from .errors import AnswerLost, AnswerOverdue, BadAnswer, ClientError, ServerUnreachable

CONNECT_SECONDS = 5.0
SEND_SECONDS = 60.0
USUAL_SECONDS = 60.0
NO_MORE = 204
"""There is nothing left to follow."""
_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 1.0
MAX_ANSWER_BYTES = 256 * 1024 * 1024
_UNIX = "unix:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server is: `http://HOST:PORT`, `https://HOST`, or `unix:/PATH` for a socket of this machine.

    Raises:
        ConfigError: it is none of these.
    """

    url: str
    verify: ssl.SSLContext | bool

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://", _UNIX)):
            raise ConfigError(f"client: a server is at http://, https:// or unix:/PATH, not at {self.url[:200]!r}")

    @property
    def base(self) -> str:
        """What paths are put behind."""
        return "http://localhost" if self.url.startswith(_UNIX) else self.url.rstrip("/")

    @property
    def socket(self) -> str | None:
        """The file of the socket; None if it is no such address."""
        return self.url.removeprefix(_UNIX) if self.url.startswith(_UNIX) else None


def client_arguments(address: Address, key: str) -> dict[str, Any]:
    """The arguments of httpx's clients, beside their transport.

    SECURITY: redirects are not followed, so that the key goes to no other place.

    Raises:
        ConfigError: the key is none.
    """
    if not re.fullmatch(r"[!-~]{1,1000}", key):
        raise ConfigError("client: a key is a word of ASCII characters: wx_...")
    headers = {"Authorization": f"Bearer {key}", "Accept-Encoding": "identity", "User-Agent": "wasmexec-client"}
    return {"base_url": address.base, "headers": headers, "follow_redirects": False}


def request_arguments(call: Call[Any], timeout_seconds: float) -> dict[str, Any]:
    """The arguments of httpx's `build_request`."""
    seconds = timeout_seconds if call.timeout_seconds is None else call.timeout_seconds
    headers = dict(call.headers) if call.body is None else {"Content-Type": call.media_type, **call.headers}
    return {
        "method": call.method, "url": call.path, "params": dict(call.query), "headers": headers, "content": call.body,
        "timeout": httpx.Timeout(connect=CONNECT_SECONDS, read=seconds, write=SEND_SECONDS, pool=CONNECT_SECONDS),
    }  # fmt: skip


def failure_of(error: httpx.TransportError, call: Call[Any]) -> ClientError:
    """What a failure below HTTP means for the caller."""
    text = f"{call.method} {call.path}: {str(error) or type(error).__name__}"
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)):
        return ServerUnreachable(text)
    if isinstance(error, httpx.TimeoutException):
        return AnswerOverdue(text)
    return AnswerLost(text)


def is_stream(response: httpx.Response) -> bool:
    """Whether an answer is one of server-sent events."""
    return _is(response, "text/event-stream")


def is_lines(response: httpx.Response) -> bool:
    """Whether an answer is one of JSON texts, a line for each."""
    return _is(response, NDJSON)


def _is(response: httpx.Response, media_type: str) -> bool:
    kind: str = response.headers.get("content-type", "")
    return response.status_code == 200 and kind.partition(";")[0].strip().lower() == media_type


def received(response: httpx.Response, body: bytes) -> Received:
    """An answer without httpx."""
    headers = response.headers
    return Received(response.status_code, headers.get("content-type", ""), headers.get("retry-after"), body)


class Body:
    """The pieces of an answer, which is refused once it is too long."""

    def __init__(self, status: int, most: int) -> None:
        self._status = status
        self._most = most
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        """Raises: BadAnswer: it is too long."""
        self._size += len(piece)
        if self._size > self._most:
            raise BadAnswer(f"the answer has more than {self._most:,} bytes", status=self._status)
        self._pieces.append(piece)

    @property
    def whole(self) -> bytes:
        """All of it."""
        return b"".join(self._pieces)


class Pauses:
    """How long to wait before another look at whether a run has ended: longer and longer, within the caller's time."""

    def __init__(self, timeout_seconds: float) -> None:
        self._until = time.monotonic() + timeout_seconds
        self._seconds = _FIRST_PAUSE_SECONDS

    def next(self, run_id: str) -> float:
        """Raises: AnswerOverdue: the time is over."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise AnswerOverdue(f"{run_id} has not ended yet; it goes on")
        seconds, self._seconds = self._seconds, min(self._seconds * 1.5, _LONGEST_PAUSE_SECONDS)
        return min(seconds, left)
