"""Why an execution ended without a done frame, as a status and an error that people can act on."""

from __future__ import annotations

import enum
from typing import NamedTuple

from .._guest.traps import GuestTrap, describe
from ..errors import CpuLimitError, ExecutionCancelled, GuestLostError, MemoryLimitError, TimeLimitError, WasmexecError
from ..limits import Limits
from ..status import Status


class Stop(enum.Enum):
    """Why the host ended a guest that would have gone on."""

    WALL = "wall"
    CPU = "cpu"
    CANCELLED = "cancelled"
    LOCATING = "locating"
    """It did more than it should while it was asked where it had been."""


class Place(NamedTuple):
    """Where the statement was, as far as the guest can tell."""

    line: int | None = None
    function: str | None = None

    def __str__(self) -> str:
        if self.line is None:
            return ""
        in_function = f", in {self.function}()" if self.function and not self.function.startswith("<") else ""
        return f" at line {self.line}{in_function}"

    def within(self, lines: int) -> Place:
        """The same; `NOWHERE` if the statement has fewer lines than it says."""
        return self if self.line is None or 1 <= self.line <= lines else NOWHERE


NOWHERE = Place()


class Facts(NamedTuple):
    """What is known of an execution at its end.

    was_refused_memory: whether the guest asked for more than the limit. last_words: what its C code wrote. lines: the
    highest number that a line of the statement has.
    """

    limits: Limits
    wall_seconds: float
    cpu_seconds: float
    memory_bytes: int
    was_refused_memory: bool
    last_words: bytes
    place: Place
    lines: int


def lines_of(statement: str) -> int:
    """The highest number that a line of it has: an error at its end may be told on a line of its own."""
    return statement.count("\n") + statement.count("\r") + 2


def stopped(reason: Stop, facts: Facts) -> tuple[Status, WasmexecError]:
    """The host ended it."""
    limits, (line, function) = facts.limits, facts.place
    if reason is Stop.CANCELLED:
        return Status.CANCELLED, ExecutionCancelled(f"cancelled{facts.place}", line=line, function=function)
    if reason is Stop.CPU:
        return Status.TIMED_OUT, CpuLimitError(
            f"out of processor time ({limits.cpu_seconds:g} s){facts.place}",
            limit=limits.cpu_seconds, used=facts.cpu_seconds, line=line, function=function,
        )  # fmt: skip
    return Status.TIMED_OUT, TimeLimitError(
        f"out of time ({limits.wall_seconds:g} s){facts.place}",
        limit=limits.wall_seconds, used=facts.wall_seconds, line=line, function=function,
    )  # fmt: skip


def trapped(trap: GuestTrap, exit_code: int | None, facts: Facts) -> tuple[Status, WasmexecError]:
    """The guest trapped; `exit_code` is there if it did so to leave the interpreter."""
    if exit_code is not None:
        return lost(f"the statement ended the interpreter (exit code {exit_code}){facts.place}", "exit", facts)
    if facts.was_refused_memory:
        return out_of_memory(f"the guest ran out of memory and died{facts.place}", facts)
    return lost(f"{describe(trap.code)}{facts.place}", trap.code, facts)


def out_of_memory(text: str, facts: Facts) -> tuple[Status, WasmexecError]:
    """The memory limit was too small for the guest to go on."""
    limit = facts.limits.memory_bytes
    return Status.RUNTIME_FAILED, MemoryLimitError(
        f"{text} (limit {limit:,} bytes)",
        limit=limit, used=facts.memory_bytes, line=facts.place.line, function=facts.place.function,
    )  # fmt: skip


def lost(message: str, trap: str, facts: Facts) -> tuple[Status, WasmexecError]:
    """The guest is gone, or must not be believed any more."""
    detail = facts.last_words.decode("utf-8", "replace")
    line, function = facts.place
    return Status.RUNTIME_FAILED, GuestLostError(message, trap=trap, detail=detail, line=line, function=function)
