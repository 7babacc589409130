"""Finds for each host call of a replay what was answered to it when it was recorded, or what is plausible."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .._hostcalls.call_table import Answer, Call, failure, knows, unknown_operation
from .._hostcalls.http.message import CHUNK_BYTES, OPERATIONS
from .._hostcalls.usage import UsageCounter
from ..determinism import NANOSECONDS
from ..recording import Recording
from ..recording.check import operations
from ..recording.exchange import HttpExchange, Operation
from .masked import masked_body
from .request import MAX_OVERHEAD_BYTES, HttpRequest, request_of
from .virtual import LONGEST_TIMER_SECONDS

if TYPE_CHECKING:
    from .._masking.masker import Masker

DEFAULT_LATENCY = 1_000_000
"""Nanoseconds that an answer takes whose time nobody knows."""
MAX_SHOWN_URL = 200
_LAST = 1 << 60


class Planned(NamedTuple):
    """An answer to come: `latency` in nanoseconds, None for one that never comes; `order` among simultaneous ones."""

    answer: Answer
    latency: int | None
    order: int = _LAST


class ReplayedRequest(NamedTuple):
    """A request of the replay and the recorded one that answers it, None if there was none."""

    wanted: HttpRequest
    recorded: int | None


class _Recorded:
    """One recorded exchange while it is given out: as it was, as long as the guest makes the same calls."""

    def __init__(self, exchange: HttpExchange, script: Sequence[Operation]) -> None:
        self.exchange = exchange
        self._script = script
        self._next = 0
        self._position = 0
        self._is_complete = any(step.eof for step in script) if script else exchange.error is None
        answered = [step.answered for step in script if step.kind in ("head", "error") and step.answered is not None]
        self._head_latency = max(1, answered[0] - script[0].issued) if answered else _seconds(exchange.seconds)

    @property
    def is_streamed(self) -> bool:
        """Whether the body of the request was sent in pieces."""
        return bool(self.exchange.extra.get("is_streamed"))

    def answer(self, op: str, args: Mapping[str, object]) -> Planned:
        """What the next call gets."""
        step = self._script[self._next] if self._next < len(self._script) else None
        if step is not None and step.op == op:
            self._next += 1
            return self._recorded(step)
        self._next = len(self._script)
        return Planned(*self._plausible(op, args))

    def _recorded(self, step: Operation) -> Planned:
        if step.kind == "error":
            answer = self._failure()
        elif step.kind == "head":
            answer = self._head(step.size, eof=step.eof)
        elif step.kind == "data":
            answer = Answer({"ok": {"eof": step.eof}}, self._take(step.size, eof=step.eof))
        else:
            answer = Answer({"ok": {}}, b"")
        return Planned(answer, step.latency, step.order)

    def _plausible(self, op: str, args: Mapping[str, object]) -> tuple[Answer, int]:
        if op == "http.close" or (op == "http.open" and args.get("body") == "streamed"):
            return Answer({"ok": {}}, b""), DEFAULT_LATENCY
        if op == "http.write" and args.get("end") is not True:
            return Answer({"ok": {}}, b""), DEFAULT_LATENCY
        left = len(self.exchange.response_body) - self._position
        if op in ("http.open", "http.write"):
            if self.exchange.status is None:
                return self._failure(), self._head_latency
            return self._head(min(left, CHUNK_BYTES), eof=self._is_complete and left <= CHUNK_BYTES), self._head_latency
        most = args.get("max_bytes")
        size = min(left, most if type(most) is int and 0 < most < CHUNK_BYTES else CHUNK_BYTES)
        if left or self._is_complete:
            eof = self._is_complete and size == left
            return Answer({"ok": {"eof": eof}}, self._take(size, eof=eof)), DEFAULT_LATENCY
        return self._failure(), DEFAULT_LATENCY

    def _head(self, size: int, *, eof: bool) -> Answer:
        exchange = self.exchange
        head = {
            "status": exchange.status, "reason": exchange.reason,
            "headers": [list(pair) for pair in exchange.response_headers], "http_version": exchange.http_version,
            "eof": eof,
        }  # fmt: skip
        return Answer({"ok": head}, self._take(size, eof=eof))

    def _take(self, size: int, *, eof: bool) -> bytes:
        body = self.exchange.response_body
        end = len(body) if eof else self._position + size
        data = body[self._position : end]
        self._position += len(data)
        return data

    def _failure(self) -> Answer:
        error = self.exchange.error
        if error is None:
            have = len(self.exchange.response_body)
            return Answer(failure("read", f"the recording has only the first {have:,} bytes of this response"), b"")
        return Answer(failure(str(error.get("code", "read")), str(error.get("message", ""))), b"")


class Script:
    """Finds for each request of the replay the recorded one: the first unused with its method, URL and body.

    The recording has been checked.
    """

    def __init__(self, recording: Recording, mask: Masker | None, usage: UsageCounter, http_bytes: int) -> None:
        self.requests: list[ReplayedRequest] = []
        self._bytes_left = http_bytes + MAX_OVERHEAD_BYTES
        self._sent: list[bytearray] = []
        self._exchanges = recording.exchanges
        self.mask = mask
        self._usage = usage
        self._scripts: list[list[Operation]] = []
        self._unused: dict[tuple[str, str], list[int]] = {}
        for index, exchange in enumerate(recording.exchanges):
            self._unused.setdefault((exchange.method, exchange.url), []).append(index)
            self._scripts.append(operations(exchange.extra.get("operations", ())))
        self._recorded = {key: tuple(indexes) for key, indexes in self._unused.items()}
        self._strays = list(reversed(recording.strays))
        self._streams: dict[int, tuple[int, _Recorded]] = {}

    def body(self, number: int) -> bytes:
        """What was sent with a request of the replay, without secrets."""
        return masked_body(self.mask, self.requests[number].wanted.headers, bytes(self._sent[number]))

    def answer(self, call: Call) -> Planned:
        """The answer to one host call."""
        op, args, blob = call
        stream = args.get("stream")
        if type(stream) is not int or stream < 1 or op not in OPERATIONS:
            return self._stray(op, "stream must be a positive integer" if op in OPERATIONS else "")
        if op == "http.open":
            planned = self._open(stream, args, blob)
        elif stream in self._streams:
            planned = self._go_on(stream, op, args, blob)
        else:
            planned = self._stray(op, f"stream {stream} is not open")
        fields = planned.answer.fields.get("ok")
        if op == "http.close" or not isinstance(fields, dict) or fields.get("eof"):
            self._streams.pop(stream, None)
        return planned

    def _open(self, stream: int, args: Mapping[str, object], blob: bytes) -> Planned:
        wanted = request_of(args, blob).without_secrets(self.mask)
        self._bytes_left -= wanted.weight + len(blob)
        if self._bytes_left < 0:
            return _too_much()
        number = len(self.requests)
        self._usage.http_requests += 1
        self.requests.append(ReplayedRequest(wanted, None))
        self._sent.append(bytearray(blob))
        for index in self._unused.get((wanted.method, wanted.url), ()):
            if wanted.is_streamed or self._exchanges[index].request_body == wanted.body:
                return self._claim(stream, number, index).answer("http.open", args)
        return self._unrecorded(number)

    def _go_on(self, stream: int, op: str, args: Mapping[str, object], blob: bytes) -> Planned:
        number, playback = self._streams[stream]
        if op == "http.write":
            self._bytes_left -= len(blob)
            if self._bytes_left < 0:
                return _too_much()
            position = len(self._sent[number])
            self._sent[number] += blob
            found: _Recorded | None = playback
            if args.get("end") is True:
                if playback.exchange.request_body != self.body(number):
                    found = self._another(stream, number, self.body(number))
            # A secret may be on its way in two pieces: then only the whole can be compared.
            elif self.mask is None and playback.exchange.request_body[position : position + len(blob)] != blob:
                found = self._another(stream, number, bytes(self._sent[number]))
            if found is None:
                return self._unrecorded(number)
            playback = found
        return playback.answer(op, args)

    def _another(self, stream: int, number: int, sent: bytes) -> _Recorded | None:
        """Another recorded request whose body begins like the one that is being sent."""
        wanted, before = self.requests[number]
        unused = self._unused[wanted.method, wanted.url]
        index = next((index for index in unused if self._exchanges[index].request_body.startswith(sent)), None)
        if before is not None:
            unused.append(before)
            unused.sort()
            self.requests[number] = ReplayedRequest(wanted, None)
        if index is None:
            return None
        playback = self._claim(stream, number, index)
        playback.answer("http.open", {"body": "streamed"})
        return playback

    def _claim(self, stream: int, number: int, index: int) -> _Recorded:
        wanted = self.requests[number].wanted
        self._unused[wanted.method, wanted.url].remove(index)
        self.requests[number] = ReplayedRequest(wanted, index)
        playback = _Recorded(self._exchanges[index], self._scripts[index])
        self._streams[stream] = number, playback
        return playback

    def _unrecorded(self, number: int) -> Planned:
        wanted, body = self.requests[number].wanted, self.body(number)
        same = self._recorded.get((wanted.method, wanted.url), ())
        times = sum(self._exchanges[index].request_body == body for index in same)
        reason = "a replay has no network"
        if times:
            reason = f"it was made {'once' if times == 1 else f'{times} times'} only"
        elif same:
            reason = "it was made with another body"
        url = wanted.url if len(wanted.url) <= MAX_SHOWN_URL else wanted.url[: MAX_SHOWN_URL - 3] + "..."
        text = f"HTTP {wanted.method} {url} is not in the recording: {reason}"
        return Planned(Answer(failure("denied", text), b""), DEFAULT_LATENCY)

    def _stray(self, op: str, reason: str) -> Planned:
        """What a call gets that belongs to no request: what the capability would say."""
        step = self._strays.pop() if self._strays else Operation(op, 0, DEFAULT_LATENCY, _LAST)
        answer = Answer({"ok": {}}, b"")
        if not knows(op):
            answer = Answer(unknown_operation(op), b"")
        elif op not in OPERATIONS:
            answer = Answer(failure("bad_request", "there is no such http operation"), b"")
        elif op != "http.close" or reason.startswith("stream must"):
            answer = Answer(failure("bad_request", reason), b"")
        return Planned(answer, step.latency, step.order)


def _too_much() -> Planned:
    """SECURITY: what a replay sends is kept for the report, and nothing but this bounds it."""
    return Planned(Answer(failure("limit", "the statement sends more than a replay keeps"), b""), DEFAULT_LATENCY)


def _seconds(seconds: float) -> int:
    """A duration of a hand-written exchange in nanoseconds."""
    return max(1, math.ceil(min(seconds, LONGEST_TIMER_SECONDS) * NANOSECONDS)) if seconds > 0 else DEFAULT_LATENCY
