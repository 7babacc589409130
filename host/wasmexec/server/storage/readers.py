"""`Readers`: threads that read beside the loop.

They are daemons, and those of an executor are not: the interpreter waits for them at its end, for as long as a database
does not answer that neither answers nor breaks the connection.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

_T = TypeVar("_T")


class _Asked(NamedTuple):
    """A piece of work, and who waits for its result."""

    work: Callable[[], Any]
    done: asyncio.Future[Any]


class Readers:
    """So many threads; used on the loop."""

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asked: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"wasmexec-reader-{number}", daemon=True)
            for number in range(count)
        ]  # fmt: skip
        for thread in self._threads:
            thread.start()

    async def do(self, work: Callable[[], _T]) -> _T:
        """Have something done. Raises: what it raises."""
        done: asyncio.Future[_T] = self._loop.create_future()
        self._asked.put(_Asked(work, done))
        return await done

    async def close(self, seconds: float) -> bool:
        """End the threads; false if one of them does not end within so long."""
        for _ in self._threads:
            self._asked.put(None)
        until = self._loop.time() + seconds
        while any(thread.is_alive() for thread in self._threads) and self._loop.time() < until:
            await asyncio.sleep(0.002)
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            if asked.done.cancelled():
                continue
            result, failure = None, None
            try:
                result = asked.work()
            except BaseException as error:
                failure = error
            # A loop that is closed has nobody who waits.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_tell, asked.done, result, failure)
            # Nothing is kept until the next one comes: a failure has all that its frames had, cursors included.
            del asked, result, failure


def _tell(done: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if done.cancelled():
        return
    if failure is None:
        done.set_result(result)
    else:
        done.set_exception(failure)
