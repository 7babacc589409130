"""What holds a run back, and what it is told: rules of tenants, sleep, deadlines, places, ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.server.refused import is_refused
from tests.server.scheduling import learned, scheduler, started, submit, waits

from wasmexec.errors import ConfigError
from wasmexec.server.scheduling.fair_queue import Ordered
from wasmexec.server.scheduling.scheduler import Lane, State, TenantRules

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


@pytest.mark.parametrize("rules", [{"max_executing": 1}, {}], ids=["own", "slots"])
def test_what_sleeps_beyond_the_bound_counts_as_executing(rules: dict[str, Any]) -> None:
    made = scheduler(slots=8 if rules else 1, max_asleep=1, **rules)
    submit(made, "a1", "a2", "a3")
    assert started(made) == ["a1"]
    made.sleep("a1", 0.0)
    assert started(made) == ["a2"]
    made.sleep("a2", 0.0)
    assert started(made) == []
    assert (waits(made, "a3").rule, waits(made, "a3").value) == ("count.asleep", 1)
    made.wake("a1")
    assert started(made) == ["a1"]
    made.end("a2", 0.0)
    assert waits(made, "a3").rule == ("count.executing" if rules else "slots")
    made.end("a1", 0.0)
    assert started(made) == ["a3"]
    made.check()


def test_without_a_slot_for_sleepers_a_run_that_sleeps_keeps_its_place() -> None:
    made = scheduler(slots=8, max_executing=2, max_asleep=0)
    submit(made, "a1", "a2", "a3")
    assert started(made) == ["a1", "a2"]
    made.sleep("a1", 0.0)
    assert started(made) == []
    made.end("a1", 0.0)
    assert started(made) == ["a3"]


def test_more_slots_let_those_start_that_sleepers_held_back() -> None:
    made = scheduler(slots=1, max_asleep=1)
    submit(made, "a1", "a2", "a3")
    for run in ("a1", "a2"):
        assert started(made) == [run]
        made.sleep(run, 0.0)
    assert started(made) == []
    made.resize(slots=2)
    assert started(made) == ["a3"]
    made.check()


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
        ({"max_executing": 0}, "count.executing", 429),
        ({"max_wait_seconds": 0, "max_executing": 0}, "count.executing", 429),
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


def test_what_has_started_may_end_while_its_tenant_is_paused() -> None:
    made = scheduler()
    submit(made, "a1", "a2")
    started(made)
    for run in ("a1", "a2"):
        made.sleep(run, 0.0)
    made.set_tenant("a", TenantRules(is_paused=True))
    submit(made, "a3")
    for run in ("a2", "a1"):
        made.wake(run)
        assert started(made) == [run]
        made.end(run, 0.001)
    assert started(made) == []


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


@pytest.mark.parametrize("held", [{"is_paused": True}, {"max_executing": 1, "max_asleep": 0}])
def test_a_lost_run_that_may_not_begin_anew_keeps_nobody_from_its_end(held: dict[str, Any]) -> None:
    made = scheduler(slots=3)
    submit(made, "a1", "a2", "a3")
    assert started(made) == ["a1", "a2", "a3"]
    made.sleep("a2", 0.001)
    made.sleep("a3", 0.001)
    made.set_tenant("a", TenantRules(**held))
    made.repeat("a1")
    assert started(made) == []
    made.wake("a2")
    made.check()
    assert started(made) == ["a2"]
    made.end("a2", 0.002)
    made.wake("a3")
    assert started(made) == ["a3"]
    made.end("a3", 0.002)
    made.set_tenant("a", TenantRules())
    assert started(made) == ["a1"]


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


def test_what_is_done_for_a_tenant_beside_its_runs_is_charged_to_its_turns() -> None:
    made = scheduler(slots=1)
    submit(made, "a1", "b1", "a2", "b2")
    made.charge("a", 1.0)
    assert started(made) == ["b1"]
    made.end("b1", 0.001)
    assert started(made) == ["b2"]
    made.end("b2", 0.001)
    assert started(made) == ["a1"]
    for wrong in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="cpu_seconds must be finite"):
            made.charge("a", wrong)
