"""The http capability: HTTP/1.1 requests for the guest, bodies streamed both ways in bounded chunks.

A request is a *stream* whose number the guest chooses (a positive integer, not one that is open), so that it can close
one whose opening it no longer waits for. `blob` is the frame's binary part. Operations:

http.open   {"stream": int, "method": str, "url": str, "headers": [[name, value], ...],
             "timeout": {"connect": s, "read": s, "write": s, "pool": s}, "body": "none" | "whole" | "streamed"} + blob
            `url` is http or https with its path as it goes on the wire, without userinfo and fragment; header texts are
            Latin-1; timeouts are seconds or null (no timeout but the wall limit), and may be left out. A whole body is
            the blob. Replies HEAD, or {} for a streamed body as soon as it can be sent.
http.write  {"stream": int, "end": bool, "read_timeout": s} + blob of at most 1 MiB
            A piece of a streamed body; replies {} when the next one can be sent, or HEAD: after the end, or earlier
            when the server answered without waiting for it (nothing more is to be written then). `read_timeout`, which
            may be left out, replaces the one given at the opening.
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
is a request of its own and is checked again. Secrets that are bound to hosts: see `secrets.py`.

Error codes: "denied", "connect", "certificate" (one side does not accept the other's), "connect_timeout",
"read_timeout", "write_timeout", "pool_timeout", "read", "write", "protocol" (the server broke the rules of HTTP),
"limit" (the statement reached one of its own) and "bad_request" (the guest broke the rules).
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...grants import Grants
from ...http_calls import CallRecord
from ...limits import Limits
from ..error import HostCallError
from ..share import in_thread
from ..usage import UsageCounter
from .egress import EgressPolicy, Resolver
from .message import CHUNK_BYTES, OPERATIONS, parse_request, timeout_seconds
from .secrets import BoundSecrets
from .stream import HttpStream, Reply

if TYPE_CHECKING:
    from ...canned import CannedHttp
    from .canned import CannedNetwork
    from .network import Network
    from .placeholders import Placeholder

_log = logging.getLogger(__name__)
_is_network_loaded = False


async def _network_loaded() -> None:
    """Return when what connects is imported: that takes a while, in which everyone else of the loop would wait.

    A module that is being imported is in `sys.modules`, too, and whoever imports it waits for the other.
    """
    if not _is_network_loaded:
        await in_thread(load_network)


def load_network() -> None:
    """Import what connects."""
    global _is_network_loaded
    network = importlib.import_module(".network", __package__)
    network.load_backend()
    _is_network_loaded = True


class HttpCapability:
    """The http operations of one execution. All methods run on one event loop; `aclose` ends everything.

    `placeholders` stand for the secrets that are bound to hosts. With `canned` nothing is connected. `on_first_request`
    is called before anything of the first request leaves, `on_request` with the record of each. `traceparent` goes
    out with every request, in place of what the statement has sent by that name.
    """

    def __init__(
        self, grants: Grants, limits: Limits, usage: UsageCounter, *, placeholders: Sequence[Placeholder] = (),
        canned: CannedHttp | None = None, resolver: Resolver | None = None,
        on_first_request: Callable[[], object] | None = None, on_request: Callable[[CallRecord], object] | None = None,
        traceparent: str | None = None,
    ) -> None:  # fmt: skip
        self._policy = EgressPolicy(grants.http_grants)
        self._canned = canned
        self._ca_file = None if grants.ca_file is None else str(grants.ca_file)
        self._proxy = grants.http_proxy
        self._secrets = BoundSecrets(placeholders, usage.warnings) if placeholders else None
        self._limits = limits
        self._usage = usage
        self._resolver = resolver
        self._on_first_request = on_first_request
        self._on_request = on_request
        self._traceparent = traceparent
        self._network: Network | CannedNetwork | None = None
        self._slots = asyncio.Semaphore(limits.http_concurrent)
        self._ended = 0
        self._streams: dict[int, HttpStream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def perform(self, op: str, args: Mapping[str, object], blob: bytes) -> Reply:
        """Perform one operation; the reply and its blob.

        Raises:
            HostCallError: it fails, in a way that the guest is told about.
        """
        number = args.get("stream")
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise HostCallError("bad_request", "stream must be a positive integer")
        if op == "http.open":
            if number in self._streams:
                raise HostCallError("bad_request", f"stream {number} is open already")
            return await self._settled(number, self._open(number, args, blob))
        if op == "http.close":
            self._end(number)
            return {}, b""
        if op not in OPERATIONS:
            raise HostCallError("bad_request", "there is no such http operation")
        stream = self._streams.get(number)
        if stream is None or stream.busy:
            state = "not open" if stream is None else "in use by another operation"
            raise HostCallError("bad_request", f"stream {number} is {state}")
        if op == "http.write":
            if "read_timeout" in args:
                stream.set_read_timeout(timeout_seconds("read", args["read_timeout"]))
            return await self._settled(number, stream.write(blob, end=args.get("end") is True))
        max_bytes = args.get("max_bytes", CHUNK_BYTES)
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1:
            raise HostCallError("bad_request", "max_bytes must be a positive integer")
        return await self._settled(number, stream.read(min(max_bytes, CHUNK_BYTES)))

    async def aclose(self) -> None:
        """End every request and connection of the execution."""
        for number in list(self._streams):
            self._end(number)
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._network is not None:
            await self._network.aclose()

    async def _open(self, number: int, args: Mapping[str, object], blob: bytes) -> Reply:
        self._usage.unserved = ""
        try:
            request = parse_request(args, blob, self._policy, self._limits)
        except HostCallError as error:
            self._usage.unserved = "denied" if error.code == "denied" else ""
            raise
        if self._secrets is not None:
            request = self._secrets.fill(request, self._limits.http_header_bytes)
        if self._traceparent is not None:
            request = request.with_header(b"traceparent", self._traceparent.encode())
        most = self._limits.http_requests
        if self._usage.http_requests >= most:
            raise HostCallError("limit", f"more than {most:,} HTTP requests (limit http_requests)")
        self._usage.http_requests += 1
        on_first_request, self._on_first_request = self._on_first_request, None
        if on_first_request is not None:
            on_first_request()
        stream = self._streams[number] = HttpStream(request, self._limits.http_header_bytes, self._secrets)
        task = asyncio.get_running_loop().create_task(self._run(stream))
        stream.task = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await stream.opened()

    async def _settled(self, number: int, operation: Coroutine[Any, Any, Reply]) -> Reply:
        """The operation's reply; its failure, its cancellation and the end of the body close the stream."""
        try:
            head, blob = await operation
        except BaseException:
            self._end(number)
            raise
        if head.get("eof"):
            # Not cancelled: with its last byte delivered, the connection is on its way back into the pool.
            self._streams.pop(number, None)
        return head, blob

    def _end(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            stream.fail(HostCallError("read", "the stream was closed"))
            if stream.task is not None:
                stream.task.cancel()

    async def _run(self, stream: HttpStream) -> None:
        """The whole life of a request, on record for whoever wants to know."""
        if self._on_request is None:
            await self._do(stream)
            return
        target = stream.request.target
        record = CallRecord(stream.request.method, target.host, target.port)
        self._on_request(record)
        error: str | None = "closed"
        try:
            error = await self._do(stream)
        finally:
            record.end(stream.status, error)

    async def _do(self, stream: HttpStream) -> str | None:
        """In one task its slot, its connection, the request, the response; the code if it fails."""
        await _network_loaded()
        from .network import Network, host_call_error

        limits = self._limits
        if self._network is None and self._canned is not None:
            from .canned import CannedNetwork

            self._network = CannedNetwork(self._canned, http_bytes=limits.http_bytes, usage=self._usage)
        elif self._network is None:
            self._network = Network(
                http_bytes=limits.http_bytes, concurrent=limits.http_concurrent, usage=self._usage,
                resolver=self._resolver, ca_file=self._ca_file, proxy=self._proxy,
            )  # fmt: skip
        try:
            await self._take_slot(stream.request.timeouts["pool"])
            try:
                await stream.perform(await self._network.pool(stream.request.target))
            finally:
                self._ended += 1
                self._slots.release()
        except HostCallError as error:
            stream.fail(error)
            return error.code
        except Exception as error:  # whatever it is, the guest must get an answer
            known = host_call_error(error)
            if known is None:
                _log.exception("http request failed unexpectedly")
            known = known or HostCallError("protocol", f"the request failed: {type(error).__name__}")
            stream.fail(known)
            return known.code
        return None

    async def _take_slot(self, seconds: float | None) -> None:
        """Wait for a slot among the requests in flight, as long as others end within `seconds` of each other.

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
