"""What worker processes may take before they are replaced, and what they have done."""

from __future__ import annotations

from dataclasses import dataclass

FOR_PROBES = 1
"""So many more may compute in a worker of many orders than ever get slots: a probe gets through whatever computes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLimits:
    """When a worker process is replaced, and how long its parent waits for it."""

    executions: int = 50_000
    """After so many it is replaced.

    Measured: a start takes 0.16 s of processor time, a quarter of a percent of what these take.
    """
    memory_bytes: int = 1536 * 1024**2
    """With more private memory for `memory_seconds` it is replaced, too.

    Measured: 19 MiB at its start, 46 to 59 after a few hundred executions with pandas or without; then 0.1 in 1,000.
    """
    memory_seconds: float = 5.0
    """What an execution needs for a moment is another matter than what a process keeps."""
    grace_seconds: float = 10.0
    """Beyond the `wall_seconds` of an execution: what the worker may take to notice and to say so."""
    cancel_seconds: float = 2.0
    """For all executions to end once they were cancelled."""
    start_seconds: float = 60.0
    """For loading the image."""
    restarts: int = 5
    """So many may die in a minute; with one more there are no new ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatistics:
    """What worker processes are doing and have done.

    `pids` are those that live, `under_way` executions that they were given, `waiting` those that none was given yet.
    `done` were answered, `lost` went down with a process. `recycled` processes were replaced when they had grown old or
    large, `restarts` count those that replaced one that died or was ended. `memory_bytes` is private memory of all.
    """

    pids: tuple[int, ...]
    under_way: int
    waiting: int
    done: int
    lost: int
    recycled: int
    restarts: int
    memory_bytes: int
