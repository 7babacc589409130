"""Each execution's share of the event loop: what it uses there is measured, charged to it, and taken in turns.

One loop serves the host calls of all executions of an executor, in small steps: whoever is about to do more of them
asks for its turn (`Share.turn`), and one that has used more than a little gets them one by one; if others are awake,
with rests in which the loop and the interpreter are free for them.
"""

from __future__ import annotations

import asyncio
import collections.abc
import contextlib
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

FREE_SECONDS = 0.003
"""Processor time that an execution may use before it has to wait for turns; it comes back with time, see FREE_PART."""
FREE_PART = 0.1
TURN_SECONDS = 0.002
"""What one turn is for. SECURITY: a step between two turns must not take much longer, whatever a server sends."""
LONGEST_REST_SECONDS = 0.02
AT_WORK_SECONDS = 0.001
"""How long the loop goes on before it lets go of the interpreter's lock for PAUSE_SECONDS."""
PAUSE_SECONDS = 0.0001
"""Longer than it takes to wake a thread."""
_TIMER_SECONDS = 0.001

_current: ContextVar[Share | None] = ContextVar("_current", default=None)


class Turns:
    """Hands out turns on one loop, round and round; after one whose execution has company, it rests for as long.

    Used on the thread of the loop only; `rest` counts what no task did (sockets, the loop itself).
    """

    def __init__(self) -> None:
        self._waiting: deque[Share] = deque()
        self._is_busy = False
        self._active: dict[Share, float] = {}
        self._settled_at: float | None = None

    def join(self, share: Share) -> None:
        """Have a share called when it is its turn."""
        self._waiting.append(share)
        if not self._is_busy:
            self._is_busy = True
            # It has just used up what it had.
            self._rest(share, share.used - TURN_SECONDS)

    def used(self, share: Share, seconds: float) -> None:
        """Note what a step of an execution took."""
        self._active[share] = self._active.get(share, 0.0) + seconds

    def settle(self) -> None:
        """Charge what the loop has done since it was last asked, beyond the steps, to those who had steps."""
        now = time.thread_time()
        if self._settled_at is not None and self._active:
            known = sum(self._active.values())
            more = now - self._settled_at - known
            active, self._active = self._active, {}
            for share, seconds in active.items():
                share.add(more * (seconds / known if known else 1 / len(active)))
        elif self._settled_at is not None:
            # Whoever comes next was the reason, most likely.
            return
        self._settled_at = now

    def _next(self) -> None:
        while self._waiting:
            share = self._waiting.popleft()
            before = share.used
            if share.grant():
                # After what the turn is for has been done, which is in the loop's next round.
                asyncio.get_running_loop().call_soon(self._rest, share, before)
                return
        self._is_busy = False

    def _rest(self, share: Share, before: float) -> None:
        loop = asyncio.get_running_loop()
        if share.has_company():
            rest = min(max(share.used - before, _TIMER_SECONDS), LONGEST_REST_SECONDS)
            loop.call_later(rest, self._next)
        else:
            loop.call_soon(self._next)


class Share:
    """What one execution may do on the loop, and what it has done there; used on the thread of the loop only.

    `charge` gets every processor time that is used; `has_company` tells whether other executions are awake.
    """

    def __init__(self, turns: Turns, charge: Callable[[float], None], has_company: Callable[[], bool]) -> None:
        self.used = 0.0
        self.has_company = has_company
        self._turns = turns
        self._charge = charge
        self._left = FREE_SECONDS
        self._looked_at = time.monotonic()
        self._step_began: float | None = None
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_queued = False

    @property
    def has_turn(self) -> bool:
        """Whether more may be done at once."""
        running = 0.0 if self._step_began is None else time.thread_time() - self._step_began
        if self._left > running:
            return True
        now = time.monotonic()
        self._left = min(FREE_SECONDS, self._left + FREE_PART * (now - self._looked_at))
        self._looked_at = now
        return self._left > running

    async def turn(self) -> None:
        """Return when it may do more.

        What is left of a turn is used up although others of the same execution wait: a turn for each small step would
        cost more than the steps.
        """
        if self.has_turn:
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def go_on() -> None:
            if not mine.done():
                mine.set_result(None)

        self.when_free(go_on)
        try:
            await mine
        except asyncio.CancelledError:
            with contextlib.suppress(ValueError):
                self._waiting.remove(go_on)
            raise

    def when_free(self, function: Callable[[], None]) -> None:
        """Have a function called when it may do more."""
        self._waiting.append(function)
        if not self._is_queued:
            self._is_queued = True
            self._turns.join(self)

    def grant(self) -> bool:
        """It is its turn; False if it has no use for it any more."""
        self._is_queued = False
        if not self._waiting:
            return False
        self._left = TURN_SECONDS
        self._looked_at = time.monotonic()
        self._waiting.popleft()()
        if self._waiting:
            self._is_queued = True
            self._turns.join(self)
        return True

    def add(self, seconds: float) -> None:
        """Count processor time that was used for it."""
        self.used += seconds
        self._left -= seconds
        self._charge(seconds)

    def begin_step(self) -> None:
        """What is done from now on is done for this execution."""
        self._step_began = time.thread_time()

    def end_step(self) -> None:
        """It has been done."""
        began, self._step_began = self._step_began, None
        if began is not None:
            seconds = time.thread_time() - began
            self._turns.used(self, seconds)
            self.add(seconds)

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """What is done meanwhile is done for this execution, and so are the tasks that are made of it."""
        token = _current.set(self)
        self.begin_step()
        try:
            yield
        finally:
            self.end_step()
            _current.reset(token)


async def take_turn() -> None:
    """Wait for the turn of the execution that this task works for."""
    share = _current.get()
    if share is not None:
        await share.turn()


_Answer = TypeVar("_Answer")


async def in_thread(function: Callable[..., _Answer], *arguments: Any) -> _Answer:
    """What a function returns that may block, called on a daemon thread of its own; its processor time is charged.

    Whoever is cancelled meanwhile leaves it alone. Not asyncio's threads: these are few, and shared.

    Raises:
        OSError: there is no thread to be had.
    """
    loop, share = asyncio.get_running_loop(), _current.get()
    answer: asyncio.Future[_Answer] = loop.create_future()

    def tell(seconds: float, error: BaseException | None, value: Any) -> None:
        if share is not None:
            share.add(seconds)
        if answer.done():
            return
        if error is None:
            answer.set_result(value)
        else:
            answer.set_exception(error)

    def run() -> None:
        error, value = None, None
        try:
            value = function(*arguments)
        except BaseException as raised:  # whoever waits has to know
            error = raised
        # The loop may be closed: then nobody waits any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, time.thread_time(), error, value)

    try:
        threading.Thread(target=run, name="wasmexec-blocking", daemon=True).start()
    except RuntimeError as error:
        raise OSError(str(error)) from None
    return await answer


class _Steps(collections.abc.Coroutine[Any, Any, Any]):
    """A coroutine whose steps are measured."""

    __slots__ = ("_inner", "_share")

    def __init__(self, inner: Coroutine[Any, Any, Any], share: Share) -> None:
        self._inner = inner
        self._share = share

    def send(self, value: Any) -> Any:
        self._share.begin_step()
        try:
            return self._inner.send(value)
        finally:
            self._share.end_step()

    def throw(self, *error: Any) -> Any:
        self._share.begin_step()
        try:
            return self._inner.throw(*error)
        finally:
            self._share.end_step()

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._inner.__await__()


def _make_task(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any] | Generator[Any, Any, Any], **options: Any
) -> asyncio.Task[Any]:
    share = _current.get()
    if share is not None:
        assert isinstance(work, Coroutine)
        work = _Steps(work, share)
    return asyncio.Task(work, loop=loop, **options)


class _Selector(selectors.DefaultSelector):
    """Tells the turns whenever the loop has done what there was to do, and pauses when it goes on for long.

    The pauses are for other threads: a look at the sockets lets go of the interpreter's lock for a few microseconds
    only, in which nobody who waits for it wakes up in time. Who is let down so each time never asks for it either:
    CPython does that for a thread that has seen nobody let go for a whole switch interval.
    """

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = turns
        self._went_on_at = time.monotonic()

    def select(self, timeout: float | None = None) -> Any:
        self._turns.settle()
        if timeout is not None and timeout <= 0:
            if time.monotonic() - self._went_on_at < AT_WORK_SECONDS:
                return super().select(timeout)
            time.sleep(PAUSE_SECONDS)
        found = super().select(timeout)
        self._went_on_at = time.monotonic()
        return found


def make_loop(turns: Turns) -> asyncio.AbstractEventLoop:
    """An event loop whose tasks are measured; they belong to the share in whose `step` they are made."""
    loop = asyncio.SelectorEventLoop(_Selector(turns))
    loop.set_task_factory(_make_task)
    return loop
