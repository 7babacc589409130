"""`Request`: one request as its handler sees it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qs

import msgspec

from ...workers.files import LONG_BYTES, MemoryFile, are_offered
from ..problems import ProblemError
from ..random_ids import random_bytes
from .bodies import Headers, Receive, Scope, body_pieces, read_body, refuse_encoded, take_body
from .spool import Spool

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from ..tenants.directory import Tenant

_Query = TypeVar("_Query", bound=msgspec.Struct)
_Document = TypeVar("_Document")
_MOST_PARAMETERS = 50
WHEN_GONE = "wasmexec.when_gone"
"""The extension of ASGI by which our connections tell that they have ended."""
WHOLE_BODY = "wasmexec.whole_body"
"""That by which they give a body that has arrived, once; None before that."""
DIVERT_BODY = "wasmexec.divert_body"
"""A `Divert` of theirs."""
_ID_BYTES = 8
# SECURITY: it goes into an answer's head and a line of a log as it is.
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Request:
    """A request; `parts` are those of its path that the route names.

    `id` is the client's `X-Request-Id`, or a new one. What else it is about is noted as it becomes known, for whoever
    watches: `route`, `tenant`, `key_id`, `run_id`, the `rule` that refused it, the bytes of its body, its `span`.
    """

    __slots__ = ("_headers", "answer_headers", "began", "bytes_in", "counted", "id", "key_id", "parts", "receive",
                 "route", "rule", "run_id", "scope", "span", "tenant")  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self._headers = Headers(scope)
        self.parts: Mapping[str, str] = {}
        self.answer_headers: dict[str, str] = {}
        """Headers of the answer, whatever it is; those that it has itself come before them."""
        self.counted: tuple[Tenant, str] | None = None
        """The tenant and the key by whose rates it was counted."""
        self.began = time.perf_counter()
        self.id = _request_id(self._headers)
        self.route: str | None = None
        self.tenant: str | None = None
        self.key_id: str | None = None
        self.run_id: str | None = None
        self.rule: str | None = None
        self.bytes_in = 0
        self.span: Span | None = None

    @property
    def method(self) -> str:
        """In capitals."""
        method: str = self.scope["method"]
        return method

    @property
    def client(self) -> str:
        """The address that it came from; empty over a unix socket."""
        client = self.scope.get("client")
        return client[0] if client else ""

    @property
    def announced_bytes(self) -> int | None:
        """How long the body is said to be; 0 without one, None if that is not known before it ends.

        Raises:
            ProblemError: 400: it is said twice.
        """
        length = self.header(b"content-length")
        if length is not None and length.isdecimal():
            return int(length)
        return None if self.header(b"transfer-encoding") is not None else 0

    @property
    def may_be_long(self) -> bool:
        """Whether its body is said to be long, or not said to be short, and the system has files for long ones."""
        size = self.announced_bytes
        return (size is None or size > LONG_BYTES) and are_offered()

    def header(self, name: bytes) -> str | None:
        """The value of a header, its name in lower case; None if there is none.

        Raises:
            ProblemError: 400: it is there twice.
        """
        return self._headers.get(name)

    def query(self, kind: type[_Query]) -> _Query:
        """The parameters of the query.

        Raises:
            ProblemError: 400: one is unknown, there twice, or makes no sense.
        """
        try:
            found = parse_qs(
                self.scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS
            )
            repeated = next((name for name, values in found.items() if len(values) > 1), None)
            if repeated is not None:
                raise ValueError(f"{repeated!r:.80} is there more than once")
            return msgspec.convert({name: values[0] for name, values in found.items()}, kind, strict=False)
        except ValueError as error:
            raise ProblemError(400, "query", f"the query of the address: {error}", changed_by="nobody") from None

    async def body(self, most: int, seconds: float) -> bytes:
        """The whole body, at most so many bytes in so many seconds.

        Raises:
            ProblemError: 408, 413, 415.
            Disconnected: the client has gone.
        """
        body = await read_body(self._headers, self.receive, most, seconds, self.scope["extensions"][WHOLE_BODY])
        self.bytes_in = len(body)
        return body

    async def long_body(self, most: int, seconds: float, spool: Spool) -> bytes | MemoryFile:
        """As `body`, but a long one is a file, sealed.

        Raises:
            ProblemError: 408, 413, 415, 503.
            Disconnected: the client has gone.
        """
        refuse_encoded(self._headers)
        size = self.announced_bytes
        if size is not None and size > most:
            # Refused before any of it is read.
            return await self.body(most, seconds)
        divert = self.scope["extensions"][DIVERT_BODY]
        self.bytes_in = await take_body(self.receive, divert, most, seconds, spool.add)
        return spool.end()

    def pieces(self, seconds: float) -> AsyncIterator[bytes]:
        """The body piece by piece, each within so many seconds, while an answer is sent already.

        Raises:
            ProblemError: 415; and 408 while it is read.
            Disconnected: while it is read: the client has gone.
        """
        refuse_encoded(self._headers)
        return body_pieces(self.receive, seconds)

    def when_gone(self, watcher: Callable[[], object]) -> Callable[[], object]:
        """Call the watcher once the client has gone; for after the body. What it returns ends that.

        A task that waits for it would cost as much as all else of a request.
        """
        watch: Callable[[Callable[[], object]], Callable[[], object]] = self.scope["extensions"][WHEN_GONE]
        return watch(watcher)

    async def until_gone(self) -> None:
        """Return once the client has gone; for after the body."""
        gone = asyncio.Event()
        forget = self.when_gone(gone.set)
        try:
            await gone.wait()
        finally:
            forget()


def _request_id(headers: Headers) -> str:
    asked = headers.last(b"x-request-id")
    if asked is not None and _ID.fullmatch(asked) is not None:
        return asked
    return random_bytes(_ID_BYTES).hex()


def decode_body(body: bytes | memoryview, decoder: msgspec.json.Decoder[_Document]) -> _Document:
    """The document that a body is.

    Raises:
        ProblemError: 400.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise ProblemError(400, "body", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProblemError(400, "body", f"the body is not JSON: {error}") from None
    except RecursionError:
        raise ProblemError(400, "body.depth", "the body has too many levels of lists and objects") from None
