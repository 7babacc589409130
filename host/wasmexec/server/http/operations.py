"""`Route` and `Operation`: a path and its methods, each with what the OpenAPI document says of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import msgspec

from ...workers.files import LongText, whole
from .request import Request

JSON = b"application/json"
PART = "[A-Za-z0-9_-]{1,64}"
"""What a part of a path may be that a route names."""
UNBUFFERED: Mapping[str, str] = {"X-Accel-Buffering": "no"}
"""Has nginx, and what takes after it, pass a stream on as it comes."""


class Pieces:
    """A body of texts one behind the other, of which long ones are read from their files as they are sent."""

    __slots__ = ("_texts",)

    def __init__(self, texts: Sequence[bytes | LongText]) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return sum(map(len, self._texts))

    @property
    def is_long(self) -> bool:
        """Whether there is a file in it."""
        return any(isinstance(text, LongText) for text in self._texts)

    def whole(self) -> bytes:
        """All of it in memory."""
        return b"".join(map(whole, self._texts))

    def __iter__(self) -> Iterator[bytes]:
        """Its bytes in pieces, each read when it is asked for."""
        short: list[bytes] = []
        for text in self._texts:
            if isinstance(text, bytes):
                short.append(text)
                continue
            yield b"".join(short)
            short = []
            yield from text.pieces()
        yield b"".join(short)


class Answered(NamedTuple):
    """An answer over HTTP."""

    status: int
    body: bytes | Pieces
    headers: Mapping[str, str] = {}
    media_type: bytes = JSON


class Streamed(NamedTuple):
    """An answer whose body comes piece by piece.

    When it has ended, or the client has gone, the iterator is closed if it was begun, and `on_end` is called.
    """

    status: int
    pieces: AsyncIterator[bytes]
    headers: Mapping[str, str] = {}
    media_type: bytes = JSON
    on_end: Callable[[], object] = lambda: None


Handler: TypeAlias = Callable[[Request], Awaitable[Answered | Streamed]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of a path: who answers, and what is asked and answered.

    The first line of the handler's docstring is its summary. `scope` is what a key must have, None if no key is needed.
    `body` is the type that the body is decoded to, `query` a Struct of the query's parameters, `answers` the type of
    the document for each status that is not a problem (None: no document), `problems` the statuses of problem+json
    beside those that operations can answer by what they have: 400, 500 and 503 always, 401, 403 and 429 with a scope,
    404 with a part in the path, 408, 413 and 415 with a body.
    """

    handler: Handler
    scope: str | None = None
    body: type | None = None
    query: type[msgspec.Struct] | None = None
    answers: Mapping[int, Any] = field(default_factory=lambda: {200: dict})
    problems: tuple[int, ...] = ()
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of a request that it knows, and what each is for."""
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    """Headers that its answers may have, and what each tells."""
    other_media_types: tuple[str, ...] = ()
    """Other forms of its first answer, which a request asks for by `Accept` or a parameter."""
    is_body_optional: bool = False
    body_media_type: str = "application/json"
    other_body_media_types: tuple[str, ...] = ()
    """Other forms of its body, lines of JSON."""
    examples: Mapping[str, object] = field(default_factory=dict)
    """Bodies that it takes, by what each shows."""


class Route(NamedTuple):
    """A path, its parts in braces, and an operation for each method."""

    path: str
    pattern: re.Pattern[str]
    operations: Mapping[str, Operation]


def route(path: str, **operations: Operation) -> Route:
    """A route by its path: `/v1/runs/{id}`."""
    pattern = re.compile(re.sub(r"\{(\w+)\}", rf"(?P<\1>{PART})", path))
    return Route(path, pattern, operations)


def json_answer(status: int, content: object, headers: Mapping[str, str] | None = None) -> Answered:
    """A document as an answer."""
    return Answered(status, msgspec.json.encode(content), headers or {})
