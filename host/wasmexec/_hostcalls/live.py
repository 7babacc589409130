"""`Live`: host calls answered by the capabilities themselves, each as a task on the executor's event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from .call_table import Answer, Call, failure, knows, unknown_operation
from .error import HostCallError

if TYPE_CHECKING:
    import asyncio

    from .._masking.masker import Masker
    from .http.capability import HttpCapability

MAX_MESSAGE = 1000


class Loop(Protocol):
    """An event loop on a thread of its own."""

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Have the loop call `function(*arguments)`."""
        ...


class Live:
    """Answers the calls of one execution; see `Answers`.

    `make_http` is called on the loop at the first call of an operation of HTTP: most executions ask for none. `masker`
    hides secrets in messages of errors before they are cut.
    """

    def __init__(self, make_http: Callable[[], HttpCapability], loop: Loop, masker: Masker | None = None) -> None:
        self._make_http = make_http
        self._loop = loop
        self._masker = masker
        self._http: HttpCapability | None = None
        self._lock = threading.Lock()
        self._under_way = 0
        # Only the loop thread touches the tasks. Those of the guest's numbered calls have numbers above zero.
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._last_synchronous = 0

    @property
    def under_way(self) -> int:
        """Calls whose tasks have not ended."""
        return self._under_way

    def start(self, number: int, call: Call, deliver: Callable[[int, Answer], None]) -> None:
        """Start a task for it."""
        with self._lock:
            self._under_way += 1
        self._loop.call(self._begin, number, call, partial(deliver, number))

    def give_up(self, number: int) -> None:
        """Cancel its task."""
        self._loop.call(self._cancel, number)

    def perform(self, call: Call, wait: Callable[[threading.Event], None]) -> Answer:
        """Run the task and block meanwhile."""
        done = threading.Event()
        answers: list[Answer] = []

        def deliver(answer: Answer) -> None:
            answers.append(answer)
            done.set()

        self._last_synchronous -= 1
        self._loop.call(self._begin, self._last_synchronous, call, deliver)
        try:
            wait(done)
        except BaseException:
            self.give_up(self._last_synchronous)
            raise
        return answers[0]

    def close(self) -> None:
        """Cancel what is under way and release connections, on the loop thread."""
        self._loop.call(self._close)

    def _begin(self, number: int, call: Call, deliver: Callable[[Answer], None]) -> None:
        # Made here: a loop that is closed drops the call, and nothing may be left that was never awaited.
        self._spawn(number, self._answer(call, deliver))

    def _spawn(self, number: int, work: Coroutine[Any, Any, None]) -> None:
        import asyncio

        task = asyncio.get_running_loop().create_task(work)
        self._tasks[number] = task
        task.add_done_callback(partial(self._ended, number))

    def _ended(self, number: int, task: asyncio.Task[None]) -> None:
        del self._tasks[number]
        if number > 0:
            with self._lock:
                self._under_way -= 1

    def _cancel(self, number: int) -> None:
        task = self._tasks.get(number)
        if task is not None:
            task.cancel()

    def _close(self) -> None:
        tasks = tuple(self._tasks.values())
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
