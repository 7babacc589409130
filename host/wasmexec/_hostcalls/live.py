"""`Live`: host calls answered by the capabilities themselves, each as a task on the executor's event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .call_table import Answer, Call, failure, knows, unknown_operation
from .error import HostCallError

if TYPE_CHECKING:
    import asyncio

    from .._masking.masker import Masker
    from .http.capability import HttpCapability
    from .share import Share, Turns

MAX_MESSAGE = 1000
MAX_BODY_BYTES = 64 * 1024 * 1024


def _free(seconds: float) -> None:
    """Charge nobody."""


class _Queued(NamedTuple):
    """A call that has not begun."""

    call: Call
    deliver: Callable[[Answer], None]


class Loop(Protocol):
    """An event loop on a thread of its own."""

    @property
    def turns(self) -> Turns:
        """How those who use the loop take turns; asked for on its thread."""
        ...

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Have the loop call `function(*arguments)`."""
        ...


class Live:
    """Answers the calls of one execution; see `Answers`.

    `make_http` is called on the loop at the first call of an operation of HTTP: most executions ask for none. `masker`
    hides secrets in messages of errors before they are cut. `charge` gets the processor time that the loop uses.
    `max_body_bytes`: of the bodies of all calls under way, if that is more than MAX_BODY_BYTES. `is_granted`: whether
    anything may be reached at all. `has_company`: whether other executions are awake.
    """

    def __init__(
        self, make_http: Callable[[], HttpCapability], loop: Loop, masker: Masker | None = None,
        charge: Callable[[float], None] = _free, max_body_bytes: int = MAX_BODY_BYTES,
        is_granted: bool = True, has_company: Callable[[], bool] = bool,
    ) -> None:  # fmt: skip
        self._make_http = make_http
        self._loop = loop
        self._masker = masker
        self._charge = charge
        self._max_body_bytes = max(max_body_bytes, MAX_BODY_BYTES)
        self._is_granted = is_granted
        self._has_company = has_company
        self._lock = threading.Lock()
        # What was started and has not begun on the loop; with the lock.
        self._queued: dict[int, _Queued] = {}
        self._given_up: list[int] = []
        self._is_waking = False
        self._under_way = 0
        self._body_bytes = 0
        # Only the loop thread touches these. Tasks of the guest's numbered calls have numbers above zero.
        self._http: HttpCapability | None = None
        self._share: Share | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._last_synchronous = 0

    @property
    def under_way(self) -> int:
        """Calls whose tasks have not ended."""
        return self._under_way

    def takes_body(self, op: str) -> bool:
        """Whether the body of such a call is looked at: not if it is refused anyway."""
        return self._is_granted and knows(op)

    def start(self, number: int, call: Call, deliver: Callable[[int, Answer], None]) -> None:
        """Start a task for it."""
        self._enqueue(number, call, partial(deliver, number))

    def give_up(self, number: int) -> None:
        """Cancel its task."""
        with self._lock:
            self._given_up.append(number)
        self._wake_loop()

    def perform(self, call: Call, wait: Callable[[threading.Event], None]) -> Answer:
        """Run the task and block meanwhile."""
        done = threading.Event()
        answers: list[Answer] = []

        def deliver(answer: Answer) -> None:
            answers.append(answer)
            done.set()

        self._last_synchronous -= 1
        self._enqueue(self._last_synchronous, call, deliver)
        try:
            wait(done)
        except BaseException:
            self.give_up(self._last_synchronous)
            raise
        return answers[0]

    def close(self) -> None:
        """Cancel what is under way and release connections, on the loop thread."""
        with self._lock:
            self._queued.clear()
        self._loop.call(self._close)

    def _enqueue(self, number: int, call: Call, deliver: Callable[[Answer], None]) -> None:
        with self._lock:
            has_room = self._body_bytes + len(call.blob) <= self._max_body_bytes
            if has_room:
                self._queued[number] = _Queued(call, deliver)
                self._count(call, 1)
        if has_room:
            self._wake_loop()
        else:
            deliver(Answer(failure("limit", f"more than {self._max_body_bytes:,} bytes in the calls under way"), b""))

    def _wake_loop(self) -> None:
        """Once for all that is queued. The coroutines are made there: a loop that is closed leaves none behind."""
        with self._lock:
            is_waking, self._is_waking = self._is_waking, True
        if not is_waking:
            self._loop.call(self._begin)

    def _count(self, call: Call, sign: int) -> None:
        self._under_way += sign
        self._body_bytes += sign * len(call.blob)

    def _begin(self) -> None:
        """Begin what has been started, as far as it is our turn."""
        share = self._my_share()
        with share.step():
            self._cancel_given_up()
            while self._queued:
                if not share.has_turn:
                    share.when_free(self._begin)
                    return
                with self._lock:
                    if not self._queued:
                        return
                    number = next(iter(self._queued))
                    call, deliver = self._queued.pop(number)
                self._spawn(number, self._answer(call, deliver), call)

    def _my_share(self) -> Share:
        if self._share is None:
            from .share import Share

            self._share = Share(self._loop.turns, self._charge, self._has_company)
        return self._share

    def _spawn(self, number: int, work: Coroutine[Any, Any, None], call: Call | None = None) -> None:
        import asyncio

        task = asyncio.get_running_loop().create_task(work)
        self._tasks[number] = task
        task.add_done_callback(partial(self._ended, number, call))

    def _ended(self, number: int, call: Call | None, task: asyncio.Task[None]) -> None:
        del self._tasks[number]
        if call is not None:
            with self._lock:
                self._count(call, -1)

    def _cancel_given_up(self) -> None:
        with self._lock:
            self._is_waking = False
            given_up, self._given_up = self._given_up, []
            for number in given_up:
                queued = self._queued.pop(number, None)
                if queued is not None:
                    self._count(queued.call, -1)
        for number in given_up:
            task = self._tasks.get(number)
            if task is not None:
                task.cancel()

    def _close(self) -> None:
        tasks = tuple(self._tasks.values())
        if not tasks and self._http is None:
            return
        with self._my_share().step():
            for task in tasks:
                task.cancel()
            self._spawn(0, self._release(tasks))

    async def _release(self, tasks: tuple[asyncio.Task[None], ...]) -> None:
        import asyncio

        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            if self._http is not None:
                await self._http.aclose()

    async def _answer(self, call: Call, deliver: Callable[[Answer], None]) -> None:
        if not knows(call.op):
            deliver(Answer(unknown_operation(call.op), b""))
            return
        try:
            if self._http is None:
                self._http = self._make_http()
            fields, body = await self._http.perform(*call)
            answer = Answer({"ok": fields}, body)
        except HostCallError as error:
            answer = Answer(failure(error.code, self._told(error.message)), b"")
        except Exception as error:  # a fault of ours must not reach the guest as text, nor leave it waiting for ever
            answer = Answer(failure("internal", f"the host call failed ({type(error).__name__})"), b"")
        deliver(answer)

    def _told(self, message: str) -> str:
        """A message that may quote anything the guest sent, without secrets and then not too long."""
        if self._masker is not None:
            message = self._masker.exactly(message)
        return message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE - 3]}..."
