"""`Statistics`: what an executor is doing and what it keeps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What an executor is doing and what it keeps.

    `executions` have started and not ended; `waiting` of them have no place among the workers (asleep, or for an
    answer). `memories` wait for their next instance. `codes` are of statements that were run before, `code_bytes` long
    in all. Executors of one process share both by image.

    `overhead_cpu_seconds` is the processor time that is in no `Result.usage`: what was done for executions of this
    executor after their results were told (memories are put back and connections closed while nobody waits), what
    `prepare` and `check` took, and the process's one thread that has running guests look at their limits.
    """

    executions: int
    waiting: int
    memories: int
    codes: int
    code_bytes: int
    overhead_cpu_seconds: float
