"""`Statistics`: what an executor is doing and what it keeps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What an executor is doing and what it keeps.

    `executions` have started and not ended; `waiting` of them hold no thread (asleep, or for an answer). `memories`
    wait for their next instance. `codes` are of statements that were run before, `code_bytes` long in all. Executors of
    one process share both by image.
    """

    executions: int
    waiting: int
    memories: int
    codes: int
    code_bytes: int
