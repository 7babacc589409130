"""`Launcher`: starts the executions of one executor, waits for them, and takes everything down with it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable

from .._finishing.finisher import Finisher
from .._guest.engine import acquire_guest, release_guest
from ..errors import ExecutorClosedError
from ..image import Image
from ..result import Result
from ..statistics import Statistics
from .callbacks import call_last
from .deadlines import Cleanup
from .execution import Execution
from .guest_run import load_network
from .interruptible import acquire
from .order import Order, Services
from .threads import WORKER_STACK_BYTES, LoopThread, WorkerPool
from .timers import Timers

CLOSE_SECONDS = 10.0
SWITCH_SECONDS = 0.0005
"""How long a thread keeps the interpreter's lock from one that wants it.

Of this process, not only of ours: a run takes the lock some fifteen times, and waits each time for whoever computes.
"""
MAX_BLOCKED = 256
"""How many statements may block (`time.sleep`, httpx without await) and hold no worker; further ones hold one."""
COURIERS = 32
COURIER_SECONDS = 0.5


class Launcher:
    """Whatever the executions of one executor need, and the set of those that have not ended."""

    def __init__(self, image: Image, workers: int) -> None:
        self.image = image
        self._process = os.getpid()
        self._changed = threading.Condition(threading.Lock())
        self._live: set[Execution] = set()
        self._closed = False
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_SECONDS))
        guest = acquire_guest(image)
        self.services = Services(
            guest=guest,
            workers=WorkerPool(
                workers, "wasmexec-worker", stack_bytes=WORKER_STACK_BYTES, most_threads=workers + MAX_BLOCKED
            ),
            loop=LoopThread(),
            finisher=Finisher(lambda: len(self._live) > 1),
            timers=Timers(),
            couriers=WorkerPool(COURIERS, "wasmexec-log", most_threads=COURIERS + MAX_BLOCKED),
            enders=WorkerPool(2, "wasmexec-end"),
            cleanup=Cleanup(),
        )

    @property
    def live(self) -> tuple[Execution, ...]:
        """The executions that have started and not ended."""
        with self._changed:
            return tuple(self._live)

    def statistics(self) -> Statistics:
        """Counts of this moment."""
        live, guest = self.live, self.services.guest
        codes, code_bytes = guest.codes.kept()
        return Statistics(
            executions=len(live), waiting=sum(execution.is_waiting for execution in live),
            memories=guest.memories.kept, codes=codes, code_bytes=code_bytes,
            overhead_cpu_seconds=self.services.cleanup.seconds + guest.ticker.cpu_seconds,
        )  # fmt: skip

    def preload(self) -> None:
        """Load what the first host call and the first request would."""
        load_network()
        if not self.services.loop.is_there:
            self.services.loop.start()

    def run(self, order: Order) -> Execution:
        """Execute and wait; an interrupt cancels the execution.

        Raises: ExecutorClosedError: closed, or inherited through a fork.
        """
        finished = threading.Lock()
        finished.acquire()
        execution = self._start(order, finished.release)
        try:
            acquire(finished)
        except BaseException:
            execution.cancel()
            acquire(finished)
            raise
        return execution

    async def run_async(self, order: Order) -> Execution:
        """The same without blocking the event loop; cancelling the task cancels the execution.

        Raises: ExecutorClosedError: as `run`.
        """
        import asyncio

        loop = asyncio.get_running_loop()
        finished: asyncio.Future[None] = loop.create_future()

        def resolve() -> None:
            if not finished.done():
                finished.set_result(None)

        def on_done() -> None:
            # The caller's loop may be closed already: then nobody waits any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(resolve)

        execution = self._start(order, on_done)
        try:
            await asyncio.shield(finished)
        except asyncio.CancelledError:
            execution.cancel()
            await asyncio.wait([finished])
            raise
        return execution

    def submit(self, order: Order, on_done: Callable[[Result | BaseException], None]) -> Execution:
        """Execute without waiting; `cancel` of what is returned ends it.

        Raises: ExecutorClosedError: as `run`.
        """

        def ended(execution: Execution) -> None:
            outcome = execution.failure or execution.result
            assert outcome is not None
            call_last(on_done, outcome)

        return self._start_telling(order, ended)

    def close(self) -> None:
        """Cancel what still runs (status 303), end the threads and unload the image; idempotent."""
        if self._process != os.getpid():
            return
        with self._changed:
            if self._closed:
                return
            self._closed = True
            live = tuple(self._live)
        for execution in live:
            execution.cancel()
        with self._changed:
            self._changed.wait_for(lambda: not self._live, CLOSE_SECONDS)
        self.services.workers.close()
        self.services.loop.close()
        self.services.finisher.close()
        self.services.timers.close()
        self.services.enders.close()
        # A callback that hangs is not waited for.
        self.services.couriers.close(COURIER_SECONDS)
        release_guest(self.image)

    def _start(self, order: Order, on_done: Callable[[], None]) -> Execution:
        return self._start_telling(order, lambda execution: on_done())

    def _start_telling(self, order: Order, on_done: Callable[[Execution], None]) -> Execution:
        """`on_done` is called on one of our threads when it has ended."""
        if self._process != os.getpid():
            raise ExecutorClosedError("this executor was made before a fork; make one in the child process")

        def ended(execution: Execution) -> None:
            with self._changed:
                self._live.discard(execution)
                if self._closed:
                    self._changed.notify_all()
            on_done(execution)

        execution = Execution(self.services, order, ended)
        with self._changed:
            if self._closed:
                raise ExecutorClosedError("the executor is closed")
            self._live.add(execution)
        try:
            execution.start()
        except BaseException:
            self._live.discard(execution)
            raise
        return execution
