"""The network of a test: canned answers below the http capability, in place of its connections."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, cast

import httpcore

from ..error import HostCallError
from ..usage import UsageCounter

if TYPE_CHECKING:
    from ...canned import CannedHttp
    from .egress import Target

MAX_BODY_BYTES = 16 * 1024 * 1024


class CannedNetwork:
    """Stands where the network of an execution does; counts bytes like it."""

    def __init__(self, answers: CannedHttp, *, http_bytes: int, usage: UsageCounter) -> None:
        self._answers = answers
        self._http_bytes = http_bytes
        self._usage = usage

    async def pool(self, target: Target) -> CannedNetwork:
        """Whatever the target: no name is resolved, nothing is connected."""
        return self

    async def aclose(self) -> None:
        """There is nothing to release."""

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """The canned response.

        Raises:
            HostCallError: there is none, it is a failure, or a limit is reached.
        """
        body = b""
        async for piece in cast("AsyncIterable[bytes]", request.stream):
            body += piece
            if len(body) > MAX_BODY_BYTES:
                raise HostCallError("limit", "the body is too large for a canned answer")
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.headers}
        url = bytes(request.url).decode("latin-1")
        self._usage.http_bytes_sent += len(body)
        try:
            answer = self._answers.take(request.method.decode("ascii"), url, headers, body)
        except LookupError as error:
            self._usage.unserved = "unanswered"
            raise HostCallError("connect", error.args[0]) from None
        if answer.error is not None:
            raise HostCallError(answer.error, f"canned failure: {answer.error}")
        self._usage.http_bytes_received += len(answer.body)
        if max(self._usage.http_bytes_received, self._usage.http_bytes_sent) > self._http_bytes:
            raise HostCallError("limit", f"more than {self._http_bytes:,} bytes over HTTP (limit http_bytes)")
        names = {name.lower() for name, _ in answer.headers}
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
        if not names & {"content-length", "transfer-encoding"}:
            pairs.append((b"Content-Length", str(len(answer.body)).encode()))
        return httpcore.Response(answer.status, headers=pairs, content=answer.body)
