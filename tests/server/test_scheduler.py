"""Who is next: turns, charges, estimates, lanes and shares."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.server.scheduling import learned, scheduler, started, submit, waits

from wasmexec.server.scheduling.fair_queue import Estimates
from wasmexec.server.scheduling.scheduler import Lane, State, TenantRules

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
