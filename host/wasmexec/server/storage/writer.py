"""The one thread that writes the store: what waits together is stored in one transaction."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection

from ...store.database import Database

MOST_TOGETHER = 200
_T = TypeVar("_T")


class _Item(NamedTuple):
    work: Callable[[Connection], Any]
    future: asyncio.Future[Any]


class Writer:
    """Does pieces of work in transactions; the future of one is done when it is on disk, or has failed.

    `on_commit` is called by the thread with the seconds that a transaction took and how many pieces it had.
    """

    def __init__(
        self, database: Database, loop: asyncio.AbstractEventLoop,
        on_commit: Callable[[float, int], None] | None = None,
    ) -> None:  # fmt: skip
        self._on_commit = on_commit
        self._database = database
        self._loop = loop
        self._items: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="wasmexec-writer", daemon=True)
        self._thread.start()

    def put(self, work: Callable[[Connection], _T]) -> asyncio.Future[_T]:
        """Have it done; called on the loop."""
        future: asyncio.Future[_T] = self._loop.create_future()
        # Whether it worked is not always asked.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._items.put(_Item(work, future))
        return future

    @property
    def waiting(self) -> int:
        """Pieces of work that it has not looked at yet."""
        return self._items.qsize()

    def close(self) -> None:
        """Do what is left, and end the thread."""
        self._items.put(None)
        self._thread.join()

    def _work(self) -> None:
        is_open = True
        while is_open:
            batch = [self._items.get()]
            with suppress(queue.Empty):
                while len(batch) < MOST_TOGETHER:
                    batch.append(self._items.get_nowait())
            items = [item for item in batch if item is not None]
            is_open = len(items) == len(batch)
            self._store(items)

    def _store(self, items: Sequence[_Item]) -> None:
        try:
            began = time.monotonic()
            with self._database.write() as connection:
                outcomes = [item.work(connection) for item in items]
            if self._on_commit is not None and items:
                self._on_commit(time.monotonic() - began, len(items))
        except Exception as error:
            if len(items) > 1:
                # One of them is at fault, and the others are not to suffer for it.
                for item in items:
                    self._store([item])
                return
            self._tell(items, [None], error)
        else:
            self._tell(items, outcomes, None)

    def _tell(self, items: Sequence[_Item], outcomes: Sequence[Any], error: Exception | None) -> None:
        def tell() -> None:
            for item, outcome in zip(items, outcomes, strict=True):
                if item.future.cancelled():
                    continue
                if error is None:
                    item.future.set_result(outcome)
                else:
                    item.future.set_exception(error)

        # A loop that is closed has nobody who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(tell)
