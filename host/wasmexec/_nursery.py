"""One unused instance kept ready, the pages that every execution writes to already copied.

Most of a short execution's time goes into page faults: the image is mapped copy-on-write, and the interpreter writes
to the same few hundred pages each time (reference counts, mostly). Another core can take these faults beforehand. The
instance is as fresh as any: nothing has run in it, and it is given to one execution only.
"""

from __future__ import annotations

import array
import ctypes
import mmap
import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ._instance import Instance
from ._traps import GuestTrap

if TYPE_CHECKING:
    from ._engine import GuestModule

ROUNDS_TO_LEARN = 3
MAX_HOT_PAGES = 2048
JOIN_SECONDS = 10.0
PAGE_BYTES = mmap.PAGESIZE
_POPULATE_WRITE = 23
_PRESENT = 1 << 63
_OF_A_FILE = 1 << 61


class HotPages:
    """Which pages of an image every execution writes to: those that each of the first few has written to.

    Source: Documentation/admin-guide/mm/pagemap.rst of Linux; elsewhere nothing is learnt.
    """

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int]] = []
        self._rounds_left = ROUNDS_TO_LEARN if sys.platform == "linux" else 0
        self._common: set[int] | None = None
        self._lock = threading.Lock()

    def learn(self, instance: Instance, image_bytes: int) -> None:
        """Look at an instance whose execution has ended."""
        if self._rounds_left <= 0 or not self._lock.acquire(blocking=False):
            return
        try:
            written = set(_written_pages(instance.memory.base, image_bytes // PAGE_BYTES))
            self._common = written if self._common is None else self._common & written
            self._rounds_left -= 1
            if self._rounds_left == 0:
                self.ranges = _ranges(sorted(self._common)[:MAX_HOT_PAGES])
        except OSError:
            self._rounds_left = 0
        finally:
            self._lock.release()


class Nursery:
    """Makes the next instance while the present one runs; a thread of its own, started at the second `take`."""

    def __init__(self, guest: GuestModule) -> None:
        self._guest = guest
        self._changed = threading.Condition(threading.Lock())
        self._spare: Instance | None = None
        self._thread: threading.Thread | None = None
        self._takes = 0
        self._closed = False
        self._useful = _cores() > 1

    def take(self) -> Instance:
        """An instance that nobody has used; the caller closes it.

        Raises:
            GuestTrap: there is no room for one.
        """
        with self._changed:
            spare, self._spare = self._spare, None
            self._takes += 1
            if self._useful and self._takes > 1 and not self._closed:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="wasmexec-nursery", daemon=True)
                    self._thread.start()
                self._changed.notify()
        return spare or Instance(self._guest)

    def give_back(self, instance: Instance) -> None:
        """Close an instance whose execution has ended, after learning from it."""
        self._guest.hot_pages.learn(instance, self._guest.memory_bytes)
        instance.close()

    def close(self) -> None:
        """Close the spare and end the thread; idempotent."""
        with self._changed:
            self._closed = True
            spare, self._spare = self._spare, None
            self._changed.notify()
        if spare is not None:
            spare.close()
        if self._thread is not None:
            self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        while True:
            try:
                instance = Instance(self._guest)
            except GuestTrap:
                # Whoever needs one now will get the same answer, and report it.
                instance = None
            with self._changed:
                if self._closed:
                    break
                self._spare = instance
            if instance is not None:
                self._copy_pages(instance)
            with self._changed:
                while self._spare is instance and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
        if instance is not None:
            instance.close()

    def _copy_pages(self, instance: Instance) -> None:
        populate = _populate()
        base = instance.memory.base
        for first, count in self._guest.hot_pages.ranges if populate else ():
            # SECURITY: once it is taken it may be closed at any moment, so each step makes sure that it is still ours.
            with self._changed:
                if self._spare is not instance or populate(base + first * PAGE_BYTES, count * PAGE_BYTES):
                    return
