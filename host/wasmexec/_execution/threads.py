"""The threads of an executor: workers with large stacks that run guests, and one event loop for host calls."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .unclaimed import own_thread

if TYPE_CHECKING:
    import asyncio

    from .._hostcalls.share import Turns

WORKER_STACK_BYTES = 64 * 1024 * 1024
"""Twice what the engine lets a guest use; only touched pages take memory."""
JOIN_SECONDS = 10.0
LOOK_UP_SECONDS = 0.02
DRAIN_SECONDS = 2.0
"""How long operations may take to end by themselves when an executor closes; what they served has ended already."""

_stack_size_lock = threading.Lock()


def _renew_lock() -> None:
    """In a forked child: a thread of the parent may have held it."""
    global _stack_size_lock
    _stack_size_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


class _Started(threading.Event):
    """Whether a thread runs yet, for which `Thread.start` does not wait."""

    def wait(self, timeout: float | None = None) -> bool:
        return True


class _Thread(threading.Thread):
    """A daemon thread whose start takes no turn of all others: whoever starts it has a lock that they may want."""

    def __init__(self, target: Callable[..., None], arguments: tuple[object, ...], name: str) -> None:
        super().__init__(target=target, args=arguments, name=name, daemon=True)
        # Of CPython's own; without it a start is only slower.
        self._started = _Started()

    def join(self, timeout: float | None = None) -> None:
        until = None if timeout is None else time.monotonic() + timeout
        threading.Event.wait(self._started, timeout)
        super().join(None if until is None else max(0.0, until - time.monotonic()))


class _Worker:
    """One thread of a pool: it sleeps on its gate until it is handed a job, or None to end."""

    def __init__(self, job: Callable[[], None]) -> None:
        self.job: Callable[[], None] | None = job
        self.gate = threading.Lock()
        self.gate.acquire()


class WorkerPool:
    """Daemon threads that take jobs in order; at most `limit` are at work, and one starts only when no other is idle.

    A job that is going to wait for something lets go of its place (`let_go`, `take_back`): another thread is then at
    work in its stead, as long as there are not more than `most_threads`, which are `limit` if it is not given.

    Jobs must not raise. Guest code runs only here: the caller's own thread may have too small a stack for it, and a
    stack overflow would end the process. The thread that became idle last is woken first: its caches are warm.
    """

    def __init__(self, limit: int, name: str, *, stack_bytes: int = 0, most_threads: int | None = None) -> None:
        self._limit = limit
        self._most_threads = limit if most_threads is None else max(limit, most_threads)
        self._name = name
        self._stack_bytes = stack_bytes
        self._lock = threading.Lock()
        self._jobs: deque[Callable[[], None]] = deque()
        self._idle: list[_Worker] = []
        self._returning: deque[threading.Lock] = deque()
        self._threads: set[threading.Thread] = set()
        self._at_work = 0
        self._started = 0
        self._is_closed = False

    def submit(self, job: Callable[[], None]) -> bool:
        """Have some thread call `job()`; whether one is free for it at once.

        Raises:
            RuntimeError: the pool is closed, or the system gives it not even one thread.
        """
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the worker pool is closed")
            self._jobs.append(job)
            try:
                self._hand_out()
            except RuntimeError:
                # The threads that there are will do.
                if not self._threads:
                    self._jobs.pop()
                    raise
            return not self._jobs

    def let_go(self) -> None:
        """The job that calls this is going to wait: its place is another's."""
        with self._lock:
            self._at_work -= 1
            with contextlib.suppress(RuntimeError):
                self._hand_out()

    def take_back(self, check: Callable[[], None] | None = None) -> None:
        """It goes on: wait for a place, before any job that has not started.

        `check` is called meanwhile, now and then. What it raises is raised once there is a place too many; without it
        that is at once.
        """
        with self._lock:
            if check is None or (self._at_work < self._limit and not self._returning):
                self._at_work += 1
                return
            gate = threading.Lock()
            gate.acquire()
            self._returning.append(gate)
        try:
            while not gate.acquire(timeout=LOOK_UP_SECONDS):
                check()
        except BaseException:
            with self._lock:
                if gate in self._returning:
                    self._returning.remove(gate)
                    self._at_work += 1
            raise

    def close(self, seconds: float = JOIN_SECONDS) -> None:
        """Let the threads end after the jobs they have, and wait so long for all of them; idempotent."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
            threads = tuple(self._threads)
        for worker in idle:
            worker.gate.release()
        until = time.monotonic() + seconds
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))

    def _hand_out(self) -> None:
        """Give places to those that return, then to jobs."""
        while self._at_work < self._limit:
            if self._returning:
                self._returning.popleft().release()
            elif not self._jobs:
                return
            elif self._idle:
                worker = self._idle.pop()
                worker.job = self._jobs.popleft()
                worker.gate.release()
            elif len(self._threads) < self._most_threads:
                self._start_thread()
            else:
                return
            self._at_work += 1

    def _start_thread(self) -> None:
        worker = _Worker(self._jobs[0])
        name = f"{self._name}-{self._started + 1}"
        thread = _Thread(self._run, (worker,), name)
        with _stack_size_lock:
            previous = threading.stack_size(self._stack_bytes)
            try:
                thread.start()
            finally:
                threading.stack_size(previous)
        self._started += 1
        self._jobs.popleft()
        self._threads.add(thread)

    def _run(self, worker: _Worker) -> None:
        own_thread()
        while worker.job is not None:
            worker.job()
            worker.job = None
            with self._lock:
                self._at_work -= 1
                if self._returning:
                    self._hand_out()
                if self._jobs and self._at_work < self._limit:
                    worker.job = self._jobs.popleft()
                    self._at_work += 1
                    continue
                if self._is_closed or len(self._idle) >= self._limit:
                    self._threads.discard(threading.current_thread())
                    return
                self._idle.append(worker)
            worker.gate.acquire()


class LoopThread:
    """One asyncio event loop on its own daemon thread, started at first use: most executions never need it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._draining: asyncio.Task[None] | None = None
        self._turns: Turns | None = None
        self._closed = False

    @property
    def turns(self) -> Turns:
        """How those who use the loop take turns; there once it runs."""
        assert self._turns is not None
        return self._turns

    @property
    def is_there(self) -> bool:
        """Whether it has been started."""
        return self._loop is not None

    def start(self) -> None:
        """Start it if nobody has: in the first loop of a process it takes a tenth of a second to import what it needs.

        Raises: OSError, RuntimeError: the system gives it no sockets or no thread.
        """
        with self._lock:
            if self._loop is None and not self._closed:
                self._start()

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Have the loop call `function(*arguments)`; after `close` it is dropped."""
        with self._lock:
            if self._closed:
                return
            loop = self._loop or self._start()
            loop.call_soon_threadsafe(function, *arguments)

    def close(self) -> None:
        """End the thread once what runs on the loop has ended, or was cancelled after a moment; idempotent."""
        with self._lock:
            self._closed = True
            loop, thread = self._loop, self._thread
        if loop is None or thread is None or not thread.is_alive():
            return
        loop.call_soon_threadsafe(self._drain)
        thread.join(JOIN_SECONDS)

    def _drain(self) -> None:
        import asyncio

        async def drain() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            if others:
                _, late = await asyncio.wait(others, timeout=DRAIN_SECONDS)
                for task in late:
                    task.cancel()
                await asyncio.gather(*late, return_exceptions=True)
            loop.stop()

        loop = asyncio.get_running_loop()
        self._draining = loop.create_task(drain())

    def _start(self) -> asyncio.AbstractEventLoop:
        from .._hostcalls.share import Turns, make_loop

        self._turns = Turns()
        self._loop = make_loop(self._turns)
        self._thread = threading.Thread(target=self._run, args=(self._loop,), name="wasmexec-loop", daemon=True)
        self._thread.start()
        return self._loop

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        import asyncio

        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()
