"""The threads of an executor: workers with large stacks that run guests, and one event loop for host operations."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

WORKER_STACK_BYTES = 64 * 1024 * 1024
"""Twice what the engine lets a guest use; only touched pages take memory."""
JOIN_SECONDS = 10.0
DRAIN_SECONDS = 2.0
"""How long operations may take to end by themselves when an executor closes; what they served has ended already."""

_stack_size_lock = threading.Lock()


def _renew_lock() -> None:
    """In a forked child: a thread of the parent may have held it."""
    global _stack_size_lock
    _stack_size_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


class _Worker:
    """One thread of a pool: it sleeps on its lock until it is handed a job, or None to end."""

    def __init__(self) -> None:
        self.job: Callable[[], None] | None = None
        self.gate = threading.Lock()
        self.gate.acquire()


class WorkerPool:
    """At most `limit` daemon threads that take jobs in order; a thread starts only when all others are busy.

    Jobs must not raise. Guest code runs only here: the caller's own thread may have too small a stack for it, and a
    stack overflow would end the process. The thread that became idle last is woken first: its caches are warm.
    """

    def __init__(self, limit: int, name: str, *, stack_bytes: int = 0) -> None:
        self._limit = limit
        self._name = name
        self._stack_bytes = stack_bytes
        self._lock = threading.Lock()
        self._jobs: deque[Callable[[], None]] = deque()
        self._idle: list[_Worker] = []
        self._threads: list[threading.Thread] = []
        self._is_closed = False

    def submit(self, job: Callable[[], None]) -> None:
        """Have some thread call `job()`.

        Raises:
            RuntimeError: the pool is closed, or the system gives it not even one thread.
        """
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the worker pool is closed")
            if self._idle:
                worker = self._idle.pop()
                worker.job = job
                worker.gate.release()
                return
            self._jobs.append(job)
            if len(self._threads) < self._limit:
                try:
                    self._start_thread()
                except RuntimeError:
                    # The threads that there are will do.
                    if not self._threads:
                        self._jobs.pop()
                        raise

    def close(self) -> None:
        """Let the threads end after the jobs they have; idempotent."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
            threads = tuple(self._threads)
        for worker in idle:
            worker.gate.release()
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(JOIN_SECONDS)

    def _start_thread(self) -> None:
        name = f"{self._name}-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._run, args=(_Worker(),), name=name, daemon=True)
        with _stack_size_lock:
            previous = threading.stack_size(self._stack_bytes)
            try:
                thread.start()
            finally:
                threading.stack_size(previous)
        self._threads.append(thread)

    def _run(self, worker: _Worker) -> None:
        while True:
            with self._lock:
                job = self._jobs.popleft() if self._jobs else None
                if job is None:
                    if self._is_closed:
                        return
                    self._idle.append(worker)
            if job is None:
                worker.gate.acquire()
                job, worker.job = worker.job, None
                if job is None:
                    return
            job()
            del job


class LoopThread:
    """One asyncio event loop on its own daemon thread, started at first use: most executions never need it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._draining: asyncio.Task[None] | None = None
        self._closed = False

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
        import asyncio

        self._loop = asyncio.new_event_loop()
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
