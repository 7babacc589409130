"""Notes every host call of an execution with its times on the virtual clock, and makes HTTP exchanges of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .._hostcalls.call_table import Answer, Call
from ..determinism import NANOSECONDS
from ..limits import Limits
from ..recording.exchange import HttpExchange, Operation
from .masked import Unmaskable, masked, masked_response
from .request import MAX_OVERHEAD_BYTES, HttpRequest, request_of
from .virtual import VirtualClock

if TYPE_CHECKING:
    from .._masking.masker import Masker

MAX_OPERATIONS = 200_000


class _TapedRequest:
    """One request as it goes on."""

    def __init__(self, stream: int, wanted: HttpRequest) -> None:
        self.stream = stream
        self.wanted = wanted
        self.sent = [wanted.body]
        self.received: list[bytes] = []
        self.head: Mapping[str, Any] | None = None
        self.error: Mapping[str, Any] | None = None
        self.operations: list[Operation] = []


class Tape:
    """Listens to a call table; bounded, and says in `incomplete` why it stopped listening."""

    def __init__(self, clock: VirtualClock, limits: Limits) -> None:
        self.incomplete = ""
        self.strays: list[Operation] = []
        self._clock = clock
        self._requests: list[_TapedRequest] = []
        self._by_stream: dict[int, _TapedRequest] = {}
        self._under_way: dict[int, tuple[_TapedRequest | None, int]] = {}
        self._bytes_left = 2 * limits.http_bytes + MAX_OVERHEAD_BYTES
        self._operations_left = MAX_OPERATIONS
        self._order = 0

    def issued(self, number: int, call: Call) -> None:
        """Note a call that starts."""
        op, args, blob = call
        self._operations_left -= 1
        stream = args.get("stream")
        wanted = request_of(args, blob) if op == "http.open" and type(stream) is int else None
        if not self._has_room(len(blob) if wanted is None else wanted.weight):
            return
        request = None
        if type(stream) is int:
            if wanted is not None:
                request = self._by_stream[stream] = _TapedRequest(stream, wanted)
                self._requests.append(request)
            else:
                request = self._by_stream.get(stream)
                if request is not None and op == "http.write":
                    request.sent.append(blob)
        operations = self.strays if request is None else request.operations
        self._under_way[number] = (request, len(operations))
        operations.append(Operation(op[:40], self._clock.elapsed))

    def delivered(self, answers: Mapping[int, Answer]) -> None:
        """Note answers that the guest is given together."""
        for number, answer in answers.items():
            request, index = self._under_way.pop(number, (None, -1))
            if index < 0 or not self._has_room(len(answer.blob)):
                continue
            self._order += 1
            operations = self.strays if request is None else request.operations
            kind, eof = self._content(request, answer)
            is_over = eof or kind == "error" or operations[index].op == "http.close"
            if request is not None and is_over and self._by_stream.get(request.stream) is request:
                del self._by_stream[request.stream]
            operations[index] = operations[index]._replace(
                answered=self._clock.elapsed, order=self._order, kind=kind, size=len(answer.blob), eof=eof
            )

    def exchanges(self, mask: Masker | None, check: Callable[[], None]) -> tuple[HttpExchange, ...]:
        """Every request so far, without secrets."""
        found: list[HttpExchange] = []
        for index, request in enumerate(self._requests):
            check()
            found.append(self._exchange(index, request, mask))
        return tuple(found)

    def _has_room(self, size: int) -> bool:
        self._bytes_left -= size
        if self._bytes_left < 0 or self._operations_left < 0:
            what = f"than {MAX_OPERATIONS:,} host calls" if self._operations_left < 0 else "bytes than the limits allow"
            self.incomplete = self.incomplete or f"there were more {what}"
        return not self.incomplete

    @staticmethod
    def _content(request: _TapedRequest | None, answer: Answer) -> tuple[str, bool]:
        error, fields = answer.fields.get("error"), answer.fields.get("ok")
        if request is None:
            return ("ok" if error is None else "error"), False
        if isinstance(error, dict):
            request.error = error
            return "error", False
        assert isinstance(fields, dict)
        if answer.blob:
            request.received.append(answer.blob)
        if "status" in fields:
            request.head = fields
            return "head", bool(fields.get("eof"))
        return ("data" if "eof" in fields else "ok"), bool(fields.get("eof"))

    def _exchange(self, index: int, request: _TapedRequest, mask: Masker | None) -> HttpExchange:
        whole = b"".join(request.sent)
        wanted = request.wanted._replace(body=whole).without_secrets(mask)
        if whole and not wanted.body:
            self.incomplete = self.incomplete or f"the body of request {index} may hold a secret that cannot be found"
        head = request.head or {}
        headers = tuple((str(name), str(value)) for name, value in head.get("headers", ()))
        received = b"".join(request.received)
        chunks = tuple(map(len, request.received))
        try:
            headers, body = masked_response(mask, headers, received)
        except Unmaskable as reason:
            headers, body = tuple((masked(mask, name), masked(mask, value)) for name, value in headers), b""
            self.incomplete = self.incomplete or f"the body of response {index} may hold a secret: {reason}"
        first, answers = request.operations[0], [item for item in request.operations if item.kind in ("head", "error")]
        seconds = 0.0 if not answers else (answers[0].answered or first.issued) - first.issued
        error = request.error
        return HttpExchange(
            method=wanted.method,
            url=wanted.url,
            request_headers=wanted.headers,
            request_body=wanted.body,
            status=head.get("status"),
            reason=masked(mask, head.get("reason", "")),
            http_version=head.get("http_version", "HTTP/1.1"),
            response_headers=headers,
            response_body=body,
            response_chunks=chunks if len(chunks) > 1 and body == received else (),
            error=None if error is None else {name: masked(mask, str(value)) for name, value in error.items()},
            started=self._clock.start / NANOSECONDS + first.issued / NANOSECONDS,
            seconds=seconds / NANOSECONDS,
            index=index,
            extra={"is_streamed": wanted.is_streamed, "operations": list(map(list, request.operations))},
        )
