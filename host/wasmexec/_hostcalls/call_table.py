"""The host calls of one execution under way: taken from frames, answered by somebody, collected as frames."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import orjson

from .._guest.channel import BadFrame, Frame, blob_part, pack_frame, parse_frame

MAX_OPEN_CALLS = 4096
CAPABILITIES = ("http.",)
"""What operations of a capability begin with."""


def knows(op: str) -> bool:
    """Whether some capability may have such an operation."""
    return op.startswith(CAPABILITIES)


class Call(NamedTuple):
    """One host call of the guest: an operation, its fields and its body."""

    op: str
    args: Mapping[str, object]
    blob: bytes


class Answer(NamedTuple):
    """One finished call: the fields of its "ok" or "error", and its body."""

    fields: dict[str, object]
    blob: bytes


class Answers(Protocol):
    """Who answers: the capabilities themselves, or a recording. Used by the worker that runs the guest."""

    @property
    def under_way(self) -> int:
        """Calls that were started and have not ended, those included that nobody waits for any more."""
        ...

    def takes_body(self, op: str) -> bool:
        """Whether the body of such a call is looked at."""
        ...

    def start(self, number: int, call: Call, deliver: Callable[[int, Answer], None]) -> None:
        """Have a call answered: `deliver(number, answer)` is called once, on any thread, unless it is given up."""
        ...

    def give_up(self, number: int) -> None:
        """The guest no longer waits for a call that was started."""
        ...

    def perform(self, call: Call, wait: Callable[[threading.Event], None]) -> Answer:
        """Answer a call while the guest stands still; whatever `wait` raises gives it up."""
        ...

    def close(self) -> None:
        """End what is under way."""
        ...


class Observer(Protocol):
    """Hears, on the worker that runs the guest, of every call when it starts and when the guest is told its answer."""

    def issued(self, number: int, call: Call) -> None: ...
    def delivered(self, answers: Mapping[int, Answer]) -> None: ...


def _no_check() -> None:
    """Nobody wants to stop."""


class CallTable:
    """Calls that the guest has started and not yet heard of; `wake` is called after each answer.

    `submit`, `collect` and `call` belong to the worker that runs the guest.
    """

    def __init__(self, answers: Answers, wake: Callable[[], None], observer: Observer | None = None) -> None:
        self._source = answers
        self._wake = wake
        self._observer = observer
        self._lock = threading.Lock()
        self._open: set[int] = set()
        self._answers: dict[int, Answer] = {}
        self._last_number = self._last_sync = 0

    @property
    def has_open(self) -> bool:
        """True while an answer is still to come."""
        return bool(self._open)

    @property
    def has_answers(self) -> bool:
        """True while the guest has not been told of an answer."""
        return bool(self._answers)

    def submit(self, frame: Frame, check: Callable[[], None] = _no_check) -> None:
        """Start the "calls" of a waiting frame and cancel its "cancels".

        `check` is called between two of them; what it raises leaves the others out.

        Raises:
            BadFrame: not calls, a number that does not rise, too many at once, or two that name the same bytes.
        """
        cancels = frame.head.get("cancels") or []
        calls = frame.head.get("calls") or []
        if not isinstance(cancels, list) or not isinstance(calls, list):
            raise BadFrame("calls and cancels must be lists")
        for number in cancels:
            if type(number) is not int:
                raise BadFrame("a cancelled call is not a number")
            with self._lock:
                known = number in self._open
                self._open.discard(number)
                self._answers.pop(number, None)
            if known:
                self._source.give_up(number)
        # Cancelled calls count until they have really ended, or the source could be flooded with them.
        if self._source.under_way + len(self._answers) + len(calls) > MAX_OPEN_CALLS:
            raise BadFrame(f"more than {MAX_OPEN_CALLS} calls at once")
        position = 0
        for item in calls:
            check()
            call, position = self._parse(frame, item, position)
            number = item.get("id")
            if type(number) is not int or number <= 0:
                raise BadFrame("a call has no number")
            if number <= self._last_number:
                raise BadFrame(f"call {number} was started before")
            self._last_number = number
            with self._lock:
                self._open.add(number)
            if self._observer is not None:
                self._observer.issued(number, call)
            self._source.start(number, call, self._deliver)

    def collect(self) -> tuple[bytes, list[bytes]]:
        """Head and blobs of a resume frame with every answer that has come in."""
        with self._lock:
            answers, self._answers = self._answers, {}
        if self._observer is not None and answers:
            self._observer.delivered(answers)
        completions: list[dict[str, object]] = []
        blobs: list[bytes] = []
        position = 0
        for number, answer in answers.items():
            completions.append({"id": number, **_with_blob(answer, position)})
            if answer.blob:
                blobs.append(answer.blob)
                position += len(answer.blob)
        return orjson.dumps({"kind": "resume", "completions": completions}), blobs

    def call(self, request: memoryview, wait: Callable[[threading.Event], None]) -> bytes:
        """Perform one call while the guest stands still: request frame in, reply frame out.

        `wait(event)` blocks until the event is set; whatever it raises cancels the call.

        Raises:
            BadFrame: the request is no frame or names no operation.
        """
        frame = parse_frame(request)
        call, _ = self._parse(frame, frame.head, 0)
        if not knows(call.op):
            return pack_frame(unknown_operation(call.op))
        # Numbers below zero are ours, so they never meet those of the guest.
        self._last_sync -= 1
        number = self._last_sync
        if self._observer is not None:
            self._observer.issued(number, call)
        answer = self._source.perform(call, wait)
        if self._observer is not None:
            self._observer.delivered({number: answer})
        return pack_frame(_with_blob(answer, 0), answer.blob)

    def close(self) -> None:
        """End what is under way."""
        self._source.close()

    def _parse(self, frame: Frame, item: object, position: int) -> tuple[Call, int]:
        """A call, and where the bodies of those after it may begin.

        SECURITY: each byte of a frame is the body of one call at most, or a small frame would be a large one a thousand
        times over.
        """
        if not isinstance(item, dict):
            raise BadFrame("a call is not an object")
        args: dict[str, object] = dict(item)
        args.pop("id", None)
        op = args.pop("op", None)
        if not isinstance(op, str):
            raise BadFrame("a call names no operation")
        reference = args.pop("blob", None)
        if reference is None:
            return Call(op, args, b""), position
        body = blob_part(frame, reference)
        assert isinstance(reference, list)
        if body and reference[0] < position:
            raise BadFrame("two calls name the same bytes, or the later one earlier ones")
        is_wanted = self._observer is not None or self._source.takes_body(op)
        return Call(op, args, bytes(body) if is_wanted else b""), max(position, sum(reference))

    def _deliver(self, number: int, answer: Answer) -> None:
        with self._lock:
            if number not in self._open:
                return
            self._open.discard(number)
            self._answers[number] = answer
        self._wake()


def failure(code: str, message: str) -> dict[str, object]:
    """The fields of an answer that is an error."""
    return {"error": {"code": code, "message": message}}


def unknown_operation(op: str) -> dict[str, object]:
    """The answer to an operation that does not exist."""
    return failure("bad_request", f"there is no host call {op[:50]!r}")


def _with_blob(answer: Answer, position: int) -> dict[str, object]:
    if not answer.blob:
        return answer.fields
    fields = answer.fields["ok"]
    assert isinstance(fields, dict)
    return {"ok": {**fields, "blob": [position, len(answer.blob)]}}
