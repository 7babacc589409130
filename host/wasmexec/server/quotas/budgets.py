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
    used: Number
    reserved: Number = 0

    @property
    def resets_at(self) -> float:
        """When the next window begins, in seconds of the epoch."""
        return self.budget.window.start(self.budget.window.number(self.since) + 1)


_PARTS: Final = {Dimension.CPU_SECONDS: 10**6, Dimension.GB_SECONDS: 10**6}
"""Sums are kept as integers, those of seconds in millionths: they come out the same in whatever order runs end."""


class _Meter:
    """One budget and what is used of it, as integers."""

    __slots__ = ("_until", "budget", "limit", "number", "used")

    def __init__(self, budget: Budget, number: int | None = None, used: int = 0) -> None:
        self.budget = budget
        self.limit = self.whole(budget.limit)
        self.number = number
        self.used = used
        self._until = -math.inf

    def whole(self, amount: Number) -> int:
        """An amount as it is counted."""
        return _whole(self.budget.dimension, amount)

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
        if not self.limit:
            return None
        windows = max(1, -(-(self.used + amount - self.limit) // self.limit))
        return None if windows > _FURTHEST_WINDOWS else self.budget.window.start(self.number + windows)


class Account:
    """The budgets of one tenant or project: a run reserves what it may take, and is settled by what it took.

    A budget can be overdrawn by what runs take beyond their estimates, by nothing else, and the next windows pay for
    that. Reservations belong to live runs and count in every window in which the run lives.
    """

    def __init__(self, owner: Owner, owner_id: str, budgets: Iterable[Budget], spent: Iterable[Spent] = ()) -> None:
        self.dimensions: frozenset[Dimension] = frozenset()
        """Those that have a budget."""
        self.owner = owner
        self.owner_id = owner_id
        self._meters: dict[tuple[Dimension, Window], _Meter] = {}
        self._runs: dict[str, dict[Dimension, int]] = {}
        self._held: dict[Dimension, int] = dict.fromkeys(Dimension, 0)
        self.change(budgets)
        for item in spent:
            meter = self._meters.get((item.budget.dimension, item.budget.window))
            if meter is not None:
                meter.number, meter.used = meter.budget.window.number(item.since), meter.whole(item.used)

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, run: str) -> bool:
        return run in self._runs

    def change(self, budgets: Iterable[Budget]) -> list[Budget]:
        """Other budgets from now on; what is used of those that stay is kept, and those that are new are returned.

        Raises:
            ConfigError: two for one dimension and window.
        """
        meters: dict[tuple[Dimension, Window], _Meter] = {}
        new: list[Budget] = []
        for budget in budgets:
            key = (budget.dimension, budget.window)
            if key in meters:
                raise ConfigError(f"budget: {budget.dimension} per {budget.window} is given twice")
            known = self._meters.get(key)
            meters[key] = _Meter(budget) if known is None else _Meter(budget, known.number, known.used)
            if known is None:
                new.append(budget)
        self._meters = meters
        self.dimensions = frozenset(dimension for dimension, _ in meters)
        return new

    def add_earlier(self, spent: Iterable[Spent], now: float) -> None:
        """Count what was used before there was the account or the budget; what exceeded a limit is carried on."""
        for item in spent:
            meter = self._meters.get((item.budget.dimension, item.budget.window))
            if meter is not None:
                earlier = _Meter(meter.budget, item.budget.window.number(item.since), meter.whole(item.used))
                earlier.roll(now)
                meter.roll(now)
                meter.used += earlier.used

    def refusal(self, estimate: Mapping[Dimension, Number], now: float) -> Refusal | None:
        """Why a run with this estimate cannot be admitted; of several budgets the one that is free again last.

        A run that is expected to take more than a whole budget needs one of which nothing is used: what is expected
        may be wrong, and what it takes beyond is carried on. A dimension that is named with 0 is refused only if more
        than everything is used of it.
        """
        found: list[tuple[float, Refusal]] = []
        for meter in self._meters.values():
            meter.roll(now)
            dimension = meter.budget.dimension
            amount = estimate.get(dimension)
            if amount is None:
                continue
            whole = meter.whole(amount)
            whole = min(whole, meter.limit or whole)
            if meter.used + self._held[dimension] + whole <= meter.limit:
                continue
            at = meter.free_at(whole)
            found.append((math.inf if at is None else at, self._refusal(meter, amount, at, now)))
        return max(found, key=lambda pair: pair[0])[1] if found else None

    def admit(self, run: str, estimate: Mapping[Dimension, Number]) -> None:
        """Set the estimate aside, also if there is no room for it: for what was admitted before.

        Raises:
            ValueError: the run has a reservation.
        """
        if run in self._runs:
            raise ValueError(f"run {run} has a reservation")
        held = self._runs[run] = {}
        for dimension, amount in estimate.items():
            self._hold(held, dimension, _whole(dimension, amount))

    def grow(self, run: str, used: Mapping[Dimension, Number]) -> None:
        """What a live run has used so far: beyond its estimate it is set aside at once.

        Raises:
            KeyError: the run has no reservation.
        """
        held = self._runs[run]
        for dimension, amount in used.items():
            self._hold(held, dimension, max(_whole(dimension, amount), held.get(dimension, 0)))

    def settle(self, run: str, truth: Mapping[Dimension, Number], now: float) -> None:
        """A run has ended: what it took is charged to the window that is now, and nothing is reserved any more.

        Raises:
            KeyError: the run has no reservation, or was settled.
        """
        taken = {dimension: _whole(dimension, amount) for dimension, amount in truth.items()} if self._meters else {}
        for dimension, amount in self._runs.pop(run).items():
            self._held[dimension] -= amount
        for meter in self._meters.values():
            meter.roll(now)
            meter.used += taken.get(meter.budget.dimension, 0)

    def spent(self, now: float) -> list[Spent]:
        """Every budget as it stands, for a report and to begin with after a restart."""
        found = []
        for meter in self._meters.values():
            meter.roll(now)
            assert meter.number is not None
            window, dimension = meter.budget.window, meter.budget.dimension
            used, reserved = _amount(dimension, meter.used), _amount(dimension, self._held[dimension])
            found.append(Spent(meter.budget, window.start(meter.number), used, reserved))
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

    def _hold(self, held: dict[Dimension, int], dimension: Dimension, amount: int) -> None:
        self._held[dimension] += amount - held.get(dimension, 0)
        held[dimension] = amount

    def _refusal(self, meter: _Meter, asked: Number, at: float | None, now: float) -> Refusal:
        budget, whose = meter.budget, f"the {self.owner} {self.owner_id}"
        used = _amount(budget.dimension, meter.used + self._held[budget.dimension])
        if at is None:
            advice = f"{asked:,g} more are never free"
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
        account.admit(run, estimate)
    return None


def _whole(dimension: Dimension, amount: Number) -> int:
    """An amount as it is counted; of what has no parts the next whole one."""
    check_amount("budget: an amount", amount)
    parts = _PARTS.get(dimension, 1)
    if isinstance(amount, int):
        return amount * parts
    return math.ceil(amount) if parts == 1 else round(amount * parts)


def _amount(dimension: Dimension, whole: int) -> Number:
    parts = _PARTS.get(dimension, 1)
    return whole if parts == 1 else whole / parts
