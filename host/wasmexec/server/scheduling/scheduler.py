"""Start-time fair queueing of runs by CPU time, over tenants with weights.

A tenant's `vtime` is what its runs have cost, divided by its weight; of those that wait, the one with the least is
next. A run is charged its estimate when it starts, what exceeds that as soon as it is reported, and the truth at its
end, refunds included. Nothing is counted apart from what it counts: a slot is the entry of an executing run.

Short runs (below 50 ms, by estimate and so far) are never behind long ones: these hold all slots but one. A run that
turns out to be long in the last slot keeps going in a *spare* one, so workers must be able to execute `slots + spare`
at once; a tenant that holds its share of the slots starts nothing there.

Source: Goyal, Vin, Cheng: Start-time Fair Queueing (1996); charging as one goes: arXiv 2401.00588.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from ...errors import ConfigError
from ..quotas.refusals import Owner, Refusal
from .fair_queue import LEAST_SECONDS, Lane, Ordered, Run, Start, State, Tenant, TenantRules, Waiting

__all__ = ["Lane", "Scheduler", "Start", "State", "TenantRules", "Waiting"]

LONG_SECONDS: Final = 0.05
"""CPU time that makes a run a long one, estimated or used."""
LARGEST_SHARE: Final = 0.75
"""Part of the slots that one tenant may hold while another waits that could start."""
PRIORITIES: Final = range(10)
"""Higher ones first, among the runs of one tenant."""


class Scheduler:
    """Decides which run is next; used by one thread, which says what happens to runs.

    `slots` is how many runs compute at once, over all workers, `spare` how many more may when short runs turn out to
    be long, `cores` how many of them get a whole processor. Times are seconds of any clock that never goes back.
    """

    def __init__(self, *, slots: int, spare: int | None = None, cores: int | None = None) -> None:
        self._tenants: dict[str, Tenant] = {}
        self._runs: dict[str, Run] = {}
        self._executing: dict[Lane, dict[str, Run]] = {lane: {} for lane in Lane}
        self._turns: dict[Lane, Ordered[Tenant]] = {lane: Ordered() for lane in Lane}
        self._deadlines: Ordered[Run] = Ordered()
        self._waiting_weight = 0
        self._waiting_microseconds = 0
        self._number = 0
        self.vtime = 0.0
        """The system's virtual time: the greatest at which a run started."""
        self._over = 0
        self.resize(slots=slots, spare=spare, cores=cores)

    # What there is

    def resize(self, *, slots: int, spare: int | None = None, cores: int | None = None) -> None:
        """Another number of slots, for workers come and go; what executes goes on.

        Raises:
            ConfigError: one of them is negative.
        """
        self.slots, self.spare, self.cores = slots, slots if spare is None else spare, slots if cores is None else cores
        if min(self.slots, self.spare, self.cores) < 0:
            raise ConfigError("scheduler: slots, spare and cores must be 0 or more")
        self._long_slots = max(self.slots - 1, min(self.slots, 1))
        """How many of them long runs may hold."""
        self._over = self._count_executing()
        for tenant in self._tenants.values():
            if tenant.rules.max_asleep is not None:
                self._place(tenant)

    def set_tenant(self, name: str, rules: TenantRules) -> None:
        """A new tenant, or other rules for one; it begins or goes on at the system's time."""
        tenant = self._tenants.get(name)
        if tenant is None:
            self._number += 1
            tenant = self._tenants[name] = Tenant(name, rules, self.vtime, self.vtime, self._number)
        elif tenant.is_waiting:
            self._waiting_weight += rules.weight - tenant.rules.weight
        tenant.rules = rules
        self._lift(tenant)
        self._place(tenant)

    def remove_tenant(self, name: str) -> None:
        """Forget a tenant.

        Raises:
            KeyError: there is none of that name.
            ValueError: it has runs.
        """
        tenant = self._tenants[name]
        if tenant.started or tenant.is_waiting:
            raise ValueError(f"tenant {name} has runs")
        del self._tenants[name]

    def state(self, run: str) -> State | None:
        """Where a run is; None if it has ended or never was."""
        known = self._runs.get(run)
        return None if known is None else known.state

    def count(self, state: State, tenant: str | None = None) -> int:
        """How many runs are in a state, of one tenant or of all."""
        tenants = self._tenants.values() if tenant is None else [self._tenants[tenant]]
        return sum(item.count(state) for item in tenants)

    def estimate(self, tenant: str, statement: str) -> float:
        """The processor seconds that a run of a statement is expected to take."""
        return self._tenants[tenant].estimates.of(statement)

    def vtime_of(self, tenant: str) -> float:
        """What a tenant's runs have cost by its weight, idle times made up for."""
        return self._tenants[tenant].vtime

    # What happens to a run

    def submit(
        self, run: str, *, tenant: str, statement: str, now: float, priority: int = 0, start_by: float = math.inf
    ) -> Refusal | None:
        """Queue a run, unless its tenant has too many queued or it cannot start in time.

        `statement` tells runs of a kind, by which their cost is estimated: a hash of the text.

        Raises:
            KeyError: there is no such tenant.
            ValueError: there is such a run, no such priority, or `start_by` is not a number.
        """
        if run in self._runs:
            raise ValueError(f"run {run} is there already")
        if priority not in PRIORITIES:
            raise ValueError(f"priority must be from {PRIORITIES[0]} to {PRIORITIES[-1]}, not {priority}")
        if math.isnan(start_by):
            raise ValueError("start_by must be a number")
        owner = self._tenants[tenant]
        self._number += 1
        by = min(start_by, now + owner.rules.max_wait_seconds)
        new = Run(run, owner, statement, priority, self._number, by)
        new.estimate = owner.estimates.of(statement)
        refusal = self._refusal(new, now)
        if refusal is not None:
            return refusal
        self._runs[run] = owner.new[run] = new
        self._deadlines.put(new, (by, new.number))
        self._arrive(new)
        return None

    def start_next(self) -> Start | None:
        """Give a slot to the run that is next, or None: there is no slot, or nobody who may have it."""
        while any(map(len, self._turns.values())) and (tenant := self._next_tenant()) is not None:
            lanes = [lane for lane in self._open_lanes() if tenant in self._turns[lane]]
            heads = [head for lane in lanes if (head := tenant.queues[lane].first()) is not None]
            run = min(heads, key=lambda head: head.key)
            # Others of its kind may have shown meanwhile what they cost.
            run.estimate = max(tenant.estimates.of(run.statement), run.used)
            if run.lane is Lane.SHORT and run.estimate >= LONG_SECONDS:
                self._dequeue(run)
                self._enqueue(run)
                continue
            self._dequeue(run)
            self._accept(run)
            run.state = State.EXECUTING
            tenant.executing[run.id] = tenant.started[run.id] = self._executing[run.lane][run.id] = run
            self.vtime = max(self.vtime, tenant.vtime)
            self._number += 1
            tenant.turn = self._number
            self._charge(run, run.used + max(run.estimate - run.used, LEAST_SECONDS))
            self._place(tenant)
            return Start(run.id, tenant.name, run.lane, run.estimate)
        return None

    def report(self, run: str, cpu_seconds: float) -> Lane:
        """What a started run has used so far; it has become a long one if that is the answer.

        What the host does for one that is asleep, or goes on before it has a slot again, is charged like all else.

        Raises:
            KeyError: there is no such run.
            ValueError: it has not started, or the time makes no sense.
        """
        known = self._started(run)
        self._use(known, cpu_seconds)
        if known.used > known.charged:
            self._charge(known, known.used)
            self._place(known.tenant)
        if known.state is State.EXECUTING and known.lane is Lane.SHORT and known.used >= LONG_SECONDS:
            known.lane = Lane.LONG
            self._executing[Lane.LONG][run] = self._executing[Lane.SHORT].pop(run)
            known.tenant.estimates.learn_at_least(known.statement, known.used)
        return known.lane

    def sleep(self, run: str, cpu_seconds: float) -> None:
        """An executing run waits for something: it gives its slot back.

        Raises:
            KeyError: there is no such run.
            ValueError: it does not execute, or the time makes no sense.
        """
        known = self._expect(run, State.EXECUTING)
        self.report(run, cpu_seconds)
        self._leave_slot(known)
        self._charge(known, known.used)
        known.state = State.ASLEEP
        self._place(known.tenant)

    def wake(self, run: str) -> None:
        """A run that was asleep has something to do: it is queued in front of the others of its tenant.

        Raises:
            KeyError: there is no such run.
            ValueError: it is not asleep.
        """
        known = self._expect(run, State.ASLEEP)
        known.state, known.is_in_front = State.QUEUED, True
        self._number += 1
        known.number = self._number
        self._arrive(known)

    def end(self, run: str, cpu_seconds: float | None = None, *, is_complete: bool = True) -> State:
        """A run is no more, wherever it was: ended, withdrawn, cancelled or lost; the state that it was in.

        An executing one is told to stop first, and is no more when its worker says so or is gone. `cpu_seconds` is all
        that it used, None if nobody knows. Only what is complete shows what others of its kind will cost.

        Raises:
            KeyError: there is no such run.
            ValueError: the time makes no sense.
        """
        known = self._runs[run]
        if cpu_seconds is not None:
            self._use(known, cpu_seconds)
        state = known.state
        if state is State.EXECUTING:
            self._leave_slot(known)
            if is_complete:
                known.tenant.estimates.learn(known.statement, known.used)
        elif state is State.QUEUED:
            self._dequeue(known)
            self._accept(known)
        self._charge(known, known.used)
        known.tenant.started.pop(run, None)
        del self._runs[run]
        self._place(known.tenant)
        return state

    def charge(self, tenant: str, cpu_seconds: float) -> None:
        """Have a tenant pay for what was done for it outside of its runs.

        Raises:
            KeyError: there is no such tenant.
            ValueError: the time makes no sense.
        """
        if not (math.isfinite(cpu_seconds) and cpu_seconds >= 0):
            raise ValueError(f"tenant {tenant}: cpu_seconds must be finite and 0 or more, not {cpu_seconds}")
        known = self._tenants[tenant]
        known.vtime += cpu_seconds / known.rules.weight
        self._place(known)

    def repeat(self, run: str, cpu_seconds: float | None = None) -> None:
        """A run was lost with its worker: it is queued again, in front, and begins anew; what it used stays charged.

        Raises:
            KeyError: there is no such run.
            ValueError: it has not started, or the time makes no sense.
        """
        known = self._started(run)
        self.end(run, cpu_seconds, is_complete=False)
        known.state, known.is_in_front, known.used, known.charged = State.QUEUED, True, 0.0, 0.0
        self._runs[run] = known
        self._arrive(known)

    def overdue(self, now: float) -> list[tuple[str, Refusal]]:
        """Take out the queued runs that should have started by now, each with the refusal that ends it."""
        found = []
        while (run := self._deadlines.first()) is not None and run.start_by < now:
            wait, obstacle = self._expected_wait(run, self._backlog(run)), self._obstacle(run)
            self.end(run.id)
            found.append((run.id, _too_late(run, wait, 0.0, f"the run could not start in time: {obstacle.message}")))
        return found

    # Why

    def why_waiting(self, run: str, now: float) -> Waiting | None:
        """What holds a queued run back; None if it is not queued.

        Raises:
            KeyError: there is no such run.
        """
        known = self._runs[run]
        if known.state is not State.QUEUED:
            return None
        tenant, key = known.tenant, known.key
        before = [other for other in tenant.queued() if other.key < key]
        # What is known by now of those before it, not what was when they came.
        backlog = sum(max(tenant.estimates.of(other.statement) - other.used, LEAST_SECONDS) for other in before)
        wait = self._expected_wait(known, backlog)
        start = None if wait is None or math.isinf(wait) else now + wait
        return replace(self._obstacle(known), position=len(before) + 1, expected_start=start)

    def check(self) -> None:
        """Prove every invariant: slots, lanes, states and queues agree with the runs that there are.

        Raises:
            AssertionError: one does not hold.
        """
        seen: dict[str, Run] = {}
        for tenant in self._tenants.values():
            queued = {run.id: run for run in tenant.queued()}
            asleep = {run.id: run for run in tenant.asleep()}
            _prove(not queued.keys() & tenant.executing.keys(), "a run is queued and executes")
            _prove(len(queued) == tenant.count(State.QUEUED), "a run is queued twice")
            _prove(
                tenant.executing.keys() | asleep.keys() <= tenant.started.keys(), "a run executes and is not started"
            )
            for runs, state in ((queued, State.QUEUED), (tenant.executing, State.EXECUTING), (asleep, State.ASLEEP)):
                _prove(
                    all(run.state is state and run.tenant is tenant for run in runs.values()), f"not all are {state}"
                )
                seen |= runs
            _prove(tenant.started.keys() <= seen.keys(), "a started run is nowhere")
            backlog = dict.fromkeys(tenant.backlog, 0)
            for run in queued.values():
                backlog[run.priority] += run.queued_microseconds
            _prove(backlog == tenant.backlog, "the backlog is not that of the queue")
            _prove(tenant.vtime >= tenant.floor, "a refund brought a tenant below its floor")
            for lane in Lane:
                is_there = tenant in self._turns[lane]
                _prove(is_there == self._may_start(tenant, lane), f"{tenant.name} waits for its turn wrongly")
                _prove(not is_there or self._turns[lane].key(tenant) == (tenant.vtime, tenant.turn), "an old turn")
        _prove(seen == self._runs, "a run is nowhere, or is not known")
        for lane, runs in self._executing.items():
            _prove(all(run.lane is lane for run in runs.values()), f"not all are {lane}")
        executing = {run.id for runs in self._executing.values() for run in runs.values()}
        _prove(executing == {run.id for run in seen.values() if run.state is State.EXECUTING}, "a slot leaked")
        _prove(len(executing) <= max(self.slots + self.spare, self._over), "more execute than there are slots")
        weight = sum(tenant.rules.weight for tenant in self._tenants.values() if tenant.is_waiting)
        _prove(weight == self._waiting_weight, "the weight of those who wait is not theirs")
        total = sum(sum(tenant.backlog.values()) for tenant in self._tenants.values())
        _prove(total == self._waiting_microseconds, "the backlog of all is not that of each")
        new = {run for run in self._runs.values() if run.state is State.QUEUED and not run.is_in_front}
        _prove(set(self._deadlines) == new, "a deadline of a run that does not wait, or none")
        _prove({run for tenant in self._tenants.values() for run in tenant.new.values()} == new, "not all new are new")

    # Turns

    def _count_executing(self) -> int:
        return sum(map(len, self._executing.values()))

    @property
    def largest_share(self) -> int:
        """How many slots one tenant may hold while another waits that could start."""
        return max(1, math.floor(LARGEST_SHARE * self.slots))

    def _open_lanes(self) -> list[Lane]:
        """The lanes that have a slot, long ones only if they leave one to the others."""
        short, long = len(self._executing[Lane.SHORT]), len(self._executing[Lane.LONG])
        if short + min(long, self._long_slots) >= self.slots or short + long >= self.slots + self.spare:
            return []
        return [Lane.SHORT, Lane.LONG] if long < self._long_slots else [Lane.SHORT]

    def _holds_share(self, tenant: Tenant) -> bool:
        return len(tenant.executing) >= self.largest_share

    def _next_tenant(self) -> Tenant | None:
        """The one with the least vtime that may start something, those that hold their share last."""
        found: list[tuple[bool, tuple[float, ...], Tenant]] = []
        for lane in self._open_lanes():
            turns, passed = self._turns[lane], []
            while (tenant := turns.first()) is not None:
                found.append((self._holds_share(tenant), turns.key(tenant), tenant))
                if not found[-1][0]:
                    break
                # There are few: each of them executes three quarters of what there are slots.
                passed.append(tenant)
                turns.discard(tenant)
            for tenant in passed:
                turns.put(tenant, (tenant.vtime, tenant.turn))
        if not found:
            return None
        holds_share, _, tenant = min(found, key=lambda item: item[:2])
        return None if holds_share and self._count_executing() >= self.slots else tenant

    def _may_start(self, tenant: Tenant, lane: Lane) -> bool:
        """Whether the tenant's own rules let the first of a lane start."""
        head = tenant.queues[lane].first()
        return head is not None and self._own_obstacle(head) is None

    def _own_obstacle(self, run: Run) -> tuple[str, int | None] | None:
        """Which rule of its tenant holds a run back, and what that allows."""
        tenant, rules = run.tenant, run.tenant.rules
        is_new = run.id not in tenant.started
        if rules.is_paused and is_new:
            # What has started may end.
            return "tenant.paused", None
        if rules.max_executing is not None and len(tenant.executing) >= rules.max_executing:
            return "count.executing", rules.max_executing
        if rules.max_asleep is not None and is_new:
            executing = self.slots if rules.max_executing is None else min(rules.max_executing, self.slots)
            if len(tenant.started) >= executing + rules.max_asleep:
                return "count.asleep", rules.max_asleep
        return None

    def _place(self, tenant: Tenant) -> None:
        """Where a tenant now stands among those that may start something: the end of whatever changes one."""
        for lane, turns in self._turns.items():
            if self._may_start(tenant, lane):
                turns.put(tenant, (tenant.vtime, tenant.turn))
            else:
                turns.discard(tenant)

    def _lift(self, tenant: Tenant) -> None:
        tenant.floor = max(tenant.floor, self.vtime)
        tenant.vtime = max(tenant.vtime, tenant.floor)

    def _charge(self, run: Run, total: float) -> None:
        """Have a run charged so much in all, which may be less than before."""
        tenant = run.tenant
        tenant.vtime = max(tenant.floor, tenant.vtime + (total - run.charged) / tenant.rules.weight)
        run.charged = total

    # Queues

    def _arrive(self, run: Run) -> None:
        """Queue a run, whose tenant begins at the system's time if it had none queued."""
        if not run.tenant.is_waiting:
            self._lift(run.tenant)
        self._enqueue(run)

    def _enqueue(self, run: Run) -> None:
        tenant = run.tenant
        if not tenant.is_waiting:
            self._waiting_weight += tenant.rules.weight
        run.estimate = max(tenant.estimates.of(run.statement), run.used)
        run.lane = Lane.LONG if run.estimate >= LONG_SECONDS else Lane.SHORT
        run.queued_microseconds = round(max(run.estimate - run.used, LEAST_SECONDS) * 1e6)
        tenant.backlog[run.priority] = tenant.backlog.get(run.priority, 0) + run.queued_microseconds
        self._waiting_microseconds += run.queued_microseconds
        tenant.queues[run.lane].put(run, run.key)
        self._place(tenant)

    def _dequeue(self, run: Run) -> None:
        tenant = run.tenant
        tenant.queues[run.lane].discard(run)
        tenant.backlog[run.priority] -= run.queued_microseconds
        self._waiting_microseconds -= run.queued_microseconds
        if not tenant.is_waiting:
            self._waiting_weight -= tenant.rules.weight

    def _accept(self, run: Run) -> None:
        """It is no new run any more."""
        run.tenant.new.pop(run.id, None)
        self._deadlines.discard(run)

    def _leave_slot(self, run: Run) -> None:
        del run.tenant.executing[run.id]
        del self._executing[run.lane][run.id]
        self._over = min(self._over, self._count_executing())

    def _expect(self, run: str, state: State) -> Run:
        known = self._runs[run]
        if known.state is not state:
            raise ValueError(f"run {run} is {known.state}, not {state}")
        return known

    def _started(self, run: str) -> Run:
        known = self._runs[run]
        if run not in known.tenant.started:
            raise ValueError(f"run {run} has not started")
        return known

    @staticmethod
    def _use(run: Run, cpu_seconds: float) -> None:
        if not (math.isfinite(cpu_seconds) and cpu_seconds >= 0):
            raise ValueError(f"run {run.id}: cpu_seconds must be finite and 0 or more, not {cpu_seconds}")
        # A report that was overtaken by a later one says nothing new.
        run.used = max(run.used, cpu_seconds)

    # Times to wait

    def _backlog(self, run: Run) -> float:
        """Estimated seconds of what its tenant has queued before a new run."""
        return sum(amount for priority, amount in run.tenant.backlog.items() if priority >= run.priority) / 1e6

    def _expected_wait(self, run: Run, backlog: float) -> float | None:
        """Seconds until a run starts, by what is estimated and executes; infinite if never, None if nobody knows."""
        tenant, rules = run.tenant, run.tenant.rules
        if rules.max_executing == 0:
            return math.inf
        if rules.is_paused:
            return None
        weight = self._waiting_weight + (0 if tenant.is_waiting else rules.weight)
        cores = max(1, min(self.slots, self.cores))
        share = cores * rules.weight / weight
        # Whatever the weights, nobody waits longer than for everything.
        seconds = min(backlog / share, max(backlog, self._waiting_microseconds / 1e6) / cores)
        if rules.max_executing is not None:
            seconds = max(seconds, backlog / rules.max_executing)
        lane = Lane.LONG if run.estimate >= LONG_SECONDS else Lane.SHORT
        long, first = list(self._executing[Lane.LONG].values()), list[Run]()
        if self._own_obstacle(run) is not None:
            first = list(tenant.executing.values())
            if not first:
                # All of them are asleep.
                return None
        elif lane not in self._open_lanes() or (weight > rules.weight and self._holds_share(tenant)):
            first = long if lane is Lane.LONG and long else [*self._executing[Lane.SHORT].values(), *long]
        slower = max(1.0, self._count_executing() / cores)
        return min((other.remaining for other in first), default=0.0) * slower + seconds

    def _refusal(self, run: Run, now: float) -> Refusal | None:
        tenant, rules = run.tenant, run.tenant.rules
        backlog, queued, allowed = self._backlog(run), len(tenant.new), run.start_by - now
        if queued >= rules.max_queued:
            # One place is free again when any of them starts.
            each = sum(tenant.backlog.values()) / 1e6 / max(queued, 1)
            wait = self._expected_wait(run, each) if rules.max_queued else None
            return Refusal(
                rule="count.queued",
                owner=Owner.TENANT,
                status=429,
                value=rules.max_queued,
                used=queued,
                asked=1,
                retry_after_seconds=None if wait is None or math.isinf(wait) else max(wait, LEAST_SECONDS),
                message=f"the tenant {tenant.name} may have {rules.max_queued:,} queued runs and has {queued:,}",
            )
        wait = self._expected_wait(run, backlog)
        if wait is None or wait <= allowed:
            return None
        if math.isinf(wait):
            return Refusal(
                rule="count.executing", owner=Owner.TENANT, status=429, value=0, used=0, asked=1,
                message=f"no run of the tenant {tenant.name} ever starts: it may have 0 executing runs",
            )  # fmt: skip
        message = f"the run would start in {wait:.3f} s, and it has to within {max(allowed, 0.0):.3f} s"
        return _too_late(run, wait, allowed, message)

    def _obstacle(self, run: Run) -> Waiting:
        tenant, lanes = run.tenant, self._open_lanes()
        own = self._own_obstacle(run)
        if own is not None:
            name, value = own
            may = f"{value} runs may be {name.removeprefix('count.')}" if value is not None else "paused"
            return _waiting(name, Owner.TENANT, value, f"the tenant {tenant.name}: {may}")
        if lanes and run.lane not in lanes:
            number = self._long_slots
            return _waiting(
                "lane.long", Owner.SERVER, number, f"{number} long runs execute, the rest is for short ones"
            )
        if self._holds_share(tenant) and self._waiting_weight > tenant.rules.weight:
            number = self.largest_share
            return _waiting("share", Owner.SERVER, number, f"the tenant holds its {number} slots, and others wait")
        if not lanes or self._count_executing() >= self.slots:
            return _waiting("slots", Owner.SERVER, self.slots, f"all {self.slots} slots are taken")
        message = "others are before it, by what they have used and their weight"
        return _waiting("turn", Owner.TENANT, tenant.rules.weight, message)


def _waiting(rule: str, owner: Owner, value: int | None, message: str) -> Waiting:
    return Waiting(rule=rule, owner=owner, value=value, message=message, position=1, expected_start=None)


def _too_late(run: Run, wait: float | None, allowed: float, message: str) -> Refusal:
    is_known = wait is not None and math.isfinite(wait)
    return Refusal(
        rule="schedule.start_by",
        owner=Owner.TENANT,
        status=503,
        value=run.tenant.rules.max_wait_seconds,
        used=wait if is_known else None,
        asked=max(allowed, 0.0),
        retry_after_seconds=max(wait - allowed, LEAST_SECONDS) if wait is not None and is_known else None,
        message=message,
    )


def _prove(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)
