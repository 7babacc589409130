"""The scheduler, decision by decision: who is next, what is charged, who is refused, and why one waits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmexec.errors import ConfigError
from wasmexec.server.fair_queue import Estimates, Ordered
from wasmexec.server.quotas import Refusal
from wasmexec.server.scheduler import Lane, Scheduler, State, TenantRules, Waiting


def scheduler(slots: int = 4, tenants: str = "ab", spare: int | None = None, **rules: Any) -> Scheduler:
    made = Scheduler(slots=slots, spare=spare)
    for name in tenants:
        made.set_tenant(name, TenantRules(**rules))
    return made


def submit(made: Scheduler, *runs: str, now: float = 0.0, statement: str = "s", **options: Any) -> None:
    """Runs are named after their tenant: `a1` is one of `a`."""
    for run in runs:
        assert made.submit(run, tenant=run[0], statement=statement, now=now, **options) is None


def started(made: Scheduler, most: int = 1000) -> list[str]:
    found: list[str] = []
    while len(found) < most and (start := made.start_next()) is not None:
        found.append(start.run)
    made.check()
    return found


def learned(made: Scheduler, tenant: str, seconds: float, statement: str = "s") -> None:
    """Have the tenant known for runs that take so long."""
    for number in range(30):
        submit(made, f"{tenant}-{number}", statement=statement)
        assert started(made) == [f"{tenant}-{number}"]
        made.end(f"{tenant}-{number}", seconds)


def is_refused(answer: Refusal | None) -> Refusal:
    assert answer is not None
    return answer


def waits(made: Scheduler, run: str, now: float = 0.0) -> Waiting:
    answer = made.why_waiting(run, now)
    assert answer is not None
    return answer


# Turns


def test_tenants_take_turns_however_many_runs_each_has_queued() -> None:
    made = scheduler(slots=1)
    submit(made, "a1", "a2", "a3", "b1", "b2")
    order = []
    while found := started(made):
        order += found
        made.end(found[0], 0.01)
    assert order == ["a1", "b1", "a2", "b2", "a3"]


def test_who_has_used_less_is_next() -> None:
    made = scheduler(slots=1)
    submit(made, "a1", "a2", "b1", "b2", "b3")
    order = []
    while found := started(made):
        order += found
        made.end(found[0], 0.03 if found[0][0] == "a" else 0.01)
    assert order == ["a1", "b1", "b2", "b3", "a2"]


def test_a_tenant_is_charged_by_its_weight_what_its_runs_used() -> None:
    made = scheduler(slots=8, tenants="")
    made.set_tenant("a", TenantRules(weight=4))
    submit(made, "a1", "a2", "a3", "a4")
    assert started(made) == ["a1", "a2", "a3", "a4"]
    # What is estimated is charged at once.
    assert made.vtime_of("a") == pytest.approx(4 * 0.01 / 4)
    made.report("a1", 0.03)
    assert made.vtime_of("a") == pytest.approx((0.03 + 3 * 0.01) / 4)
    made.report("a2", 0.001)
    assert made.vtime_of("a") == pytest.approx((0.03 + 3 * 0.01) / 4)
    made.end("a1", 0.04)
    made.end("a2", 0.002)
    assert made.vtime_of("a") == pytest.approx((0.04 + 0.002 + 2 * 0.01) / 4)
    made.end("a3", 0)
    made.end("a4")
    assert made.vtime_of("a") == pytest.approx(0.042 / 4)


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5), st.booleans()), min_size=1, max_size=30), st.integers(1, 9))
def test_what_is_charged_in_the_end_is_what_was_used(runs: list[tuple[float, float, bool]], weight: int) -> None:
    made = scheduler(slots=100, tenants="")
    made.set_tenant("a", TenantRules(weight=weight))
    for number, (reported, used, sleeps) in enumerate(runs):
        submit(made, f"a{number}", now=0.0)
        assert made.start_next() is not None
        made.report(f"a{number}", reported)
        if sleeps:
            made.sleep(f"a{number}", reported)
            made.wake(f"a{number}")
            assert made.start_next() is not None
        made.end(f"a{number}", used)
        made.check()
    assert made.vtime_of("a") >= math.fsum(max(reported, used) for reported, used, _ in runs) / weight - 1e-6
    assert made.count(State.EXECUTING) == 0


def test_while_a_run_goes_on_its_tenant_pays() -> None:
    """One run of a that has used 10 s by now is behind 100 short ones of b."""
    made = scheduler(slots=2)
    submit(made, "a1")
    assert started(made) == ["a1"]
    submit(made, "b1", "a2")
    made.report("a1", 10.0)
    assert started(made, 1) == ["b1"]


def test_an_idle_tenant_hoards_no_credit() -> None:
    made = scheduler(slots=1)
    for number in range(100):
        submit(made, f"a{number}")
        [run] = started(made)
        made.end(run, 1.0)
    # b was idle for 100 s, which gives it one turn and no more.
    submit(made, *(f"a{number}" for number in range(200, 210)), *(f"b{number}" for number in range(10)))
    order = []
    while found := started(made):
        order += [found[0][0]]
        made.end(found[0], 1.0)
    assert abs(order[:10].count("a") - order[:10].count("b")) <= 2


def test_a_refund_gives_back_no_more_than_the_idle_time_left() -> None:
    """What was charged too much before a tenant was idle is no credit after it."""
    made = scheduler(slots=4)
    learned(made, "a", 10.0)
    submit(made, "a1")
    assert started(made) == ["a1"]
    before = made.vtime_of("a")
    for number in range(20):
        submit(made, f"b{number}")
        assert started(made) == [f"b{number}"]
        made.end(f"b{number}", 30.0)
    submit(made, "a2", statement="other")
    floor = made.vtime
    assert floor > before
    made.end("a1", 0.0)
    assert made.vtime_of("a") >= floor
    made.check()


def test_a_newcomer_starts_before_anybody_has_two_turns() -> None:
    tenants = "abcdefghijklmnopqrst"
    made = scheduler(slots=1, tenants=tenants)
    for name in tenants:
        submit(made, *(f"{name}{number}" for number in range(50)))
    for number in range(300):
        [run] = started(made)
        made.end(run, 0.001 * (1 + number % 7))
    made.set_tenant("z", TenantRules())
    submit(made, "z1")
    order = []
    while "z1" not in order:
        order += started(made)
        made.end(order[-1], 0.01)
    assert max(order.count(name) for name in order) == 1
    assert max(sum(run[0] == name for run in order) for name in tenants) <= 1


@given(st.permutations([(priority, number) for priority in (0, 5, 9) for number in range(3)]))
def test_priorities_order_within_a_tenant_and_nowhere_else(runs: list[tuple[int, int]]) -> None:
    made = scheduler(slots=1)
    submit(made, "b1", priority=0)
    arrived: dict[int, list[str]] = {0: [], 5: [], 9: []}
    for priority, number in runs:
        arrived[priority].append(f"a{priority}{number}")
        submit(made, arrived[priority][-1], priority=priority)
    order = []
    while found := started(made):
        order += found
        made.end(found[0], 0.01)
    assert [run for run in order if run[0] == "a"] == arrived[9] + arrived[5] + arrived[0]
    assert order.index("b1") <= 1


# Estimates


def test_a_run_is_charged_what_runs_of_its_statement_have_cost() -> None:
    made = scheduler()
    learned(made, "a", 0.03, "x")
    learned(made, "a", 0.002, "y")
    submit(made, "a1", statement="x")
    submit(made, "a2", statement="y")
    estimates = {start.run: start.estimate_seconds for _ in range(2) if (start := made.start_next()) is not None}
    assert estimates == {"a1": pytest.approx(0.03), "a2": pytest.approx(0.002)}


def test_an_estimate_moves_a_quarter_of_the_way_to_the_newest() -> None:
    estimates = Estimates()
    estimates.learn("x", 0.01)
    estimates.learn("x", 0.05)
    assert estimates.of("x") == pytest.approx(0.02)


@given(st.lists(st.floats(0.0001, 10), max_size=300))
def test_an_unknown_statement_is_expected_to_cost_the_p90_of_its_tenants_last_100(costs: list[float]) -> None:
    estimates = Estimates()
    for number, cost in enumerate(costs):
        estimates.learn(f"s{number}", cost)
    recent = sorted(costs[-100:])
    expected = recent[math.ceil(0.9 * len(recent)) - 1] if recent else 0.01
    assert estimates.of("unknown") == expected


def test_one_tenants_statements_say_nothing_of_anothers() -> None:
    made = scheduler()
    learned(made, "a", 5.0)
    submit(made, "b1")
    start = made.start_next()
    assert start is not None
    assert (start.lane, start.estimate_seconds) == (Lane.SHORT, 0.01)


def test_what_is_known_of_statements_is_bounded() -> None:
    estimates = Estimates()
    for number in range(10_000):
        estimates.learn(f"s{number}", 1.0)
    assert len(estimates._averages) == 256
    assert len(estimates._recent) == len(estimates._sorted) == 100


# Lanes


def test_long_runs_leave_a_slot_to_short_ones() -> None:
    made = scheduler(slots=4, tenants="abc")
    for name in "ab":
        learned(made, name, 1.0)
    submit(made, "a1", "a2", "b1", "b2")
    assert sorted(started(made)) == ["a1", "a2", "b1"]
    assert waits(made, "b2").rule == "lane.long"
    assert waits(made, "b2").value == 3
    submit(made, "c1")
    assert started(made) == ["c1"]


def test_a_run_becomes_long_at_50_ms_and_not_before() -> None:
    made = scheduler()
    submit(made, "a1")
    start = made.start_next()
    assert start is not None
    assert start.lane is Lane.SHORT
    assert made.report("a1", 0.0499) is Lane.SHORT
    assert made.report("a1", 0.05) is Lane.LONG
    learned(made, "b", 0.0499)
    submit(made, "b1")
    start = made.start_next()
    assert start is not None
    assert start.lane is Lane.SHORT


def test_runs_that_turn_out_long_in_every_slot_block_nobody() -> None:
    made = scheduler(slots=4)
    submit(made, "a1", "a2", "a3", "a4")
    assert len(started(made)) == 4
    submit(made, "b1", "b2")
    assert started(made) == []
    assert waits(made, "b1").rule == "slots"
    for run in ("a1", "a2", "a3", "a4"):
        made.report(run, 0.05)
    assert started(made) == ["b1"]
    made.end("b1", 0.001)
    assert started(made) == ["b2"]
    assert made.count(State.EXECUTING) == 5


def test_in_spare_slots_nothing_starts_of_who_holds_its_share() -> None:
    made = scheduler(slots=4, tenants="ab")
    learned(made, "a", 0.001, "short")
    submit(made, "a1", "a2", "a3", "a4")
    for run in started(made):
        made.report(run, 1.0)
    submit(made, "a5", statement="short")
    assert started(made) == []
    assert waits(made, "a5").rule == "slots"
    made.end("a1", 1.0)
    assert started(made) == ["a5"]


def test_no_more_execute_than_there_are_slots_and_spare_ones() -> None:
    tenants = "abcdefghijklmnop"
    made = scheduler(slots=4, spare=2, tenants=tenants)
    for name in tenants:
        submit(made, f"{name}1")
    while found := started(made):
        for run in found:
            made.report(run, 1.0)
    assert made.count(State.EXECUTING) == 6
    assert made.count(State.QUEUED) == 10


def test_what_others_of_its_kind_showed_meanwhile_counts() -> None:
    """Queued as short, started as long: four of a hundred loops start, then three at a time."""
    made = scheduler(slots=4)
    submit(made, *(f"a{number}" for number in range(100)))
    first = started(made)
    assert len(first) == 4
    for run in first:
        made.report(run, 0.06)
    assert started(made) == []
    for run in first[:2]:
        made.end(run, 30.0)
    start = made.start_next()
    assert start is not None
    assert start.lane is Lane.LONG
    assert made.start_next() is None


# Shares


def test_a_tenant_has_three_quarters_of_the_slots_while_another_waits() -> None:
    made = scheduler(slots=8)
    submit(made, *(f"a{number}" for number in range(20)))
    assert len(started(made)) == 8
    submit(made, *(f"b{number}" for number in range(20)))
    for number in range(8):
        made.report(f"a{number}", 0.04)
    for number in range(3):
        made.end(f"a{number}", 0.0)
    assert [run[0] for run in started(made)] == ["b", "b", "b"]


def test_who_has_used_least_still_has_three_quarters_at_most() -> None:
    made = scheduler(slots=4, tenants="")
    made.set_tenant("a", TenantRules(weight=1_000_000))
    made.set_tenant("b", TenantRules())
    submit(made, *(f"a{number}" for number in range(9)), *(f"b{number}" for number in range(9)))
    assert sorted(run[0] for run in started(made)) == ["a", "a", "a", "b"]
    why = waits(made, "a8")
    assert (why.rule, why.value, why.changed_by) == ("share", 3, "operator")


def test_a_tenant_alone_has_all_slots() -> None:
    made = scheduler(slots=4)
    submit(made, *(f"a{number}" for number in range(9)))
    assert len(started(made)) == 4


def test_who_waits_for_another_rule_keeps_nobody_from_the_slots() -> None:
    made = scheduler(slots=4)
    made.set_tenant("b", TenantRules(is_paused=True))
    submit(made, "b1", *(f"a{number}" for number in range(9)))
    assert len(started(made)) == 4


# Rules of a tenant


@pytest.mark.parametrize("most", [1, 3])
def test_a_tenant_never_executes_more_than_it_may(most: int) -> None:
    made = scheduler(slots=8, max_executing=most)
    submit(made, *(f"a{number}" for number in range(9)))
    found = started(made)
    assert len(found) == most
    why = waits(made, "a8")
    assert (why.rule, why.value, why.changed_by) == ("count.executing", most, "operator")
    made.sleep(found[0], 0.0)
    assert len(started(made)) == 1
    made.wake(found[0])
    assert started(made) == []


def test_no_more_are_started_than_may_hold_a_memory() -> None:
    made = scheduler(slots=8, max_started=2)
    submit(made, "a1", "a2", "a3")
    assert started(made) == ["a1", "a2"]
    made.sleep("a1", 0.0)
    assert started(made) == []
    assert (waits(made, "a3").rule, waits(made, "a3").value) == ("count.started", 2)
    made.wake("a1")
    assert started(made) == ["a1"]
    made.end("a2", 0.0)
    assert started(made) == ["a3"]


def test_one_queued_run_under_the_bound_and_one_over() -> None:
    made = scheduler(slots=1, max_queued=2)
    submit(made, "a1")
    assert started(made) == ["a1"]
    submit(made, "a2", "a3")
    refusal = is_refused(made.submit("a4", tenant="a", statement="s", now=0.0))
    assert (refusal.rule, refusal.status, refusal.value, refusal.used) == ("count.queued", 429, 2, 2)
    assert refusal.message == "the tenant a may have 2 queued runs and has 2"
    assert refusal.retry_after_seconds is not None
    assert made.state("a4") is None
    made.end("a1", 0.0)
    assert started(made) == ["a2"]
    submit(made, "a4")


def test_a_full_queue_is_tried_again_later_even_by_a_run_that_would_be_first() -> None:
    made = scheduler(slots=1, max_queued=1)
    submit(made, "a1", priority=0)
    refusal = is_refused(made.submit("a2", tenant="a", statement="s", now=0.0, priority=9))
    assert refusal.retry_after_seconds == pytest.approx(0.01)


def test_runs_that_woke_up_are_no_new_ones_in_the_queue() -> None:
    made = scheduler(slots=1, max_queued=1)
    submit(made, "a1")
    started(made)
    made.sleep("a1", 0.0)
    submit(made, "a2")
    started(made)
    made.wake("a1")
    submit(made, "a3")
    made.check()


@pytest.mark.parametrize(
    ("rules", "rule", "status"),
    [
        ({"max_queued": 0}, "count.queued", 429),
        ({"max_executing": 0}, "schedule.start_by", 503),
        ({"max_started": 0}, "schedule.start_by", 503),
    ],
)
def test_zero_is_zero(rules: dict[str, Any], rule: str, status: int) -> None:
    made = scheduler(**rules)
    refusal = is_refused(made.submit("a1", tenant="a", statement="s", now=0.0))
    assert (refusal.rule, refusal.status, refusal.retry_after_seconds) == (rule, status, None)
    assert made.count(State.QUEUED) == 0


def test_a_paused_tenant_starts_nothing_until_it_goes_on() -> None:
    made = scheduler()
    submit(made, "a1")
    made.set_tenant("a", TenantRules(is_paused=True))
    assert started(made) == []
    why = waits(made, "a1")
    assert (why.rule, why.expected_start, why.message) == ("tenant.paused", None, "the tenant a: paused")
    made.set_tenant("a", TenantRules())
    assert started(made) == ["a1"]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"weight": 0}, "tenant: weight must be from 1 to 1,000,000, not 0"),
        ({"max_queued": -1}, "tenant: max_queued must be 0 or more, not -1"),
        ({"max_executing": -1}, "tenant: max_executing must be 0 or more, not -1"),
        ({"max_wait_seconds": math.inf}, "tenant: max_wait_seconds must be 0 or more, not inf"),
    ],
)
def test_rules_that_make_no_sense_are_refused(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TenantRules(**rules)
    assert caught.value.message == message


# Asleep


def test_a_sleeper_holds_no_slot_and_goes_on_before_others_of_its_tenant() -> None:
    made = scheduler(slots=1)
    submit(made, "a1", "a2", "a3", priority=9)
    assert started(made) == ["a1"]
    made.sleep("a1", 0.003)
    assert (made.state("a1"), made.count(State.ASLEEP, "a")) == (State.ASLEEP, 1)
    assert made.vtime_of("a") == pytest.approx(0.003)
    assert started(made) == ["a2"]
    made.wake("a1")
    assert (made.state("a1"), waits(made, "a1").position, waits(made, "a3").position) == (State.QUEUED, 1, 2)
    made.end("a2", 0.001)
    assert started(made) == ["a1"]
    made.end("a1", 0.004)
    assert made.vtime_of("a") == pytest.approx(0.005)


def test_what_is_used_without_a_slot_is_charged_too() -> None:
    """The host works for a sleeper, and one that woke goes on before it has a slot again."""
    made = scheduler(slots=1)
    submit(made, "a1", "b1")
    assert started(made) == ["a1"]
    made.sleep("a1", 0.003)
    made.report("a1", 0.02)
    assert made.vtime_of("a") == pytest.approx(0.02)
    assert started(made) == ["b1"]
    made.wake("a1")
    assert made.report("a1", 7.0) is Lane.SHORT
    assert made.vtime_of("a") == pytest.approx(7.0)
    made.end("b1", 0.001)
    start = made.start_next()
    assert start is not None
    assert (start.run, start.lane) == ("a1", Lane.LONG)
    made.check()


def test_who_wakes_up_is_before_its_own_tenant_only() -> None:
    made = scheduler(slots=1)
    submit(made, "a1")
    started(made)
    made.sleep("a1", 5.0)
    submit(made, "b1", "b2", "a2")
    made.wake("a1")
    assert started(made) == ["b1"]


def test_asleep_for_long_is_no_credit() -> None:
    made = scheduler(slots=1)
    submit(made, "a1")
    started(made)
    made.sleep("a1", 0.001)
    for number in range(50):
        submit(made, f"b{number}")
        assert started(made) == [f"b{number}"]
        made.end(f"b{number}", 1.0)
    made.wake("a1")
    assert made.vtime_of("a") >= made.vtime > 1.0


# Deadlines


def test_a_run_that_cannot_start_in_time_is_refused_at_once() -> None:
    made = scheduler(slots=2, spare=0, tenants="a")
    learned(made, "a", 2.0)
    submit(made, "a1", now=100.0)
    started(made)
    submit(made, "a2", now=100.0)
    # 2 s until a1 ends, then a2 on one of two slots.
    refusal = is_refused(made.submit("a3", tenant="a", statement="s", now=100.0, start_by=101.5))
    assert (refusal.rule, refusal.status, refusal.changed_by) == ("schedule.start_by", 503, "operator")
    assert refusal.used == pytest.approx(3.0)
    assert refusal.retry_after_seconds == pytest.approx(1.5)
    assert refusal.message == "the run would start in 3.000 s, and it has to within 1.500 s"
    assert refusal.headers() == {"Retry-After": "2"}
    submit(made, "a3", now=100.0, start_by=103.5)


def test_nobody_waits_longer_than_its_tenant_may() -> None:
    made = scheduler(slots=1, tenants="ab", max_wait_seconds=10)
    submit(made, "a1")
    started(made)
    submit(made, "a2", now=5.0)
    submit(made, "b1", now=6.0, start_by=7.0)
    assert made.overdue(7.0) == []
    [(run, refusal)] = made.overdue(7.001)
    assert (run, refusal.rule, refusal.status) == ("b1", "schedule.start_by", 503)
    assert refusal.message == "the run could not start in time: all 1 slots are taken"
    assert made.overdue(15.0) == []
    assert [run for run, _ in made.overdue(15.001)] == ["a2"]
    assert made.count(State.QUEUED) == 0
    made.check()


def test_what_has_started_is_never_overdue() -> None:
    made = scheduler(slots=1, max_wait_seconds=1)
    submit(made, "a1")
    started(made)
    made.sleep("a1", 0.0)
    submit(made, "b1")
    started(made)
    made.wake("a1")
    assert made.overdue(1e9) == []


# Why


def test_a_run_is_told_its_place_and_when_it_may_start() -> None:
    made = scheduler(slots=2, tenants="ab")
    learned(made, "a", 0.04)
    submit(made, *(f"a{number}" for number in range(6)))
    assert started(made) == ["a0", "a1"]
    places = [waits(made, f"a{number}", 50.0) for number in range(2, 6)]
    assert [why.position for why in places] == [1, 2, 3, 4]
    starts = [why.expected_start or 0.0 for why in places]
    assert starts == pytest.approx([50.04, 50.06, 50.08, 50.1])
    assert {why.rule for why in places} == {"slots"}
    # With another that waits there is half of that, until its work is done.
    submit(made, "b1")
    assert waits(made, "a5", 50.0).expected_start == pytest.approx(50.04 + 0.085)
    submit(made, *(f"b{number}" for number in range(2, 90)))
    assert waits(made, "a5", 50.0).expected_start == pytest.approx(50.04 + 0.12)
    assert made.why_waiting("a0", 50.0) is None


def test_others_before_it_are_a_reason_too() -> None:
    made = scheduler(slots=2)
    submit(made, "a1")
    why = waits(made, "a1")
    assert (why.rule, why.position, why.expected_start) == ("turn", 1, 0.0)


# The end


@pytest.mark.parametrize("state", list(State))
def test_a_run_is_ended_wherever_it_is(state: State) -> None:
    made = scheduler(slots=1)
    submit(made, "a1", "a2")
    if state is not State.QUEUED:
        started(made)
    if state is State.ASLEEP:
        made.sleep("a1", 0.001)
    assert made.end("a1") is state
    made.check()
    assert made.state("a1") is None
    assert started(made) == ["a2"]


def test_a_cancelled_run_shows_nothing_of_what_others_will_cost() -> None:
    made = scheduler()
    learned(made, "a", 0.04)
    for number in range(50):
        submit(made, f"a{number}")
        started(made)
        made.end(f"a{number}", 0.0001, is_complete=False)
    submit(made, "a99")
    start = made.start_next()
    assert start is not None
    assert start.estimate_seconds == pytest.approx(0.04)


def test_a_lost_run_is_repeated_before_others_and_what_it_used_stays_charged() -> None:
    made = scheduler(slots=1)
    submit(made, "a1", "a2")
    started(made)
    made.report("a1", 0.02)
    made.repeat("a1")
    made.check()
    assert made.vtime_of("a") == pytest.approx(0.02)
    assert started(made) == ["a1"]
    made.end("a1", 0.001)
    assert made.vtime_of("a") == pytest.approx(0.021)
    with pytest.raises(ValueError, match="run a2 has not started"):
        made.repeat("a2")


def test_ends_and_reports_of_what_is_not_there_are_mistakes() -> None:
    made = scheduler()
    submit(made, "a1")
    with pytest.raises(ValueError, match="run a1 has not started"):
        made.report("a1", 0.0)
    too_early: list[Callable[[], None]] = [lambda: made.sleep("a1", 0.0), lambda: made.wake("a1")]
    for action in too_early:
        with pytest.raises(ValueError, match=r"run a1 is queued, not (executing|asleep)"):
            action()
    with pytest.raises(KeyError):
        made.end("a2")
    with pytest.raises(ValueError, match="run a1 is there already"):
        made.submit("a1", tenant="a", statement="s", now=0.0)
    with pytest.raises(ValueError, match="priority must be from 0 to 9, not 10"):
        made.submit("a2", tenant="a", statement="s", now=0.0, priority=10)
    with pytest.raises(ValueError, match="start_by must be a number"):
        made.submit("a2", tenant="a", statement="s", now=0.0, start_by=math.nan)
    with pytest.raises(ValueError, match="tenant a has runs"):
        made.remove_tenant("a")
    made.end("a1")
    made.remove_tenant("a")
    with pytest.raises(KeyError):
        made.submit("a1", tenant="a", statement="s", now=0.0)


@pytest.mark.parametrize("seconds", [-0.1, math.nan, math.inf])
def test_a_time_that_makes_no_sense_is_refused_and_changes_nothing(seconds: float) -> None:
    made = scheduler()
    submit(made, "a1")
    started(made)
    before = made.vtime_of("a")
    for action in (made.report, made.sleep, made.end, made.repeat):
        with pytest.raises(ValueError, match="run a1: cpu_seconds must be finite and 0 or more"):
            action("a1", seconds)
    assert (made.vtime_of("a"), made.state("a1")) == (before, State.EXECUTING)
    made.check()


def test_a_report_that_was_overtaken_takes_nothing_back() -> None:
    made = scheduler()
    submit(made, "a1")
    started(made)
    made.report("a1", 3.0)
    made.report("a1", 1.0)
    assert made.vtime_of("a") == pytest.approx(3.0)


def test_workers_that_go_leave_what_executes_and_those_that_come_add_slots() -> None:
    made = scheduler(slots=4, spare=0)
    submit(made, *(f"a{number}" for number in range(9)))
    assert len(started(made)) == 4
    made.resize(slots=1, spare=0)
    made.check()
    for number in range(3):
        made.end(f"a{number}", 0.001)
        assert started(made) == []
    made.end("a3", 0.001)
    assert started(made) == ["a4"]
    made.resize(slots=0)
    made.end("a4", 0.001)
    assert started(made) == []
    made.resize(slots=3)
    assert len(started(made)) == 3
    with pytest.raises(ConfigError):
        made.resize(slots=-1)


def test_the_check_finds_a_slot_that_nobody_holds() -> None:
    made = scheduler()
    submit(made, "a1")
    started(made)
    del made._runs["a1"]
    with pytest.raises(AssertionError):
        made.check()


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 10), st.booleans()), max_size=400))
def test_the_heap_is_a_sorted_dictionary(steps: list[tuple[int, float, bool]]) -> None:
    heap, model = Ordered[int](), dict[int, tuple[float, ...]]()
    for item, key, stays in steps:
        if stays:
            heap.put(item, (key, item))
            model[item] = (key, item)
        else:
            heap.discard(item)
            model.pop(item, None)
        assert heap.first() == min(model, key=lambda one: model[one], default=None)
        assert len(heap) == len(model)
        assert len(heap._heap) <= 2 * len(model) + 65
