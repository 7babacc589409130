"""Budgets by the calendar: reserved by what runs may take, settled by what they took, their debts carried on.

`now` is an argument, in seconds of the epoch: windows are those of the calendar, in UTC. Zero admits nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple

from ...errors import ConfigError
from .refusals import Number, Owner, Refusal, check_amount

_FURTHEST_WINDOWS: Final = 1200
"""A debt that takes longer to be worked off is never, in a refusal."""


class Dimension(StrEnum):
    """What a budget counts."""

    CPU_SECONDS = "cpu_seconds"
    GB_SECONDS = "gb_seconds"
    EGRESS_BYTES = "egress_bytes"
    ROWS = "rows"
    LOG_BYTES = "log_bytes"


class Window(StrEnum):
    """The time that a budget is for, of the calendar, in UTC."""

    MINUTE = "minute"
    DAY = "day"
    MONTH = "month"

    def number(self, now: float) -> int:
        """Which of all such windows a moment is in."""
        if self is Window.MONTH:
            moment = datetime.fromtimestamp(now, UTC)
            return moment.year * 12 + moment.month - 1
        return math.floor(now / (60 if self is Window.MINUTE else 86_400))

    def start(self, number: int) -> float:
        """When a window begins."""
        if self is Window.MONTH:
            return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC).timestamp()
        return number * (60.0 if self is Window.MINUTE else 86_400.0)


@dataclass(frozen=True, slots=True)
class Budget:
    """At most so much of a dimension in each window.

    Raises:
        ConfigError: the limit is negative or not finite.
    """

    dimension: Dimension
    window: Window
    limit: Number

    def __post_init__(self) -> None:
        check_amount(f"budget: {self.dimension} per {self.window}", self.limit)


class Spent(NamedTuple):
    """What of a budget is used and reserved in the window that began at `since`; `used` includes the carried debt."""

    budget: Budget
    since: float
    used: float
    reserved: float = 0.0

    @property
    def resets_at(self) -> float:
        """When the next window begins, in seconds of the epoch."""
        return self.budget.window.start(self.budget.window.number(self.since) + 1)


_UNITS: Final = 10**9
"""Sums are kept as integers, in billionths: they come out the same in whatever order runs end."""


class _Meter:
    """One budget and what is used of it, in billionths."""

    __slots__ = ("_until", "budget", "limit", "number", "used")

    def __init__(self, budget: Budget, number: int | None = None, used: int = 0) -> None:
        self.budget = budget
        self.limit = _units(budget.limit)
        self.number = number
        self.used = used
        self._until = -math.inf

    def roll(self, now: float) -> None:
        """Go on to the window of a moment; what was used beyond each limit is used of the next."""
        if now < self._until:
            return
        number = self.budget.window.number(now)
        if self.number is None:
            self.number = number
        elif number > self.number:
            self.used = max(0, self.used - (number - self.number) * self.limit)
            self.number = number
        self._until = self.budget.window.start(self.number + 1)

    def free_at(self, amount: int) -> float | None:
        """When the next window begins in which that much is free, if what is reserved has ended by then."""
        assert self.number is not None
        if amount > self.limit or not self.limit:
            return None
        windows = max(1, -(-(self.used + amount - self.limit) // self.limit))
        return None if windows > _FURTHEST_WINDOWS else self.budget.window.start(self.number + windows)


class Account:
    """The budgets of one tenant or project: a run reserves what it may take, and is settled by what it took.

    A budget can be overdrawn by what runs take beyond their estimates, by nothing else, and the next windows pay for
    that. Reservations belong to live runs and count in every window in which the run lives.
    """

    def __init__(self, owner: Owner, owner_id: str, budgets: Iterable[Budget], spent: Iterable[Spent] = ()) -> None:
        self.owner = owner
        self.owner_id = owner_id
        self._meters: dict[tuple[Dimension, Window], _Meter] = {}
        self._runs: dict[str, dict[Dimension, int]] = {}
        self._held: dict[Dimension, int] = dict.fromkeys(Dimension, 0)
        self.change(budgets)
        for item in spent:
            meter = self._meters.get((item.budget.dimension, item.budget.window))
            if meter is not None:
                meter.number, meter.used = item.budget.window.number(item.since), _units(item.used)

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, run: str) -> bool:
        return run in self._runs

    def change(self, budgets: Iterable[Budget]) -> None:
        """Other budgets from now on; what is used of those that stay is kept.

        Raises:
            ConfigError: two for one dimension and window.
        """
        meters: dict[tuple[Dimension, Window], _Meter] = {}
        for budget in budgets:
            key = (budget.dimension, budget.window)
            if key in meters:
                raise ConfigError(f"budget: {budget.dimension} per {budget.window} is given twice")
            known = self._meters.get(key)
            meters[key] = _Meter(budget) if known is None else _Meter(budget, known.number, known.used)
        self._meters = meters

    def refusal(self, estimate: Mapping[Dimension, Number], now: float) -> Refusal | None:
        """Why a run with this estimate cannot be admitted; of several budgets the one that is free again last.

        A dimension that is named with 0 is refused only if more than everything is used of it.
        """
        found: list[tuple[float, Refusal]] = []
        for meter in self._meters.values():
            meter.roll(now)
            dimension = meter.budget.dimension
            amount = estimate.get(dimension)
            if amount is None or meter.used + self._held[dimension] + _units(amount) <= meter.limit:
                continue
            at = meter.free_at(_units(amount))
            found.append((math.inf if at is None else at, self._refusal(meter, amount, at, now)))
        return max(found, key=lambda pair: pair[0])[1] if found else None

    def reserve(self, run: str, estimate: Mapping[Dimension, Number], now: float) -> Refusal | None:
        """Set the estimate aside in every budget, or in none.

        Raises:
            ValueError: the run has a reservation.
        """
        return reserve_all([self], run, estimate, now)

    def grow(self, run: str, used: Mapping[Dimension, Number]) -> None:
        """What a live run has used so far: beyond its estimate it is set aside at once.

        Raises:
            KeyError: the run has no reservation.
        """
        held = self._runs[run]
        for dimension, amount in used.items():
            self._hold(held, dimension, max(_units(amount), held.get(dimension, 0)))

    def settle(self, run: str, truth: Mapping[Dimension, Number], now: float) -> None:
        """A run has ended: what it took is charged to the window that is now, and nothing is reserved any more.

        Raises:
            KeyError: the run has no reservation, or was settled.
        """
        taken = {dimension: _units(amount) for dimension, amount in truth.items()}
        for dimension, amount in self._runs.pop(run).items():
            self._held[dimension] -= amount
        for meter in self._meters.values():
            meter.roll(now)
            meter.used += taken.get(meter.budget.dimension, 0)

    def left(self, dimension: Dimension, now: float) -> float:
        """What can be reserved of a dimension; negative in debt, infinite without a budget."""
        lefts = []
        for meter in self._meters.values():
            if meter.budget.dimension is dimension:
                meter.roll(now)
                lefts.append((meter.limit - meter.used - self._held[dimension]) / _UNITS)
        return min(lefts, default=math.inf)

    def spent(self, now: float) -> list[Spent]:
        """Every budget as it stands, for a report and to begin with after a restart."""
        found = []
        for meter in self._meters.values():
            meter.roll(now)
            assert meter.number is not None
            window, held = meter.budget.window, self._held[meter.budget.dimension]
            found.append(Spent(meter.budget, window.start(meter.number), meter.used / _UNITS, held / _UNITS))
        return found

    def check(self) -> None:
        """Prove that what is reserved is what live runs hold.

        Raises:
            AssertionError: it is not.
        """
        for dimension, held in self._held.items():
            total = sum(run.get(dimension, 0) for run in self._runs.values())
            if held != total:
                raise AssertionError(f"{dimension}: {held} reserved, but runs hold {total}")

    def _open(self, run: str, estimate: Mapping[Dimension, Number]) -> None:
        held = self._runs[run] = {}
        for dimension, amount in estimate.items():
            self._hold(held, dimension, _units(amount))

    def _hold(self, held: dict[Dimension, int], dimension: Dimension, amount: int) -> None:
        self._held[dimension] += amount - held.get(dimension, 0)
        held[dimension] = amount

    def _refusal(self, meter: _Meter, asked: Number, at: float | None, now: float) -> Refusal:
        budget, whose = meter.budget, f"the {self.owner} {self.owner_id}"
        used = (meter.used + self._held[budget.dimension]) / _UNITS
        if at is None:
            advice = f"{asked:,g} are more than it can ever have"
        else:
            advice = (
                f"the next {budget.window} with room begins at {datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
            )
        return Refusal(
            rule=f"budget.{budget.dimension}.{budget.window}",
            owner=self.owner,
            status=429,
            value=budget.limit,
            used=used,
            asked=asked,
            retry_after_seconds=None if at is None else at - now,
            message=f"{whose} may use {budget.limit:,g} {budget.dimension} a {budget.window} and has {used:,g} used or "
            f"reserved; {advice}",
        )


def reserve_all(
    accounts: Sequence[Account], run: str, estimate: Mapping[Dimension, Number], now: float
) -> Refusal | None:
    """Set the estimate aside in every budget of every account, or in none; the refusal is that of the strictest.

    Raises:
        ValueError: the run has a reservation in one of them.
    """
    if any(run in account for account in accounts):
        raise ValueError(f"run {run} has a reservation")
    refusals = [found for account in accounts if (found := account.refusal(estimate, now)) is not None]
    if refusals:
        return max(refusals, key=lambda found: math.inf if (wait := found.retry_after_seconds) is None else wait)
    for account in accounts:
        account._open(run, estimate)
    return None


def _units(amount: Number) -> int:
    check_amount("budget: an amount", amount)
    return amount * _UNITS if isinstance(amount, int) else round(amount * _UNITS)
