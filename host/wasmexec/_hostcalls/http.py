"""The http capability: HTTP/1.1 requests for the guest, bodies streamed both ways in bounded chunks.

A request is a *stream* whose number the guest chooses (a positive integer, not one that is open), so that it can close
one whose opening it no longer waits for. `blob` is the frame's binary part. Operations:

http.open   {"stream": int, "method": str, "url": str, "headers": [[name, value], ...],
             "timeout": {"connect": s, "read": s, "write": s, "pool": s}, "body": "none" | "whole" | "streamed"} + blob
            `url` is http or https with its path as it goes on the wire, without userinfo and fragment; header texts are
            Latin-1; timeouts are seconds or null (no timeout but the wall limit), and may be left out. A whole body is
            the blob. Replies HEAD, or {} for a streamed body as soon as it can be sent.
http.write  {"stream": int, "end": bool} + blob of at most 1 MiB
            A piece of a streamed body; replies {} when the next one can be sent, or HEAD: after the end, or earlier
            when the server answered without waiting for it (nothing more is to be written then).
http.read   {"stream": int, "max_bytes": int}
            Replies {"eof": bool} + blob with 1 to max_bytes (at most 256 KiB) bytes of the response body as received,
            not decompressed; the blob may be empty at the end. After the end the stream is closed.
http.close  {"stream": int}
            Ends the request, wherever it is; replies {}, also for a stream that is closed or was never opened.

HEAD is {"status": int, "reason": str, "headers": [[name, value], ...], "http_version": "HTTP/1.1", "eof": bool} + blob
with as much of the body as has already arrived; with `eof` that is all of it and the stream is closed. An operation
that fails closes its stream.

What the guest says about the message itself is not believed: Host, Content-Length and Transfer-Encoding are set by the
host from the URL and the body, and hop-by-hop headers are dropped. Redirects and cookies are the guest's, so every hop
is a request of its own and is checked again.

Error codes: "denied", "connect", "connect_timeout", "read_timeout", "write_timeout", "pool_timeout", "read", "write",
"protocol" (the server broke the rules of HTTP), "limit" and "bad_request" (the guest did).
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from ..grants import Grants
from ..limits import Limits
from ..result import UsageCounter
from . import HostCallError
from ._message import CHUNK_BYTES, MAX_HEADER_BYTES, MAX_WRITE_BYTES, OutgoingRequest, body_length, parse_request
from ._pressure import before_read
from .egress import EgressPolicy, Resolver

if TYPE_CHECKING:
    import httpcore

    from .network import Network

OPERATIONS = ("http.open", "http.write", "http.read", "http.close")

Reply: TypeAlias = "tuple[dict[str, object], bytes]"

_log = logging.getLogger(__name__)


class HttpCapability:
    """The http operations of one execution. All methods run on one event loop; `aclose` ends everything."""

    def __init__(
        self, grants: Grants, limits: Limits, usage: UsageCounter, *, resolver: Resolver | None = None
    ) -> None:
        self._policy = EgressPolicy(grants.http_grants)
        self._limits = limits
        self._usage = usage
        self._resolver = resolver
        self._network: Network | None = None
        self._slots = asyncio.Semaphore(limits.http_concurrent)
        self._ended = 0
        self._exchanges: dict[int, _Exchange] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def perform(self, op: str, args: Mapping[str, object], blob: bytes) -> Reply:
        """Perform one operation; the reply and its blob.

        Raises:
            HostCallError: it fails, in a way that the guest is told about.
        """
        stream = args.get("stream")
        if isinstance(stream, bool) or not isinstance(stream, int) or stream < 1:
            raise HostCallError("bad_request", "stream must be a positive integer")
        if op == "http.open":
            if stream in self._exchanges:
                raise HostCallError("bad_request", f"stream {stream} is open already")
            return await self._settled(stream, self._open(stream, args, blob))
        if op == "http.close":
            self._end(stream)
            return {}, b""
        if op not in OPERATIONS:
            raise HostCallError("bad_request", "there is no such http operation")
        exchange = self._exchanges.get(stream)
        if exchange is None or exchange.busy:
            state = "not open" if exchange is None else "in use by another operation"
            raise HostCallError("bad_request", f"stream {stream} is {state}")
        if op == "http.write":
            return await self._settled(stream, exchange.write(blob, end=args.get("end") is True))
        max_bytes = args.get("max_bytes", CHUNK_BYTES)
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1:
            raise HostCallError("bad_request", "max_bytes must be a positive integer")
        return await self._settled(stream, exchange.read(min(max_bytes, CHUNK_BYTES)))

    async def aclose(self) -> None:
        """End every request and connection of the execution."""
        for stream in list(self._exchanges):
            self._end(stream)
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._network is not None:
            await self._network.aclose()

    async def _open(self, stream: int, args: Mapping[str, object], blob: bytes) -> Reply:
        request = parse_request(args, blob, self._policy)
        most = self._limits.http_requests
        if self._usage.http_requests >= most:
            raise HostCallError("limit", f"more than {most:,} HTTP requests (limit http_requests)")
        self._usage.http_requests += 1
        exchange = self._exchanges[stream] = _Exchange(request)
        task = asyncio.get_running_loop().create_task(self._run(exchange))
        exchange.task = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await exchange.opened()

    async def _settled(self, stream: int, operation: Coroutine[Any, Any, Reply]) -> Reply:
        """The operation's reply; its failure, its cancellation and the end of the body close the stream."""
        try:
            head, blob = await operation
        except BaseException:
            self._end(stream)
            raise
        if head.get("eof"):
            # Not cancelled: with its last byte delivered, the connection is on its way back into the pool.
            self._exchanges.pop(stream, None)
        return head, blob

    def _end(self, stream: int) -> None:
        exchange = self._exchanges.pop(stream, None)
        if exchange is not None:
            exchange.fail(HostCallError("read", "the stream was closed"))
            if exchange.task is not None:
                exchange.task.cancel()

    async def _run(self, exchange: _Exchange) -> None:
        """The whole life of a request, in one task: its place, its connection, the request, the response."""
        if f"{__package__}.network" not in sys.modules:
            # httpcore takes a while to import: not on the event loop, where everyone else would wait.
            await asyncio.to_thread(importlib.import_module, ".network", __package__)
        from .network import Network, host_call_error

        limits = self._limits
        if self._network is None:
            self._network = Network(
                http_bytes=limits.http_bytes, concurrent=limits.http_concurrent, usage=self._usage,
                resolver=self._resolver,
            )  # fmt: skip
        try:
            await self._take_slot(exchange.request.timeouts["pool"])
            try:
                await exchange.perform(await self._network.pool(exchange.request.target))
            finally:
                self._ended += 1
                self._slots.release()
        except HostCallError as error:
            exchange.fail(error)
        except Exception as error:  # whatever it is, the guest must get an answer
            known = host_call_error(error)
            if known is None:
                _log.exception("http request failed unexpectedly")
            exchange.fail(known or HostCallError("protocol", f"the request failed: {type(error).__name__}"))

    async def _take_slot(self, seconds: float | None) -> None:
        """Wait for a place among the requests in flight, as long as others end within `seconds` of each other.

        A queue that moves is the host's own doing, and not what the guest's pool timeout is about.
        """
        while True:
            ended = self._ended
            try:
                async with asyncio.timeout(seconds):
                    await self._slots.acquire()
                return
            except TimeoutError:
                if self._ended == ended:
                    raise HostCallError(
                        "pool_timeout",
                        f"{self._limits.http_concurrent} HTTP requests are in flight (limit http_concurrent) "
                        f"and none ended within {seconds:g} s",
                    ) from None


class _Exchange:
    """One request and its response: `perform` does it in a task, the operations feed it and drain it.

    At most one operation uses it at a time (`busy`), apart from `fail`.
    """

    def __init__(self, request: OutgoingRequest) -> None:
        self.request = request
        self.task: asyncio.Task[None] | None = None
        self.busy = False
        self._waiter: asyncio.Future[None] | None = None
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._piece_wanted = False
        self._fed = request.body is not None
        self._head: dict[str, object] | None = None
        self._buffer = bytearray()
        self._drained = asyncio.Event()
        self._complete = False
        self._error: HostCallError | None = None

    async def perform(self, pool: httpcore.AsyncConnectionPool) -> None:
        """Send the request and receive the response, no faster than the guest takes it."""
        # Waiting for the guest happens inside httpcore's own read: a cancellation then unwinds its generators in order,
        # where one between two of their items would leave them to the garbage collector.
        before_read.set(self._wait_for_room)
        request = self.request.for_httpcore(_StreamedBody(self._next_piece))
        response = await pool.handle_async_request(request)
        try:
            self._receive_head(response)
            # From here on `read` times the guest's own waiting: a guest busy elsewhere has not waited.
            request.extensions["timeout"]["read"] = None
            expected = body_length(self.request.method, response)
            received = 0
            self._complete = expected == 0
            self._wake()
            async for data in response.aiter_stream():
                received += len(data)
                self._buffer += data
                self._complete = received == expected
                self._wake()
            self._complete = True
            self._wake()
        finally:
            await response.aclose()

    def fail(self, error: HostCallError) -> None:
        """Let the operation under way, or the next one, fail; what has arrived can still be read."""
        if self._error is None and not self._complete:
            self._error = error
        self._wake()

    async def opened(self) -> Reply:
        """The head of the response, or {} once a streamed body can be sent."""
        await self._until(lambda: self._head is not None or self._piece_wanted)
        return self._head_reply()

    async def write(self, piece: bytes, *, end: bool) -> Reply:
        """Send a piece of the body; the head of the response at the end."""
        if self._fed or self._head is not None:
            raise HostCallError("bad_request", "nothing more is to be written to this stream")
        if len(piece) > MAX_WRITE_BYTES:
            raise HostCallError("bad_request", f"a piece of a body has at most {MAX_WRITE_BYTES:,} bytes")
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
        seconds = self.request.timeouts["read"]
        if not self._buffer and not self._complete:
            try:
                async with asyncio.timeout(seconds):
                    await self._until(lambda: bool(self._buffer) or self._complete)
            except TimeoutError:
                raise HostCallError("read_timeout", f"nothing received for {seconds:g} s") from None
        data = self._take(max_bytes)
        return {"eof": self._complete and not self._buffer}, data

    async def _next_piece(self) -> bytes | None:
        self._piece_wanted = True
        self._wake()
        return await self._pieces.get()

    async def _wait_for_room(self) -> None:
        while len(self._buffer) >= CHUNK_BYTES:
            self._drained.clear()
            await self._drained.wait()

    def _receive_head(self, response: httpcore.Response) -> None:
        if sum(len(name) + len(value) for name, value in response.headers) > MAX_HEADER_BYTES:
            raise HostCallError("protocol", f"the response has more than {MAX_HEADER_BYTES:,} bytes of headers")
        self._head = {
            "status": response.status,
            "reason": response.extensions.get("reason_phrase", b"").decode("latin-1"),
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in response.headers],
            "http_version": response.extensions.get("http_version", b"HTTP/1.1").decode("latin-1"),
        }

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
        """Wait for a state of the exchange.

        Raises:
            HostCallError: the exchange failed before it came to that.
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
