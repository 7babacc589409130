"""Tenants and runs as the scheduler has them: rules, order, and what runs are expected to cost."""

from __future__ import annotations

import bisect
import heapq
import math
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Generic, NamedTuple, TypeVar

from ...errors import ConfigError
from ..quotas.refusals import Owner

LEAST_SECONDS: Final = 0.0001
"""What a run is charged at its start, at least."""
FIRST_ESTIMATE_SECONDS: Final = 0.01
"""Of the first run of a tenant."""
_NEWEST_PART = 0.25
_RECENT_RUNS = 100
_KNOWN_STATEMENTS = 256


class Lane(StrEnum):
    """Which slots a run can have."""

    SHORT = "short"
    LONG = "long"


class State(StrEnum):
    """Where a run is; only executing ones hold a slot."""

    QUEUED = "queued"
    EXECUTING = "executing"
    ASLEEP = "asleep"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRules:
    """What a tenant gets; None is as many as there are slots.

    Runs that sleep beyond `max_asleep` count as executing ones, though they hold no slot: started runs, each of which
    has a memory, are never more than `max_asleep` and `max_executing` together.

    Raises:
        ConfigError: a value is out of its range.
    """

    weight: int = 1
    max_executing: int | None = None
    max_asleep: int | None = None
    max_queued: int = 1000
    max_wait_seconds: float = 60.0
    is_paused: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.weight <= 1_000_000:
            raise ConfigError(f"tenant: weight must be from 1 to 1,000,000, not {self.weight:,}")
        for name in ("max_executing", "max_asleep", "max_queued"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ConfigError(f"tenant: {name} must be 0 or more, not {value:,}")
        if not (math.isfinite(self.max_wait_seconds) and self.max_wait_seconds >= 0):
            raise ConfigError(f"tenant: max_wait_seconds must be 0 or more, not {self.max_wait_seconds:,}")


class Start(NamedTuple):
    """A run that has a slot from now on; a long one is to be executed with less of the processor (nice)."""

    run: str
    tenant: str
    lane: Lane
    estimate_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Why a run waits: the rule that holds it back, and what that allows.

    `position` is its place among the queued runs of its tenant, from 1; `expected_start` is on the clock that was
    asked with, None if nobody can tell.
    """

    rule: str
    owner: Owner
    message: str
    value: float | None
    position: int
    expected_start: float | None

    @property
    def changed_by(self) -> str:
        """Who may change the rule."""
        return self.owner.changed_by


_Item = TypeVar("_Item", bound=Hashable)


class Ordered(Generic[_Item]):
    """A heap of items that can be taken out and get other keys, in O(log n) amortised; keys are distinct."""

    __slots__ = ("_heap", "_keys")

    def __init__(self) -> None:
        self._keys: dict[_Item, tuple[float, ...]] = {}
        self._heap: list[tuple[tuple[float, ...], _Item]] = []

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, item: object) -> bool:
        return item in self._keys

    def __iter__(self) -> Iterator[_Item]:
        return iter(self._keys)

    def key(self, item: _Item) -> tuple[float, ...]:
        """The key of an item that is in."""
        return self._keys[item]

    def put(self, item: _Item, key: tuple[float, ...]) -> None:
        """Put an item in, or give it another key."""
        if self._keys.get(item) == key:
            return
        self._keys[item] = key
        heapq.heappush(self._heap, (key, item))
        if len(self._heap) > 2 * len(self._keys) + 64:
            self._heap = [(known, one) for one, known in self._keys.items()]
            heapq.heapify(self._heap)

    def discard(self, item: _Item) -> None:
        """Take an item out, if it is in."""
        self._keys.pop(item, None)

    def first(self) -> _Item | None:
        """The item with the least key."""
        while self._heap:
            key, item = self._heap[0]
            if self._keys.get(item) == key:
                return item
            heapq.heappop(self._heap)
        return None


class Estimates:
    """What the runs of one tenant cost: a moving average for each statement, and for unknown ones the p90 of all.

    `first` is that of the first run, `least` that of any; both are seconds, unless something else is estimated.
    """

    __slots__ = ("_averages", "_first", "_least", "_recent", "_sorted")

    def __init__(self, first: float = FIRST_ESTIMATE_SECONDS, least: float = LEAST_SECONDS) -> None:
        self._first = first
        self._least = least
        self._averages: OrderedDict[str, float] = OrderedDict()
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []

    def of(self, statement: str) -> float:
        """What a run of a statement is expected to take."""
        known = self._averages.get(statement)
        if known is None:
            rank = math.ceil(0.9 * len(self._sorted))
            known = self._sorted[rank - 1] if rank else self._first
        return max(known, self._least)

    def learn(self, statement: str, used: float) -> None:
        """A run has ended and has used that much."""
        known = self._averages.get(statement, used)
        self._set(statement, known + _NEWEST_PART * (used - known), used)

    def learn_at_least(self, statement: str, used: float) -> None:
        """A run has used that much and goes on: others of its kind are not to be taken for less."""
        self._set(statement, max(self._averages.get(statement, 0.0), used), used)

    def _set(self, statement: str, average: float, used: float) -> None:
        self._averages[statement] = average
        self._averages.move_to_end(statement)
        if len(self._averages) > _KNOWN_STATEMENTS:
            self._averages.popitem(last=False)
        if len(self._recent) == _RECENT_RUNS:
            del self._sorted[bisect.bisect_left(self._sorted, self._recent.popleft())]
        self._recent.append(used)
        bisect.insort(self._sorted, used)


@dataclass(eq=False, slots=True)
class Tenant:
    """A tenant with its runs, by where they are; nothing is counted apart from them but the backlog."""

    name: str
    rules: TenantRules
    vtime: float
    floor: float
    """Refunds bring `vtime` no lower: what was charged before an idle time is no credit after it."""
    turn: int
    """When it was made or last served; the order of those with the same `vtime`."""
    queues: dict[Lane, Ordered[Run]] = field(default_factory=lambda: {lane: Ordered() for lane in Lane})
    backlog: dict[int, int] = field(default_factory=dict)
    """Estimates of the queued runs by priority, in whole microseconds."""
    new: dict[str, Run] = field(default_factory=dict)
    """Queued for the first time; others that are queued have been accepted once and count no more."""
    executing: dict[str, Run] = field(default_factory=dict)
    started: dict[str, Run] = field(default_factory=dict)
    """Executing, asleep, or woken and queued."""
    estimates: Estimates = field(default_factory=Estimates)

    def queued(self) -> Iterator[Run]:
        """Every queued run, in no order."""
        for queue in self.queues.values():
            yield from queue

    def asleep(self) -> Iterator[Run]:
        """Every run that is asleep, in no order."""
        return (run for run in self.started.values() if run.state is State.ASLEEP)

    @property
    def is_waiting(self) -> bool:
        """Whether it has a queued run."""
        return any(map(len, self.queues.values()))

    def count(self, state: State) -> int:
        """How many runs are in a state."""
        if state is State.QUEUED:
            return sum(len(queue) for queue in self.queues.values())
        return len(self.executing) if state is State.EXECUTING else sum(1 for _ in self.asleep())


@dataclass(eq=False, slots=True)
class Run:
    """A run from its acceptance to its end; times are CPU seconds, `charged` what its tenant has paid so far."""

    id: str
    tenant: Tenant
    statement: str
    priority: int
    number: int
    start_by: float
    """When it is refused if it has not started, on the caller's clock."""
    state: State = State.QUEUED
    lane: Lane = Lane.SHORT
    is_in_front: bool = False
    """It was accepted before, and is queued again."""
    queued_microseconds: int = 0
    estimate: float = 0.0
    used: float = 0.0
    charged: float = 0.0

    @property
    def key(self) -> tuple[float, ...]:
        """Its place among the runs of its tenant: what has started may end, then what begins anew, then the others."""
        if not self.is_in_front:
            return (2, -self.priority, self.number)
        return (0 if self.id in self.tenant.started else 1, 0, self.number)

    @property
    def remaining(self) -> float:
        """What it may still take; one that takes longer than expected, as long again."""
        return self.estimate - self.used if self.used < self.estimate else self.used
