"""Whatever happens in whatever order: no slot is held at the end, none is free that somebody could have had."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from wasmexec.server.scheduling.scheduler import Lane, Scheduler, State, TenantRules

TENANTS = ("a", "b", "c")
SECONDS = st.sampled_from([0.0, 0.0005, 0.01, 0.0499, 0.05, 0.2, 30.0])
RULES = st.builds(
    TenantRules,
    weight=st.integers(1, 5),
    max_executing=st.none() | st.integers(0, 3),
    max_asleep=st.none() | st.integers(0, 3),
    max_queued=st.integers(0, 6),
    max_wait_seconds=st.sampled_from([0.0, 1.0, 1000.0]),
    is_paused=st.booleans(),
)


class SchedulerStates(RuleBasedStateMachine):
    """A model beside the scheduler: of each run its tenant, where it is, which lane it has, what it has used."""

    runs = Bundle("runs")

    @initialize(slots=st.integers(1, 5), spare=st.integers(0, 3))
    def begin(self, slots: int, spare: int) -> None:
        self.scheduler = Scheduler(slots=slots, spare=spare)
        self.slots, self.spare = slots, spare
        self.tenant_rules = {name: TenantRules() for name in TENANTS}
        for name, rules in self.tenant_rules.items():
            self.scheduler.set_tenant(name, rules)
        self.state: dict[str, State] = {}
        self.tenant: dict[str, str] = {}
        self.lane: dict[str, Lane] = {}
        self.used: dict[str, float] = {}
        self.started: set[str] = set()
        self.number = 0
        self.now = 0.0
        self.vtime = 0.0

    def those(self, state: State, tenant: str | None = None) -> list[str]:
        return [run for run, at in self.state.items() if at is state and tenant in (None, self.tenant[run])]

    def forget(self, run: str) -> None:
        del self.state[run], self.used[run]
        self.started.discard(run)

    def may_start(self, run: str) -> bool:
        rules, tenant = self.tenant_rules[self.tenant[run]], self.tenant[run]
        executing = len(self.those(State.EXECUTING, tenant))
        started = sum(self.tenant[other] == tenant for other in self.started)
        most = self.slots if rules.max_executing is None else min(rules.max_executing, self.slots)
        return not (
            (rules.is_paused and run not in self.started)
            or (rules.max_executing is not None and executing >= rules.max_executing)
            or (run not in self.started and rules.max_asleep is not None and started >= most + rules.max_asleep)
        )

    @rule(
        target=runs,
        tenant=st.sampled_from(TENANTS),
        statement=st.sampled_from("xyz"),
        priority=st.integers(0, 9),
        patience=st.sampled_from([0.0, 5.0, 1e9]),
    )
    def submit(self, tenant: str, statement: str, priority: int, patience: float) -> Any:
        self.number += 1
        run = f"r{self.number}"
        new = [other for other in self.those(State.QUEUED, tenant) if other not in self.ever_started]
        refusal = self.scheduler.submit(
            run, tenant=tenant, statement=statement, now=self.now, priority=priority, start_by=self.now + patience
        )
        if len(new) >= self.tenant_rules[tenant].max_queued:
            assert refusal is not None
            assert refusal.rule == "count.queued"
        if refusal is not None:
            assert self.scheduler.state(run) is None
            assert refusal.retry_after_seconds is None or refusal.retry_after_seconds > 0
            return multiple()
        self.state[run], self.tenant[run], self.used[run] = State.QUEUED, tenant, 0.0
        return run

    @property
    def ever_started(self) -> set[str]:
        return self.started | self.repeated

    @initialize()
    def no_repeats(self) -> None:
        self.repeated: set[str] = set()

    @rule(most=st.integers(1, 6))
    def start(self, most: int) -> None:
        for _ in range(most):
            long = sum(self.lane[run] is Lane.LONG for run in self.those(State.EXECUTING))
            short = len(self.those(State.EXECUTING)) - long
            candidates = [run for run in self.those(State.QUEUED) if self.may_start(run)]
            start = self.scheduler.start_next()
            if start is None:
                # With a slot for any lane somebody could have had it.
                is_open = long < max(self.slots - 1, 1) and short + long < self.slots
                assert not (candidates and is_open)
                if candidates and short + long < self.slots:
                    assert all(self.why(run) == "lane.long" for run in candidates if self.is_head(run))
                return
            assert start.run in candidates
            assert start.tenant == self.tenant[start.run]
            assert short + long < self.slots + self.spare
            assert short + min(long, self.slots - 1) < max(self.slots, 1)
            assert start.lane is Lane.SHORT or long < max(self.slots - 1, 1)
            self.state[start.run], self.lane[start.run] = State.EXECUTING, start.lane
            self.started.add(start.run)

    def why(self, run: str) -> str:
        why = self.scheduler.why_waiting(run, self.now)
        assert why is not None
        return why.rule

    def is_head(self, run: str) -> bool:
        why = self.scheduler.why_waiting(run, self.now)
        assert why is not None
        return why.position == 1

    @rule(run=runs, seconds=SECONDS)
    def report(self, run: str, seconds: float) -> None:
        if run in self.started:
            self.used[run] = max(self.used[run], seconds)
            lane = self.scheduler.report(run, seconds)
            if self.state[run] is State.EXECUTING:
                assert lane is Lane.LONG or self.used[run] < 0.05
                self.lane[run] = lane

    @rule(run=runs, seconds=SECONDS)
    def sleep(self, run: str, seconds: float) -> None:
        if self.state.get(run) is State.EXECUTING:
            self.used[run] = max(self.used[run], seconds)
            self.scheduler.sleep(run, seconds)
            self.state[run] = State.ASLEEP

    @rule(run=runs)
    def wake(self, run: str) -> None:
        if self.state.get(run) is State.ASLEEP:
            self.scheduler.wake(run)
            self.state[run] = State.QUEUED

    @rule(run=consumes(runs), seconds=st.none() | SECONDS, is_complete=st.booleans())
    def end(self, run: str, seconds: float | None, is_complete: bool) -> None:
        if run in self.state:
            before = self.state[run]
            known = seconds if run in self.started else None
            assert self.scheduler.end(run, known, is_complete=is_complete) is before
            self.forget(run)

    @rule(run=runs)
    def repeat(self, run: str) -> None:
        if run in self.started:
            self.scheduler.repeat(run)
            self.state[run], self.used[run] = State.QUEUED, 0.0
            self.started.discard(run)
            self.repeated.add(run)

    @rule(seconds=st.sampled_from([0.001, 1.0, 10.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        for run, refusal in self.scheduler.overdue(self.now):
            assert (self.state[run], run in self.ever_started) == (State.QUEUED, False)
            assert refusal.status == 503
            self.forget(run)

    @rule(tenant=st.sampled_from(TENANTS), rules=RULES)
    def other_rules(self, tenant: str, rules: TenantRules) -> None:
        self.tenant_rules[tenant] = rules
        self.scheduler.set_tenant(tenant, rules)

    @rule(slots=st.integers(0, 6), spare=st.integers(0, 3))
    def other_slots(self, slots: int, spare: int) -> None:
        self.slots, self.spare = slots, spare
        self.scheduler.resize(slots=slots, spare=spare)

    @invariant()
    def agrees(self) -> None:
        self.scheduler.check()
        assert {run: self.scheduler.state(run) for run in self.state} == self.state
        for state in State:
            assert self.scheduler.count(state) == len(self.those(state))
        assert self.scheduler.vtime >= self.vtime
        self.vtime = self.scheduler.vtime
        for run in self.state:
            why = self.scheduler.why_waiting(run, self.now)
            assert (why is not None) is (self.state[run] is State.QUEUED)

    def teardown(self) -> None:
        """Nobody starves: once all may start, everybody does, and nothing is left."""
        if not hasattr(self, "scheduler"):
            return
        self.scheduler.resize(slots=2)
        for name in TENANTS:
            self.scheduler.set_tenant(name, TenantRules())
        for run in self.those(State.ASLEEP):
            self.scheduler.wake(run)
        for run in self.those(State.EXECUTING):
            self.scheduler.end(run)
        left = {run for run, state in self.state.items() if state is not State.EXECUTING}
        while left:
            start = self.scheduler.start_next()
            assert start is not None
            self.scheduler.end(start.run, 0.01)
            left.remove(start.run)
        self.scheduler.check()
        assert [self.scheduler.count(state) for state in State] == [0, 0, 0]
        for name in TENANTS:
            self.scheduler.remove_tenant(name)


TestSchedulerStates = SchedulerStates.TestCase
TestSchedulerStates.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
