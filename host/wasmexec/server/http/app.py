"""The ASGI application: which handler a request is for, problems as answers, and nothing that could take long.

It is an application of our own on purpose: Litestar took 62 to 71 us of processor time more for each request (measured
side by side in one process), and cannot pass a part of a body through as the bytes that it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING

from ...errors import ConfigError
from ...store.errors import StoreError
from ..problems import MEDIA_TYPE, ProblemError, not_found
from ..vault.places import SealError
from .bodies import Disconnected, Receive, Scope, Send
from .operations import Answered, Handler, Pieces, Route, Streamed
from .request import Request

if TYPE_CHECKING:
    from ..watching.watch import Watch

CLIENT_GONE = 499
"""The status of a request in logs and metrics whose client has gone before the answer."""
_log = logging.getLogger(__name__)


class App:
    """The application; lifespan is up to who serves it."""

    def __init__(self, routes: Sequence[Route], watch: Watch) -> None:
        self._routes = routes
        self._plain = {found.path: found for found in routes if "{" not in found.path}
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise NotImplementedError(f"the server speaks HTTP, not {scope['type']}")
        request = Request(scope, receive)
        status, size = CLIENT_GONE, 0
        try:
            answer = await self._answer(request)
            if request.answer_headers:
                answer = answer._replace(headers={**request.answer_headers, **answer.headers})
            status = answer.status
            if isinstance(answer, Streamed):
                size = await _stream(request, send, answer)
            else:
                size = await _send(request, send, answer)
        except Disconnected:
            status = CLIENT_GONE
        finally:
            self._watch.request_ended(request, status, size)

    async def _answer(self, request: Request) -> Answered | Streamed:
        try:
            handler = self._find(request)
            self._watch.request_began(request)
            return await handler(request)
        except ProblemError as problem:
            return self._told(request, problem)
        except ConfigError as error:
            return self._told(request, ProblemError(400, "request", error.message))
        except SealError as error:
            _log.error("the store: %s", error)
            text = "what is stored of it was changed, or is sealed with a key that is not there"
            return self._told(request, ProblemError(500, "store.seal", text, changed_by="operator"))
        except StoreError as error:
            _log.error("the store: %s", error)
            text = "the store does not answer; nothing was accepted"
            unstored = ProblemError(503, "store", text, headers={"Retry-After": "5"}, changed_by="operator")
            return self._told(request, unstored)
        except Disconnected:
            raise
        except Exception:
            _log.exception("a request failed")
            return self._told(request, ProblemError(500, "internal", "the server is at fault", changed_by="operator"))

    def _told(self, request: Request, problem: ProblemError) -> Answered:
        request.rule = problem.rule
        self._watch.refused(problem.rule)
        return Answered(problem.status, problem.document(), problem.headers, MEDIA_TYPE)

    def _find(self, request: Request) -> Handler:
        """Raises: ProblemError: 404, 405."""
        path: str = request.scope["path"]
        found = self._plain.get(path)
        if found is None:
            matches = ((item, match) for item in self._routes if (match := item.pattern.fullmatch(path)) is not None)
            found, match = next(matches, (None, None))
            if found is None or match is None:
                raise not_found()
            request.parts = match.groupdict()
        request.route = found.path
        method = "GET" if request.method == "HEAD" else request.method
        operation = found.operations.get(method)
        if operation is None:
            allowed = ", ".join(sorted(found.operations))
            raise ProblemError(405, "method", f"this resource knows {allowed}", headers={"Allow": allowed})
        return operation.handler


async def _send(request: Request, send: Send, answer: Answered) -> int:
    """Send an answer; how many bytes its body had."""
    # Source: RFC 9110 8.6: none with 204.
    length = [] if answer.status == 204 else [(b"content-length", str(len(answer.body)).encode())]
    await _start(request, send, answer, *length)
    body = b"" if request.method == "HEAD" else answer.body
    if isinstance(body, Pieces):
        if body.is_long:
            return await _send_pieces(request, send, body)
        body = body.whole()
    await send({"type": "http.response.body", "body": body})
    return len(body)


async def _send_pieces(request: Request, send: Send, body: Pieces) -> int:
    """Send a long body as the client takes it, until that has gone; how many bytes were sent."""
    gone = asyncio.Event()
    forget = request.when_gone(gone.set)
    size = 0
    try:
        for piece in body:
            if gone.is_set():
                break
            size += len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        forget()
    return size


async def _stream(request: Request, send: Send, answer: Streamed) -> int:
    """Send piece by piece for as long as there is somebody who reads; how many bytes that were."""
    size = 0

    async def pass_on() -> None:
        nonlocal size
        await _start(request, send, answer)
        if request.method != "HEAD":
            async for piece in answer.pieces:
                size += len(piece)
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
        answer.on_end()
        if isinstance(answer.pieces, AsyncGenerator):
            await answer.pieces.aclose()
    return size


async def _start(request: Request, send: Send, answer: Answered | Streamed, *more: tuple[bytes, bytes]) -> None:
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", answer.media_type),
        # What a statement of somebody returns is data, whatever a browser would like to see in it.
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
        (b"x-request-id", request.id.encode()),
        *more,
    ]
    headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
