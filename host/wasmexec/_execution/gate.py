"""`Gate`: an execution that has something to do again asks whether it may compute, if enough others already do."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .threads import LOOK_UP_SECONDS


class Gate:
    """The gate of one execution, which is open without `ask`, and as long as fewer than `free` are awake.

    `ask` is called each time that it shuts; whoever was asked has it opened.
    """

    def __init__(self, ask: Callable[[], object] | None, free: int) -> None:
        self._ask = ask
        self._free = free
        self._opened = threading.Event()
        self.is_shut = False

    def shuts(self, awake: int) -> bool:
        """Whether it shuts before one that wakes while so many are awake; then call `ask` or `wait`."""
        self.is_shut = self._ask is not None and awake >= self._free
        if self.is_shut:
            self._opened.clear()
        return self.is_shut

    def ask(self) -> None:
        """Have it opened some time, by whoever decides that."""
        if self._ask is not None:
            self._ask()

    def wait(self, check: Callable[[], None]) -> None:
        """The same, and return once it is open; what `check` raises, which is called now and then, is raised."""
        self.ask()
        try:
            while not self._opened.wait(LOOK_UP_SECONDS):
                check()
        finally:
            self.is_shut = False

    def open(self) -> bool:
        """Let it go on; whether it was shut."""
        was_shut, self.is_shut = self.is_shut, False
        self._opened.set()
        return was_shut
