"""A machine in virtual time for the scheduler: runs of known cost share its cores, nice ones a tenth as much."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from wasmexec.server.scheduling.scheduler import Lane, Scheduler

REPORT_SECONDS = 0.05
WEIGHTS = {Lane.SHORT: 1024.0, Lane.LONG: 110.0}
"""Those of the Linux scheduler for nice 0 and +10."""


@dataclass(slots=True)
class Work:
    """A run: what it costs, when it came and started, where it sleeps (CPU used until then, for how long)."""

    tenant: str
    cost: float
    came_at: float
    sleeps: list[tuple[float, float]] = field(default_factory=list)
    used: float = 0.0
    started_at: float | None = None
    lane: Lane = Lane.SHORT


class Machine:
    """Drives a scheduler; `on_end` is called for every run that ends, and may submit more."""

    def __init__(self, scheduler: Scheduler, cores: float) -> None:
        self.scheduler = scheduler
        self.cores = cores
        self.now = 0.0
        self.cpu: defaultdict[str, float] = defaultdict(float)
        self.latencies: defaultdict[str, list[float]] = defaultdict(list)
        self.waits: defaultdict[str, list[float]] = defaultdict(list)
        self.on_end: Callable[[Work], None] = lambda work: None
        self.works: dict[str, Work] = {}
        self._executing: dict[str, Work] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Have something done at a time."""
        self._number += 1
        heapq.heappush(self._events, (when, self._number, action))

    def submit(
        self, tenant: str, cost: float, statement: str = "s", sleeps: list[tuple[float, float]] | None = None
    ) -> None:
        """Submit a run, which has to be accepted."""
        self._number += 1
        name = f"r{self._number}"
        refusal = self.scheduler.submit(name, tenant=tenant, statement=statement, now=self.now)
        assert refusal is None, refusal
        self.works[name] = Work(tenant, cost, self.now, list(sleeps or ()))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end, tick = self.now + seconds, self.now + REPORT_SECONDS
        while self.now < end:
            self._start()
            rates = self._rates()
            until = [end, tick, *(work_end for work_end in self._next_stops(rates))]
            if self._events:
                until.append(self._events[0][0])
            step = max(0.0, min(until) - self.now)
            self.now += step
            for name, rate in rates.items():
                work = self._executing[name]
                work.used += rate * step
                self.cpu[work.tenant] += rate * step
            for name in list(rates):
                self._advance(name)
            if self.now >= tick:
                for name, work in self._executing.items():
                    work.lane = self.scheduler.report(name, work.used)
                tick += REPORT_SECONDS
            while self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()

    def _start(self) -> None:
        while (start := self.scheduler.start_next()) is not None:
            work = self._executing[start.run] = self.works[start.run]
            work.lane = start.lane
            if work.started_at is None:
                work.started_at = self.now
                self.waits[work.tenant].append(self.now - work.came_at)

    def _rates(self) -> dict[str, float]:
        """What each run gets of a core: by weight, a whole one at most."""
        rates: dict[str, float] = {}
        left, cores = dict(self._executing), self.cores
        while left:
            total = sum(WEIGHTS[work.lane] for work in left.values())
            whole = [name for name, work in left.items() if WEIGHTS[work.lane] / total * cores >= 1.0]
            if not whole:
                rates |= {name: WEIGHTS[work.lane] / total * cores for name, work in left.items()}
                break
            for name in whole:
                rates[name] = 1.0
                cores -= 1.0
                del left[name]
        return rates

    def _next_stops(self, rates: dict[str, float]) -> list[float]:
        stops = []
        for name, rate in rates.items():
            work = self._executing[name]
            goal = work.sleeps[0][0] if work.sleeps else work.cost
            stops.append(self.now + (goal - work.used) / max(rate, 1e-9))
        return stops

    def _advance(self, name: str) -> None:
        work = self._executing[name]
        if work.sleeps and work.used >= work.sleeps[0][0] - 1e-9:
            _, seconds = work.sleeps.pop(0)
            del self._executing[name]
            self.scheduler.sleep(name, work.used)
            self.at(self.now + seconds, lambda: self.scheduler.wake(name))
        elif not work.sleeps and work.used >= work.cost - 1e-9:
            del self._executing[name], self.works[name]
            self.scheduler.end(name, work.used)
            self.latencies[work.tenant].append(self.now - work.came_at)
            self.on_end(work)


def jain(values: list[float]) -> float:
    """Jain's index of fairness: 1 if all are equal, 1/n if one has everything."""
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))


def quantile(values: list[float], part: float) -> float:
    """The value that so large a part of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
