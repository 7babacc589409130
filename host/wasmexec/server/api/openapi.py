"""The OpenAPI document over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ..http.operations import Answered, Operation, Route, route

if TYPE_CHECKING:
    from ..http.request import Request


class OpenApi:
    """The handler; the document is of `others` and itself, and made when it is first asked for."""

    def __init__(self, others: Sequence[Route]) -> None:
        self._others = others
        self._document: bytes | None = None

    def routes(self) -> tuple[Route, ...]:
        """Paths and operations."""
        return (route("/v1/openapi.json", GET=Operation(handler=self.get_openapi, answers={200: dict[str, Any]})),)

    async def get_openapi(self, request: Request) -> Answered:
        """This document; it needs no key."""
        if self._document is None:
            from ..openapi.document import openapi_document

            self._document = msgspec.json.encode(openapi_document((*self._others, *self.routes())))
        return Answered(200, self._document)
