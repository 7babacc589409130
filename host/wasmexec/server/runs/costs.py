"""What a run has cost: the columns of its record, and what budgets count of them. Both are the same whole numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ...limits import LIMIT_RANGES
from ...workers.answers import Answer
from ..quotas.budgets import Dimension
from ..quotas.refusals import Number

MICROSECONDS: Final = 1_000_000
_GB: Final = 10**9
_MOST_MEMORY_BYTES: Final = int(LIMIT_RANGES["memory_bytes"][1])
_COLUMNS: Final[dict[Dimension, tuple[str, int]]] = {
    Dimension.CPU_SECONDS: ("cpu_us", MICROSECONDS),
    Dimension.GB_SECONDS: ("gb_us", MICROSECONDS),
    Dimension.EGRESS_BYTES: ("http_bytes_sent", 1),
    Dimension.ROWS: ("row_count", 1),
    Dimension.LOG_BYTES: ("log_bytes", 1),
}


def costs_of(answer: Answer, lost_cpu_seconds: float) -> dict[str, int]:
    """The costs of a run by the names of `COSTS`.

    `gb_us` is the largest memory, in GB, times the wall time, waiting included, in microseconds; `log_bytes` are those
    of the log as it is answered, 0 if there is none. Of attempts that went down with their worker only the processor
    time is known.

    SECURITY: a worker may tell anything, and sums have to fit into the database: no memory is larger than any can be.
    """
    used = answer.usage
    wall_us = round(used.wall_seconds * MICROSECONDS)
    return {
        "cpu_us": round((used.cpu_seconds + lost_cpu_seconds) * MICROSECONDS),
        "wall_us": wall_us,
        "gb_us": (min(used.peak_memory_bytes, _MOST_MEMORY_BYTES) * wall_us + _GB // 2) // _GB,
        "http_requests": used.http_requests,
        "http_bytes_sent": used.http_bytes_sent,
        "http_bytes_received": used.http_bytes_received,
        "output_bytes": used.output_bytes,
        "row_count": answer.row_count,
        "log_count": answer.log_count,
        "log_bytes": len(answer.logs) if answer.log_count else 0,
    }


def charges_of(costs: Mapping[str, int]) -> dict[Dimension, Number]:
    """What budgets count of costs, of one run or of the sum of many."""
    return {
        dimension: costs[column] if parts == 1 else costs[column] / parts
        for dimension, (column, parts) in _COLUMNS.items()
    }
