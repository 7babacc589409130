"""The ASGI application: which handler a request is for, problems as answers, and nothing that could take long.

It is an application of our own on purpose: Litestar took 62 to 71 us of processor time more for each request (measured
side by side in one process), and cannot pass a part of a body through as the bytes that it is.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from ..errors import ConfigError
from ..store.errors import StoreError
from .bodies import Disconnected, Receive, Scope, Send
from .problems import MEDIA_TYPE, ProblemError, not_found

JSON = b"application/json"
_log = logging.getLogger(__name__)


class Answered(NamedTuple):
    """An answer over HTTP."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}
    media_type: bytes = JSON


Handler: TypeAlias = Callable[[Scope, Receive, Mapping[str, str]], Awaitable[Answered]]


class Route(NamedTuple):
    """A path, its parts in braces, and a handler for each method."""

    pattern: re.Pattern[str]
    handlers: Mapping[str, Handler]


def route(path: str, **handlers: Handler) -> Route:
    """A route by its path: `/v1/runs/{id}`."""
    return Route(re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[A-Za-z0-9_-]{1,64})", path)), handlers)


class App:
    """The application; lifespan is up to who serves it."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise NotImplementedError(f"the server speaks HTTP, not {scope['type']}")
        try:
            answer = await self._answer(scope, receive)
        except Disconnected:
            return
        await _send(send, answer, with_body=scope["method"] != "HEAD")

    async def _answer(self, scope: Scope, receive: Receive) -> Answered:
        try:
            handler, parts = self._find(scope)
            return await handler(scope, receive, parts)
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
            handler = found.handlers.get(method)
            if handler is None:
                allowed = ", ".join(sorted(found.handlers))
                raise ProblemError(405, "method", f"this resource knows {allowed}", headers={"Allow": allowed})
            return handler, match.groupdict()
        raise not_found()


def _told(problem: ProblemError) -> Answered:
    return Answered(problem.status, problem.document(), problem.headers, MEDIA_TYPE)


async def _send(send: Send, answer: Answered, *, with_body: bool) -> None:
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", answer.media_type),
        (b"content-length", str(len(answer.body)).encode()),
        # What a statement of somebody returns is data, whatever a browser would like to see in it.
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
    ]
    headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    start: dict[str, Any] = {"type": "http.response.start", "status": answer.status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": answer.body if with_body else b""})
