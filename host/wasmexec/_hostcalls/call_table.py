"""The host calls of one execution under way: started on the event loop, collected as frames for the guest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import orjson

from .._guest.channel import BadFrame, Frame, blob_part, pack_frame, parse_frame
from .calls import HostCalls
from .error import HostCallError

if TYPE_CHECKING:
    import asyncio

    from .._execution.threads import LoopThread
    from .._masking.masker import Masker

MAX_OPEN_CALLS = 4096
MAX_MESSAGE = 1000


class Answer(NamedTuple):
    """One finished call: the fields of its "ok" or "error", and its body."""

    fields: dict[str, object]
    blob: bytes


class Observer(Protocol):
    """Hears, on the worker that runs the guest, of every call when it starts and when the guest is told its answer."""

    def issued(self, number: int, op: str, args: Mapping[str, object], blob: bytes) -> None: ...
    def delivered(self, answers: Mapping[int, Answer]) -> None: ...


class CallTable:
    """Calls that the guest has started and not yet heard of; `wake` is called on the loop thread after each answer.

    `submit`, `collect` and `call` belong to the worker that runs the guest. `masker` hides secrets in messages of
    errors, which are cut.
    """

    masker: Masker | None = None

    def __init__(
        self, host_calls: HostCalls, loop: LoopThread, wake: Callable[[], None], observer: Observer | None = None
    ) -> None:
        self._host_calls = host_calls
        self._loop = loop
        self._wake = wake
        self._observer = observer
        self._lock = threading.Lock()
        self._open: set[int] = set()
        self._answers: dict[int, Answer] = {}
        self._unfinished = 0
        # Only the loop thread touches the tasks.
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._last_number = self._last_sync = 0

    @property
    def has_open(self) -> bool:
        """True while an answer is still to come."""
        return bool(self._open)

    @property
    def has_answers(self) -> bool:
        """True while the guest has not been told of an answer."""
        return bool(self._answers)

    def submit(self, frame: Frame) -> None:
        """Start the "calls" of a waiting frame and cancel its "cancels".

        Raises:
            BadFrame: not calls, a number that does not rise, or too many at once.
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
                self._give_up(number)
        for call in calls:
            op, args, blob = _parse_call(frame, call)
            number = args.pop("id", None)
            if type(number) is not int or number <= 0:
                raise BadFrame("a call has no number")
            with self._lock:
                if number <= self._last_number:
                    raise BadFrame(f"call {number} was started before")
                # Cancelled calls count until they have really ended, or the loop could be flooded with them.
                if self._unfinished + len(self._answers) >= MAX_OPEN_CALLS:
                    raise BadFrame(f"more than {MAX_OPEN_CALLS} calls at once")
                self._last_number = number
                self._unfinished += 1
                self._open.add(number)
            if self._observer is not None:
                self._observer.issued(number, op, args, blob)
            self._launch(number, op, args, blob)

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
        op, args, blob = _parse_call(frame, frame.head)
        if not self._host_calls.knows(op):
            return pack_frame(failure("bad_request", f"there is no host call {op[:50]!r}"))
        # Numbers below zero are ours, so they never meet those of the guest.
        self._last_sync -= 1
        number = self._last_sync
        if self._observer is not None:
            self._observer.issued(number, op, args, blob)
        answer = self._wait_for(number, op, args, blob, wait)
        if self._observer is not None:
            self._observer.delivered({number: answer})
        return pack_frame(_with_blob(answer, 0), answer.blob)

    def close(self) -> None:
        """Cancel what is under way and release connections, on the loop thread."""
        self._loop.call(self._close)

    def _launch(self, number: int, op: str, args: Mapping[str, object], blob: bytes) -> None:
        self._loop.call(self._start, number, op, args, blob)

    def _give_up(self, number: int) -> None:
        self._loop.call(self._cancel, number)

    def _wait_for(
        self,
        number: int,
        op: str,
        args: Mapping[str, object],
        blob: bytes,
        wait: Callable[[threading.Event], None],
    ) -> Answer:
        done = threading.Event()
        self._loop.call(self._start, number, op, args, blob, done)
        try:
            wait(done)
        except BaseException:
            self._give_up(number)
            raise
        with self._lock:
            return self._answers.pop(number)

    def _start(
        self, number: int, op: str, args: Mapping[str, object], blob: bytes, done: threading.Event | None = None
    ) -> None:
        self._spawn(number, self._perform(number, op, args, blob, done))

    def _spawn(self, number: int, work: Coroutine[Any, Any, None]) -> None:
        import asyncio

        task = asyncio.get_running_loop().create_task(work)
        self._tasks[number] = task
        task.add_done_callback(partial(self._ended, number))

    def _ended(self, number: int, task: asyncio.Task[None]) -> None:
        self._tasks.pop(number, None)
        if number > 0:
            with self._lock:
                self._unfinished -= 1

    def _cancel(self, number: int) -> None:
        task = self._tasks.get(number)
        if task is not None:
            task.cancel()

    def _close(self) -> None:
        for task in tuple(self._tasks.values()):
            task.cancel()
        self._spawn(0, self._release(tuple(self._tasks.values())))

    async def _release(self, tasks: tuple[asyncio.Task[None], ...]) -> None:
        import asyncio

        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await self._host_calls.aclose()

    def _told(self, message: str) -> str:
        """A message that may quote anything the guest sent, without secrets and then not too long."""
        if self.masker is not None:
            message = self.masker.exactly(message)
        return message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE - 3]}..."

    async def _perform(
        self, number: int, op: str, args: Mapping[str, object], blob: bytes, done: threading.Event | None
    ) -> None:
        try:
            fields, body = await self._host_calls.perform(op, args, blob)
            answer = Answer({"ok": fields}, body)
        except HostCallError as error:
            answer = Answer(failure(error.code, self._told(error.message)), b"")
        except Exception as error:  # a fault of ours must not reach the guest as text, nor leave it waiting for ever
            answer = Answer(failure("internal", f"the host call failed ({type(error).__name__})"), b"")
        with self._lock:
            if done is None:
                if number not in self._open:
                    return
                self._open.discard(number)
            self._answers[number] = answer
        if done is None:
            self._wake()
        else:
            done.set()


def _parse_call(frame: Frame, call: object) -> tuple[str, dict[str, object], bytes]:
    if not isinstance(call, dict):
        raise BadFrame("a call is not an object")
    args: dict[str, object] = dict(call)
    op = args.pop("op", None)
    if not isinstance(op, str):
        raise BadFrame("a call names no operation")
    reference = args.pop("blob", None)
    return op, args, b"" if reference is None else bytes(blob_part(frame, reference))


def failure(code: str, message: str) -> dict[str, object]:
    return {"error": {"code": code, "message": message}}


def _with_blob(answer: Answer, position: int) -> dict[str, object]:
    if not answer.blob:
        return answer.fields
    fields = answer.fields["ok"]
    assert isinstance(fields, dict)
    return {"ok": {**fields, "blob": [position, len(answer.blob)]}}
