"""The asyncio loop of the guest: it never blocks, and returns to the host whenever nothing is ready.

Host calls are futures with a number. What was submitted or given up since the last return goes out in a waiting frame,
the host's completions come back in a resume frame. Timers are the host's: it is told how long the next one takes.
"""

from __future__ import annotations

import asyncio
import heapq
import sys
import threading
from asyncio import base_events, events
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, NoReturn, TypedDict

from . import errors, logs
from .errors import HostCallError

MAX_TIMER_SECONDS = 86_400.0
"""Longest wait that is announced to the host; a later timer is announced again when that is over."""

Reply = tuple[dict[str, Any], bytes]
_NO_THREADS = "the guest has no threads: call the function directly, or await an async one"
_NO_SOCKETS = "the guest has no sockets: use httpx, whose requests the host carries out"


class HostCall(asyncio.Future[Reply]):
    """The result of one host call that is under way; cancelling it tells the host that nobody waits any more."""

    def __init__(self, loop: GuestLoop, number: int) -> None:
        super().__init__(loop=loop)
        self._guest_loop = loop
        self._number = number

    def cancel(self, msg: Any | None = None) -> bool:
        """Give the call up."""
        was_cancelled = super().cancel(msg)
        if was_cancelled:
            self._guest_loop.forget(self._number)
        return was_cancelled


class NewCall(TypedDict):
    """A host call as it goes into the waiting frame."""

    number: int
    op: str
    args: Mapping[str, object]
    blob: bytes


class _NothingToSelect:
    """Stands where an ordinary loop has its selector: there is nothing that could become ready by itself."""

    def select(self, timeout: float | None) -> tuple[()]:
        return ()


class GuestLoop(base_events.BaseEventLoop):
    """One execution's loop; `run_until_idle` is its only way to run."""

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]
    _clock_resolution: float
    _timer_cancelled_count: int
    _run_once: Callable[[], None]
    _check_running: Callable[[], None]
    _asyncgen_firstiter_hook: Callable[[AsyncGenerator[Any, Any]], None]
    _asyncgen_finalizer_hook: Callable[[AsyncGenerator[Any, Any]], None]

    def __init__(self) -> None:
        super().__init__()
        self._selector = _NothingToSelect()
        self._thread_id: int | None = None
        self._calls: dict[int, HostCall] = {}
        self._last_number = 0
        self.new_calls: list[NewCall] = []
        self.cancels: list[int] = []

    def submit(self, op: str, args: Mapping[str, object], blob: bytes = b"") -> HostCall:
        """Put a host call into the next waiting frame."""
        self._last_number = number = self._last_number + 1
        call = self._calls[number] = HostCall(self, number)
        self.new_calls.append({"number": number, "op": op, "args": args, "blob": blob})
        return call

    def forget(self, number: int) -> None:
        """Nobody wants the result of this call any more."""
        if self._calls.pop(number, None) is None:
            return
        for index, call in enumerate(self.new_calls):
            if call["number"] == number:
                del self.new_calls[index]
                return
        self.cancels.append(number)

    def complete(self, number: int, reply: Reply) -> None:
        """The host has done a call."""
        call = self._calls.pop(number, None)
        if call is not None and not call.done():
            call.set_result(reply)

    def fail(self, number: int, error: HostCallError) -> None:
        """The host could not do a call."""
        call = self._calls.pop(number, None)
        if call is not None and not call.done():
            call.set_exception(error)

    def enter(self) -> None:
        """Become the running loop."""
        sys.set_asyncgen_hooks(self._asyncgen_firstiter_hook, self._asyncgen_finalizer_hook)
        self._thread_id = threading.get_ident()
        events._set_running_loop(self)

    def leave(self) -> None:
        """Be no longer the running loop."""
        events._set_running_loop(None)
        self._thread_id = None
        sys.set_asyncgen_hooks(None, None)

    def run_until_idle(self, main: asyncio.Future[Any]) -> None:
        """Run callbacks until `main` is done or nothing is ready. What a callback may raise (SystemExit) comes out."""
        ready = self._ready
        while True:
            if self._scheduled:
                self._run_once()
            else:
                for _ in range(len(ready)):
                    handle = ready.popleft()
                    if not handle.cancelled():
                        handle._run()
            if main.done() or not (ready or self._is_timer_due()):
                return

    def _is_timer_due(self) -> bool:
        scheduled = self._scheduled
        return bool(scheduled) and scheduled[0].when() < self.time() + self._clock_resolution

    def next_timer_seconds(self) -> float | None:
        """How long the next timer takes; None when there is none."""
        scheduled = self._scheduled
        while scheduled and scheduled[0].cancelled():
            self._timer_cancelled_count -= 1
            heapq.heappop(scheduled)._scheduled = False  # type: ignore[attr-defined]
        if not scheduled:
            return None
        return min(max(0.0, scheduled[0].when() - self.time()), MAX_TIMER_SECONDS)

    def waits_for_nothing(self) -> bool:
        """Whether no timer and no host call could ever wake anything."""
        return not self._calls and self.next_timer_seconds() is None

    def has_unfinished_work(self) -> bool:
        """Whether callbacks, timers or host calls are left."""
        return bool(self._ready or self._scheduled or self._calls)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """What nobody caught (a failed task that nobody awaits, a failing callback) goes to the log at warn."""
        error = context.get("exception")
        text = str(context.get("message", "an exception was never caught"))
        task = context.get("task") or context.get("future")
        if isinstance(task, asyncio.Task):
            text = f"{text}: task of '{logs.plain_name(task.get_coro())}'"
        if isinstance(error, BaseException):
            line = errors.line_of(error)
            text = f"{text}: {errors.render_last_line(error)}" + ("" if line is None else f" (line {line})")
        logs.emit(logs.WARN, text)

    def _process_events(self, event_list: object) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def run_forever(self) -> NoReturn:
        """No loop can block here: the statement already runs in one."""
        raise RuntimeError("a loop cannot be run by hand in the guest: await instead")

    def run_until_complete(self, future: Any) -> NoReturn:
        """No loop can block here: the statement already runs in one."""
        self._check_running()
        raise RuntimeError("a loop cannot be run by hand in the guest: await instead")

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> NoReturn:  # type: ignore[override]
        """Raises: RuntimeError: always."""
        raise RuntimeError(_NO_THREADS)

    async def getaddrinfo(self, *args: Any, **options: Any) -> NoReturn:
        """Raises: OSError: always."""
        raise OSError(_NO_SOCKETS)

    async def getnameinfo(self, *args: Any, **options: Any) -> NoReturn:
        """Raises: OSError: always."""
        raise OSError(_NO_SOCKETS)


class GuestPolicy(asyncio.DefaultEventLoopPolicy):
    """Makes every loop a `GuestLoop`."""

    _loop_factory = GuestLoop


def host_call(op: str, args: Mapping[str, object], blob: bytes = b"") -> HostCall:
    """Start a host call; its reply is the answer's fields and the answer's blob.

    Raises:
        HostCallError: (when awaited) the host refused or failed.
        RuntimeError: not called from a running statement.
    """
    loop = events.get_running_loop()
    if not isinstance(loop, GuestLoop):
        raise RuntimeError("host calls need the loop of the guest")
    return loop.submit(op, args, blob)


def install() -> None:
    """Make the guest's loop the only one there is, and threads fail with a reason."""
    asyncio.set_event_loop_policy(GuestPolicy())

    def refuse_thread(*args: object, **options: object) -> NoReturn:
        raise RuntimeError(f"can't start new thread: {_NO_THREADS}")

    import _thread

    for module in (threading, _thread):
        for name in ("_start_new_thread", "start_new_thread"):
            if hasattr(module, name):
                setattr(module, name, refuse_thread)
