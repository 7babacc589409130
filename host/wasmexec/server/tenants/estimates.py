"""`CostEstimates`: what a run is expected to take of each dimension that a budget counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from ...limits import Limits
from ..quotas.budgets import Dimension
from ..quotas.refusals import Number
from ..scheduling.fair_queue import Estimates

_FIRST_GB_SECONDS: Final = 0.001
_LEAST_GB_SECONDS: Final = 0.000001
_GB: Final = 10**9


class CostEstimates:
    """Moving averages by statement, for all but processor time: that the scheduler estimates.

    Where a run may have some of a dimension at all, one more is expected, so that a budget of zero admits nothing that
    could need it.
    """

    def __init__(self) -> None:
        self._by_dimension = {
            Dimension.GB_SECONDS: Estimates(_FIRST_GB_SECONDS, _LEAST_GB_SECONDS),
            **{dimension: Estimates(1, 1) for dimension in
               (Dimension.EGRESS_BYTES, Dimension.ROWS, Dimension.LOG_BYTES)},
        }  # fmt: skip

    def of(
        self, dimensions: Iterable[Dimension], statement: str, cpu_seconds: float, limits: Limits, *, has_grants: bool
    ) -> dict[Dimension, Number]:
        """What a run of a statement is expected to take of some dimensions: never more than its limits allow."""
        found: dict[Dimension, Number] = {}
        for dimension in dimensions:
            expected = self._by_dimension[dimension].of(statement) if dimension in self._by_dimension else cpu_seconds
            found[dimension] = min(expected, _most(dimension, limits, has_grants=has_grants))
        return found

    def learn(self, dimensions: Iterable[Dimension], statement: str, truth: Mapping[Dimension, Number]) -> None:
        """A run has ended and has taken that much."""
        for dimension in dimensions:
            if dimension in self._by_dimension:
                self._by_dimension[dimension].learn(statement, truth[dimension])


def _most(dimension: Dimension, limits: Limits, *, has_grants: bool) -> float:
    match dimension:
        case Dimension.CPU_SECONDS:
            return limits.cpu_seconds
        case Dimension.GB_SECONDS:
            return limits.memory_bytes / _GB * limits.wall_seconds
        case Dimension.EGRESS_BYTES:
            return limits.http_bytes if has_grants and limits.http_requests else 0
        case Dimension.ROWS:
            return limits.output_rows
        case Dimension.LOG_BYTES:
            # Whatever the limit: a few warnings and errors are kept beyond it.
            return max(1, limits.log_bytes)
