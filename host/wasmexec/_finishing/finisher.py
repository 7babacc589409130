"""`Finisher`: where the outputs of one executor are finished.

A short text is finished on the execution's own thread, in a few milliseconds. A long one is too while there is no other
execution that would have to wait for the interpreter's lock; with others about, and where it must be taken as a whole,
it is handed to a child process. Those are started when they are needed and kept for the next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import orjson

from ..errors import OutputError, OutputLimitError
from ..schema import PROMPT_BYTES, Schema
from .acceptance import OBJECTS_BYTES, Accepted, Bounds, NotJsonError, TooHeavyError, accept, allowed_memory
from .messages import WORN_BYTES
from .process import FinishingProcess

if TYPE_CHECKING:
    from .._masking.masker import Masker

MAX_IDLE = 2
"""Child processes that are kept for the next output."""


class _NotAloneError(Exception):
    """There is another execution now."""


class Finisher:
    """Finishes outputs, from any thread; `has_others` says whether there is more than one execution."""

    def __init__(self, has_others: Callable[[], bool]) -> None:
        self._has_others = has_others
        self._lock = threading.Lock()
        self._idle: list[FinishingProcess] = []
        self._is_closed = False

    def accept(
        self, text: memoryview, schema: Schema, masker: Masker | None, bounds: Bounds, charge: Callable[[float], None]
    ) -> Accepted:
        """The rows of a text as the schema accepts them.

        `charge` is called often, with the processor time that another process has taken for this; what it raises ends
        the work within milliseconds.

        Raises:
            NotJsonError, OutputError, OutputLimitError: as `acceptance.accept`.
            TooMuchMemoryError, ChildLostError: as `FinishingProcess.accept`.
            OSError: no process can be started.
        """
        if len(text) <= schema.prompt_bytes:
            with suppress(TooHeavyError):
                return accept(text, schema, masker, bounds, lambda: charge(0.0), PROMPT_BYTES)
        if schema.interruptible:
            with suppress(TooHeavyError, _NotAloneError):
                return accept(text, schema, masker, bounds, lambda: self._go_on_alone(charge), OBJECTS_BYTES)
        return self.accept_elsewhere(text, schema, masker, bounds, charge)

    def _go_on_alone(self, charge: Callable[[float], None]) -> None:
        if self._has_others():
            raise _NotAloneError
        charge(0.0)

    def accept_elsewhere(
        self, text: memoryview, schema: Schema, masker: Masker | None, bounds: Bounds,
        charge: Callable[[float], None], *, kinds: Mapping[str, str] | None = None, most_memory: int | None = None,
        keep: bool = True,
    ) -> Accepted:  # fmt: skip
        """The same in a process, whatever the size, which releases the text; see `acceptance.accept` for the others."""
        size = len(text)
        if most_memory is None:
            most_memory = allowed_memory(text, schema, bounds)
        job = orjson.dumps({
            "size": size, "memory": most_memory, "bounds": list(bounds),
            "schema": (orjson.Fragment(schema.source), schema.mode, schema.role),
            "secrets": [] if masker is None else masker.secrets, "kinds": {} if kinds is None else dict(kinds),
            "keep": keep,
        })  # fmt: skip
        process = self._take()
        is_idle = False
        try:
            accepted = process.accept(job, text, most_memory, bounds, charge, is_kept=keep)
            is_idle = True
        except (OutputError, OutputLimitError, NotJsonError):
            is_idle = True
            raise
        finally:
            self._give_back(process, is_idle=is_idle and size <= WORN_BYTES)
        return accepted

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for process in idle:
            process.end()

    def _take(self) -> FinishingProcess:
        while True:
            with self._lock:
                process = self._idle.pop() if self._idle else None
            if process is None:
                return FinishingProcess()
            if process.is_alive:
                return process
            process.end()

    def _give_back(self, process: FinishingProcess, *, is_idle: bool) -> None:
        with self._lock:
            if is_idle and not self._is_closed and len(self._idle) < MAX_IDLE:
                self._idle.append(process)
                return
        process.end()
