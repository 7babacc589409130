"""One HTTP request and its response, between the task that performs it and the operations that feed and drain it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from ..error import HostCallError
from .headers import check_size
from .message import CHUNK_BYTES, MAX_WRITE_BYTES, OutgoingRequest, body_length, is_chunked
from .pieces import Pieces
from .pressure import reader

if TYPE_CHECKING:
    import httpcore

    from .canned import CannedNetwork
    from .secrets import BoundSecrets

Reply: TypeAlias = "tuple[dict[str, object], bytes]"


class HttpStream:
    """One request and its response: `perform` does it in a task, the operations feed it and drain it; a `Reader`.

    At most one operation uses it at a time (`busy`), apart from `fail`.
    """

    def __init__(self, request: OutgoingRequest, max_header_bytes: int, secrets: BoundSecrets | None = None) -> None:
        self.request = request
        self._max_header_bytes = max_header_bytes
        self._mask = None if secrets is None else secrets.mask(request.target)
        self._body_mask = None if self._mask is None else self._mask.stream()
        self._filler = None if secrets is None or request.body is not None else secrets.body_filler(request)
        self._read_seconds = request.timeouts["read"]
        # The one that httpcore looks at.
        self._timeouts = dict(request.timeouts)
        self.task: asyncio.Task[None] | None = None
        self.busy = False
        self._waiter: asyncio.Future[None] | None = None
        self._incoming = Pieces()
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._piece_wanted = False
        self._fed = request.body is not None
        self._head: dict[str, object] | None = None
        self._buffer = bytearray()
        self._drained = asyncio.Event()
        self._complete = False
        self._error: HostCallError | None = None

    @property
    def status(self) -> int | None:
        """The status of the response; None as long as there is none."""
        status = None if self._head is None else self._head["status"]
        return status if isinstance(status, int) else None

    async def perform(self, pool: httpcore.AsyncConnectionPool | CannedNetwork) -> None:
        """Send the request and receive the response, no faster than the guest takes it."""
        # Waiting for the guest happens inside httpcore's own read: a cancellation then unwinds its generators in order,
        # where one between two of their items would leave them to the garbage collector.
        reader.set(self)
        request = self.request.for_httpcore(_StreamedBody(self._next_piece), self._timeouts)
        response = await pool.handle_async_request(request)
        try:
            self._receive_head(response)
            # From here on `read` times the guest's own waiting: a guest busy elsewhere has not waited.
            self._timeouts["read"] = None
            expected = body_length(self.request.method, response)
            received = 0
            self._complete = expected == 0
            self._wake()
            async for data in response.aiter_stream():
                received += len(data)
                self._receive(data, complete=received == expected)
            self._receive(b"", complete=True)
        finally:
            await response.aclose()

    def fail(self, error: HostCallError) -> None:
        """Let the operation under way, or the next one, fail; what has arrived can still be read."""
        if self._error is None and not self._complete:
            self._error = error if self._mask is None else self._mask.hide_in_error(error)
        self._wake()

    async def opened(self) -> Reply:
        """The head of the response, or {} once a streamed body can be sent."""
        await self._until(lambda: self._head is not None or self._piece_wanted)
        return self._head_reply()

    def set_read_timeout(self, seconds: float | None) -> None:
        """Wait so long for the response that is to come, instead of what the request said."""
        if self._head is None:
            self._read_seconds = self._timeouts["read"] = seconds

    async def write(self, piece: bytes, *, end: bool) -> Reply:
        """Send a piece of the body; the head of the response at the end."""
        if self._fed or self._head is not None:
            raise HostCallError("bad_request", "nothing more is to be written to this stream")
        if len(piece) > MAX_WRITE_BYTES:
            raise HostCallError("bad_request", f"a piece of a body has at most {MAX_WRITE_BYTES:,} bytes")
        if self._filler is not None:
            piece = self._filler.feed(piece) + (self._filler.finish() if end else b"")
        self._fed = end
        self._piece_wanted = False
        if piece:
            self._pieces.put_nowait(bytes(piece))
        elif not end:
            return {}, b""
        if end:
            self._pieces.put_nowait(None)
        await self._until(lambda: self._head is not None or (self._piece_wanted and not end))
        return self._head_reply()

    async def read(self, max_bytes: int) -> Reply:
        """The next bytes of the body."""
        if self._head is None:
            raise HostCallError("bad_request", "the body of the request has not been sent")
        seconds = self._read_seconds
        if not self._buffer and not self._complete:
            try:
                async with asyncio.timeout(seconds):
                    await self._until(lambda: bool(self._buffer) or self._complete)
            except TimeoutError:
                raise HostCallError("read_timeout", f"nothing received for {seconds:g} s") from None
        data = self._take(max_bytes)
        return {"eof": self._complete and not self._buffer}, data

    async def room(self) -> None:
        """Return when more of the response may be read."""
        while len(self._buffer) >= CHUNK_BYTES:
            self._drained.clear()
            await self._drained.wait()

    def piece(self, data: bytes) -> int:
        """How many of the bytes that have been read are parsed next.

        Raises:
            HostCallError: "protocol", see `Pieces`.
        """
        return self._incoming.next(data)

    async def _next_piece(self) -> bytes | None:
        self._piece_wanted = True
        self._wake()
        return await self._pieces.get()

    def _receive_head(self, response: httpcore.Response) -> None:
        check_size("response", response.headers, self._max_header_bytes, "protocol")
        headers, reason = response.headers, response.extensions.get("reason_phrase", b"")
        self._incoming.begin_body(is_chunked=is_chunked(headers))
        if self._mask is not None:
            if body_length(self.request.method, response) != 0:
                self._mask.check(headers)
            hide = self._mask.hide
            headers, reason = [(hide(name), hide(value)) for name, value in headers], hide(reason)
        self._head = {
            "status": response.status,
            "reason": reason.decode("latin-1"),
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers],
            "http_version": response.extensions.get("http_version", b"HTTP/1.1").decode("latin-1"),
        }

    def _receive(self, data: bytes, *, complete: bool) -> None:
        if self._body_mask is not None:
            data = self._body_mask.feed(data)
            if complete:
                data += self._body_mask.finish()
        self._buffer += data
        self._complete = complete
        self._wake()

    def _head_reply(self) -> Reply:
        if self._head is None:
            return {}, b""
        data = self._take(CHUNK_BYTES)
        return {**self._head, "eof": self._complete and not self._buffer}, data

    def _take(self, max_bytes: int) -> bytes:
        data = bytes(self._buffer[:max_bytes])
        del self._buffer[:max_bytes]
        self._drained.set()
        return data

    async def _until(self, ready: Callable[[], bool]) -> None:
        """Wait for a state of the stream.

        Raises:
            HostCallError: the stream failed before it came to that.
        """
        self.busy = True
        try:
            while not ready():
                if self._error is not None:
                    raise self._error
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter
        finally:
            self.busy = False

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _StreamedBody:
    """A request body in the pieces that the guest writes.

    An iterator and not a generator: one that is dropped half-way leaves nothing to be closed.
    """

    def __init__(self, next_piece: Callable[[], Awaitable[bytes | None]]) -> None:
        self._next_piece = next_piece

    def __aiter__(self) -> _StreamedBody:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._next_piece()
        if piece is None:
            raise StopAsyncIteration
        return piece
