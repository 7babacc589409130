"""`Resolver`: the name lookups of this process, none of which anybody else has to wait for.

The operating system's lookup cannot be ended, however soon the statement does that asked for it: it may hold its thread
for a minute, or for ever. A few threads of ours do the lookups, and as long as these are all taken, a child process
does: it is ended when too many in it are waited for by nobody, and whoever still waits asks the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..share import in_thread
from .lookup_child import look_up

MAX_THREADS = 8
"""Lookups in this process, those included that nobody waits for any more."""
MAX_WAITED_FOR = 256
"""Lookups that somebody waits for."""
MAX_ABANDONED = 16
"""Lookups in the child that nobody waits for any more, before it is ended."""
CHILD = (sys.executable, "-I", "-S", str(Path(__file__).with_name("lookup_child.py")))


class _Waiting(NamedTuple):
    """Somebody who waits for an answer of the child."""

    host: str
    port: int
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[list[str]]


class Resolver:
    """Looks names up, from any event loop; `child` is the command of the process that does when threads are taken."""

    def __init__(self, child: Sequence[str] = CHILD) -> None:
        self._command = child
        self._lock = threading.Lock()
        self._threads = 0
        self._waited_for = 0
        self._child: _Child | None = None

    async def __call__(self, host: str, port: int) -> list[str]:
        """The addresses of a name.

        Raises:
            OSError: the name does not resolve, or too many lookups are under way.
        """
        with self._lock:
            if self._waited_for >= MAX_WAITED_FOR:
                raise OSError(f"{MAX_WAITED_FOR} other names are being looked up at this moment, and none is answered")
            self._waited_for += 1
            has_thread = self._threads < MAX_THREADS
            self._threads += has_thread
        try:
            if has_thread:
                return await in_thread(self._look_up, host, port)
            return await self._ask_child(host, port)
        finally:
            with self._lock:
                self._waited_for -= 1

    def close(self) -> None:
        """End the child."""
        with self._lock:
            child, self._child = self._child, None
        if child is not None:
            child.end()

    def _look_up(self, host: str, port: int) -> list[str]:
        try:
            return look_up(host, port)
        finally:
            with self._lock:
                self._threads -= 1

    async def _ask_child(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        mine = _Waiting(host, port, loop, loop.create_future())
        with self._lock:
            if self._child is None or not self._child.ask(mine):
                self._child = _Child(self._command, [mine])
        try:
            return await mine.answer
        except asyncio.CancelledError:
            self._give_up(mine)
            raise

    def _give_up(self, mine: _Waiting) -> None:
        with self._lock:
            child = self._child
            if child is None:
                return
            child.give_up(mine)
            if child.abandoned < MAX_ABANDONED:
                return
            others = child.take_waiting()
            self._child = _Child(self._command, others) if others else None
        child.end()


class _Child:
    """One process that looks names up; the resolver's lock is held around its methods, but for `end`.

    `waiting` wait for it from the first: a process that ends at once tells them so, too.
    """

    def __init__(self, command: Sequence[str], waiting: Sequence[_Waiting]) -> None:
        self._command = command
        self._lock = threading.Lock()
        self._waiting: dict[int, _Waiting] = {}
        self._unsent: list[str] = []
        self._last = 0
        self._process: subprocess.Popen[str] | None = None
        self.abandoned = 0
        """Lookups that it is still busy with and nobody waits for."""
        self._has_ended = False
        for one in waiting:
            self.ask(one)
        # A process takes a while to start: not on the event loop.
        threading.Thread(target=self._run, name="wasmexec-lookups", daemon=True).start()

    def ask(self, waiting: _Waiting) -> bool:
        """Have it look a name up; False if it has ended."""
        with self._lock:
            if self._has_ended:
                return False
            self._last += 1
            self._waiting[self._last] = waiting
            line = json.dumps([self._last, waiting.host, waiting.port]) + "\n"
            if self._process is None:
                self._unsent.append(line)
            else:
                self._send(self._process, line)
            return True

    def give_up(self, waiting: _Waiting) -> None:
        """Nobody waits for that any more."""
        with self._lock:
            for number, other in self._waiting.items():
                if other.answer is waiting.answer:
                    del self._waiting[number]
                    self.abandoned += 1
                    return

    def take_waiting(self) -> list[_Waiting]:
        """Those who wait, who are another child's from now on."""
        with self._lock:
            waiting, self._waiting = list(self._waiting.values()), {}
            return waiting

    def end(self) -> None:
        """End the process, whatever it is busy with."""
        with self._lock:
            self._has_ended = True
            process = self._process
        if process is not None:
            process.kill()

    def _run(self) -> None:
        process = None
        reason = "the process that looks names up has ended"
        try:
            process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            self._started(process)
            assert process.stdout is not None
            for line in process.stdout:
                self._take(json.loads(line))
        except (OSError, ValueError) as error:
            reason = f"the process that looks names up failed: {error}"
        finally:
            with self._lock:
                self._has_ended = True
            for waiting in self.take_waiting():
                _tell(waiting, OSError(reason))
            if process is not None:
                process.kill()
                with contextlib.suppress(OSError):
                    process.__exit__(None, None, None)

    def _started(self, process: subprocess.Popen[str]) -> None:
        with self._lock:
            self._process = process
            for line in self._unsent:
                self._send(process, line)
            self._unsent.clear()
            if self._has_ended:
                process.kill()

    @staticmethod
    def _send(process: subprocess.Popen[str], line: str) -> None:
        assert process.stdin is not None
        # Whoever waits hears of its end from its output.
        with contextlib.suppress(OSError):
            process.stdin.write(line)
            process.stdin.flush()

    def _take(self, answer: list[object]) -> None:
        number, found, *more = answer
        assert isinstance(number, int)
        with self._lock:
            waiting = self._waiting.pop(number, None)
            if waiting is None:
                self.abandoned -= 1
                return
        if isinstance(found, list):
            _tell(waiting, found)
        else:
            _tell(waiting, OSError(found, more[0]) if isinstance(found, int) else OSError(*more))


def _tell(waiting: _Waiting, answer: list[str] | OSError) -> None:
    def tell() -> None:
        if waiting.answer.done():
            return
        if isinstance(answer, OSError):
            waiting.answer.set_exception(answer)
        else:
            waiting.answer.set_result(answer)

    # Its loop may be closed: then nobody waits any more.
    with contextlib.suppress(RuntimeError):
        waiting.loop.call_soon_threadsafe(tell)


_shared = Resolver()


def shared_resolver() -> Resolver:
    """The one of this process."""
    return _shared


def _renew() -> None:
    """In a forked child: threads and locks of the parent do not exist there."""
    global _shared
    _shared = Resolver()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
