"""The ASGI application: which handler a request is for, problems as answers, and nothing that could take long.

It is an application of our own on purpose: Litestar took 62 to 71 us of processor time more for each request (measured
side by side in one process), and cannot pass a part of a body through as the bytes that it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence

from ...errors import ConfigError
from ...store.errors import StoreError
from ..problems import MEDIA_TYPE, ProblemError, not_found
from .bodies import Disconnected, Receive, Scope, Send
from .operations import Answered, Handler, Route, Streamed
from .request import Request

_log = logging.getLogger(__name__)


class App:
    """The application; lifespan is up to who serves it."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise NotImplementedError(f"the server speaks HTTP, not {scope['type']}")
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except Disconnected:
            return
        if request.answer_headers:
            answer = answer._replace(headers={**request.answer_headers, **answer.headers})
        if isinstance(answer, Streamed):
            await _stream(request, send, answer)
        else:
            await _send(send, answer, with_body=scope["method"] != "HEAD")

    async def _answer(self, request: Request) -> Answered | Streamed:
        try:
            handler, request.parts = self._find(request.scope)
            return await handler(request)
        except ProblemError as problem:
            return _told(problem)
        except ConfigError as error:
            return _told(ProblemError(400, "request", error.message))
        except StoreError as error:
            _log.error("the store: %s", error)
            text = "the store does not answer; nothing was accepted"
            return _told(ProblemError(503, "store", text, headers={"Retry-After": "5"}, changed_by="operator"))
        except Disconnected:
            raise
        except Exception:
            _log.exception("a request failed")
            return _told(ProblemError(500, "internal", "the server is at fault", changed_by="operator"))

    def _find(self, scope: Scope) -> tuple[Handler, Mapping[str, str]]:
        """Raises: ProblemError: 404, 405."""
        path: str = scope["path"]
        for found in self._routes:
            match = found.pattern.fullmatch(path)
            if match is None:
                continue
            method = "GET" if scope["method"] == "HEAD" else scope["method"]
            operation = found.operations.get(method)
            if operation is None:
                allowed = ", ".join(sorted(found.operations))
                raise ProblemError(405, "method", f"this resource knows {allowed}", headers={"Allow": allowed})
            return operation.handler, match.groupdict()
        raise not_found()


def _told(problem: ProblemError) -> Answered:
    return Answered(problem.status, problem.document(), problem.headers, MEDIA_TYPE)


async def _send(send: Send, answer: Answered, *, with_body: bool) -> None:
    await _start(send, answer, (b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.body", "body": answer.body if with_body else b""})


async def _stream(request: Request, send: Send, answer: Streamed) -> None:
    """Send piece by piece for as long as there is somebody who reads."""

    async def pass_on() -> None:
        await _start(send, answer)
        if request.scope["method"] != "HEAD":
            async for piece in answer.pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    sending = asyncio.create_task(pass_on())
    gone = asyncio.create_task(request.until_gone())
    try:
        await asyncio.wait([sending, gone], return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
    finally:
        for task in (sending, gone):
            task.cancel()
        await asyncio.gather(sending, gone, return_exceptions=True)
        if isinstance(answer.pieces, AsyncGenerator):
            await answer.pieces.aclose()


async def _start(send: Send, answer: Answered | Streamed, *more: tuple[bytes, bytes]) -> None:
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", answer.media_type),
        # What a statement of somebody returns is data, whatever a browser would like to see in it.
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
        *more,
    ]
    headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
