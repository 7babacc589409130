"""One unused instance kept ready, the pages that every execution writes to already copied.

Most of a short execution's time goes into page faults: the image is mapped copy-on-write, and the interpreter writes
to the same few hundred pages each time (reference counts, mostly). These faults can be taken while nothing else is to
be done. The instance is as fresh as any: nothing has run in it, and it is given to one execution only.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ._hotpages import PAGE_BYTES, populate
from ._instance import Instance, Owner
from ._traps import GuestTrap

if TYPE_CHECKING:
    from ._engine import GuestModule

PAUSE_SECONDS = 0.01
JOIN_SECONDS = 10.0


class Nursery:
    """Makes the next instance when nothing has run for a moment, on a thread that starts at the second `take`.

    While executions follow each other without a pause it does nothing: threads that fault at once hinder each other.
    """

    def __init__(self, guest: GuestModule) -> None:
        self._guest = guest
        self._changed = threading.Condition(threading.Lock())
        self._copying = threading.Lock()
        self._spare: Instance | None = None
        self._thread: threading.Thread | None = None
        self._takes = 0
        self._is_closed = False

    def take(self, owner: Owner, memory_bytes: int) -> Instance:
        """An instance that nobody has used; the caller gives it back.

        Raises:
            GuestTrap: there is no room for one.
        """
        with self._changed:
            spare, self._spare = self._spare, None
            self._takes += 1
            if spare is not None:
                self._changed.notify()
            elif self._takes == 2 and not self._is_closed:
                self._thread = threading.Thread(target=self._run, name="wasmexec-nursery", daemon=True)
                self._thread.start()
        if spare is None:
            return Instance(self._guest, owner, memory_bytes)
        spare.adopt(owner, memory_bytes)
        return spare

    def give_back(self, instance: Instance) -> None:
        """Close an instance whose execution has ended, after learning from it."""
        if self._takes > 1:
            self._guest.hot_pages.learn(instance)
        self._close(instance)

    def close(self) -> None:
        """Close the spare and end the thread; idempotent."""
        with self._changed:
            self._is_closed = True
            spare, self._spare = self._spare, None
            self._changed.notify()
        if spare is not None:
            self._close(spare)
        if self._thread is not None:
            self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        takes_seen = takes_refused = 0
        while True:
            with self._changed:
                self._changed.wait(None if self._spare is not None else PAUSE_SECONDS)
                if self._is_closed:
                    return
                is_quiet = self._takes == takes_seen and not self._guest.ticker.is_active
                takes_seen = self._takes
                if self._spare is not None or not is_quiet or takes_refused == takes_seen:
                    continue
            try:
                instance = Instance(self._guest, NOBODY, ANY_MEMORY)
            except GuestTrap:
                # Whoever needs an instance now gets the same answer, and reports it.
                takes_refused = takes_seen
                continue
            with self._changed:
                is_kept = not self._is_closed
                if is_kept:
                    self._spare = instance
            if is_kept:
                self._copy_pages(instance)
            else:
                instance.close()

    def _copy_pages(self, instance: Instance) -> None:
        base = instance.memory.base
        for first, count in self._guest.hot_pages.ranges:
            # Taking the instance does not wait for this; closing it waits for the step under way, the last one.
            with self._copying:
                if self._spare is not instance or not populate(base + first * PAGE_BYTES, count * PAGE_BYTES):
                    return

    def _close(self, instance: Instance) -> None:
        with self._copying:
            pass
        instance.close()


class _Nobody:
    """Owner of an instance in which nothing runs."""

    def guest_log(self, level: int, message: memoryview) -> bool:
        raise AssertionError

    def guest_call(self, request: memoryview) -> bytes:
        raise AssertionError

    def guest_sleep(self, seconds: float) -> None:
        raise AssertionError

    def guest_stdio(self, fd: int, data: bytes) -> None:
        raise AssertionError

    def guest_tick(self) -> None:
        raise AssertionError


NOBODY = _Nobody()
ANY_MEMORY = 4 * 1024**3
