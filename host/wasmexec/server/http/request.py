"""`Request`: one request as its handler sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qs

import msgspec

from ..problems import ProblemError
from .bodies import Receive, Scope, header, read_body

if TYPE_CHECKING:
    from ..tenants.directory import Tenant

_Query = TypeVar("_Query", bound=msgspec.Struct)
_Document = TypeVar("_Document", bound=msgspec.Struct)
_MOST_PARAMETERS = 50
WHEN_GONE = "wasmexec.when_gone"
"""The extension of ASGI by which our connections tell that they have ended."""


class Request:
    """A request; `parts` are those of its path that the route names."""

    __slots__ = ("answer_headers", "counted", "parts", "receive", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self.parts: Mapping[str, str] = {}
        self.answer_headers: dict[str, str] = {}
        """Headers of the answer, whatever it is; those that it has itself come before them."""
        self.counted: tuple[Tenant, str] | None = None
        """The tenant and the key by whose rates it was counted."""

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

    def header(self, name: bytes) -> str | None:
        """The value of a header, its name in lower case; None if there is none.

        Raises:
            ProblemError: 400: it is there twice.
        """
        return header(self.scope, name)

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
        return await read_body(self.scope, self.receive, most, seconds)

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


def decode_body(body: bytes, decoder: msgspec.json.Decoder[_Document]) -> _Document:
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
