"""Budgets: what is reserved, settled and carried on, exactly, over the windows of the calendar."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.server.refused import is_refused

from wasmexec import ConfigError
from wasmexec.server.quotas.budgets import Account, Budget, Dimension, Window, reserve_all
from wasmexec.server.quotas.refusals import Owner, Refusal

CPU, ROWS, EGRESS = Dimension.CPU_SECONDS, Dimension.ROWS, Dimension.EGRESS_BYTES
NOON = datetime(2026, 1, 30, 12, 0, tzinfo=UTC).timestamp()


def account(*budgets: tuple[Dimension, Window, float], name: str = "acme") -> Account:
    return Account(Owner.TENANT, name, [Budget(*budget) for budget in budgets])


def reserve(one: Account, run: str, estimate: Mapping[Dimension, float], now: float) -> Refusal | None:
    return reserve_all([one], run, estimate, now)


def left(one: Account, dimension: Dimension, now: float) -> float:
    """What can be reserved of a dimension; negative in debt, infinite without a budget."""
    spent = [item for item in one.spent(now) if item.budget.dimension is dimension]
    return min((item.budget.limit - item.used - item.reserved for item in spent), default=math.inf)


def test_a_burst_of_runs_does_not_overshoot() -> None:
    """Of 200 at once with an estimate of 1 s, exactly as many are admitted as the budget has room for."""
    tenant = account((CPU, Window.MINUTE, 10))
    assert sum(reserve(tenant, f"r{number}", {CPU: 1}, NOON) is None for number in range(200)) == 10
    tenant.check()


def test_one_run_just_under_and_one_just_over() -> None:
    tenant = account((CPU, Window.DAY, 1))
    assert reserve(tenant, "tiny", {CPU: 0.000001}, NOON) is None
    assert is_refused(reserve(tenant, "over", {CPU: 1}, NOON)).asked == 1
    tenant.settle("tiny", {}, NOON)
    assert reserve(tenant, "under", {CPU: 1}, NOON) is None
    refusal = is_refused(reserve(tenant, "next", {CPU: 0.25}, NOON))
    assert (refusal.rule, refusal.status, refusal.value, refusal.used) == ("budget.cpu_seconds.day", 429, 1, 1)
    assert refusal.retry_after_seconds == 12 * 3600
    assert refusal.message == (
        "the tenant acme may use 1 cpu_seconds a day and has 1 used or reserved; "
        "the next day with room begins at 2026-01-31T00:00:00Z"
    )
    tenant.settle("under", {CPU: 0.5}, NOON)
    assert reserve(tenant, "next", {CPU: 0.25}, NOON) is None


def test_what_was_estimated_too_high_is_given_back_and_too_low_is_carried() -> None:
    tenant = account((CPU, Window.MINUTE, 10))
    assert reserve(tenant, "a", {CPU: 10}, NOON) is None
    tenant.settle("a", {CPU: 4}, NOON)
    assert left(tenant, CPU, NOON) == 6
    assert reserve(tenant, "b", {CPU: 1}, NOON) is None
    tenant.settle("b", {CPU: 21}, NOON)
    assert left(tenant, CPU, NOON) == -15
    # 25 of 10 used: the next two minutes pay for it.
    assert [left(tenant, CPU, NOON + 60 * minute) for minute in range(4)] == [-15, -5, 5, 10]


def test_the_time_to_try_again_counts_the_debt() -> None:
    tenant = account((CPU, Window.MINUTE, 10))
    assert reserve(tenant, "a", {CPU: 1}, NOON) is None
    tenant.settle("a", {CPU: 25}, NOON)
    now = NOON + 15
    refusal = is_refused(tenant.refusal({CPU: 6}, now))
    # 5 are free in the second minute from now, 10 in the third.
    assert refusal.retry_after_seconds == 60 * 3 - 15
    assert tenant.refusal({CPU: 6}, NOON + 180 - 0.001) is not None
    assert tenant.refusal({CPU: 6}, NOON + 180) is None


@given(
    st.sampled_from(list(Window)),
    st.integers(1, 20),
    st.lists(st.tuples(st.floats(0, 3e6), st.integers(0, 40), st.integers(0, 60)), max_size=20),
)
def test_the_time_to_try_again_is_true_when_nothing_runs(
    window: Window, limit: int, runs: list[tuple[float, int, int]]
) -> None:
    tenant, now = account((CPU, window, limit)), NOON
    for number, (pause, estimate, truth) in enumerate(runs):
        now += pause
        refusal = reserve(tenant, str(number), {CPU: estimate}, now)
        if refusal is None:
            tenant.settle(str(number), {CPU: truth}, now)
        else:
            assert refusal.retry_after_seconds is not None
            at = now + refusal.retry_after_seconds
            copy = Account(Owner.TENANT, "copy", [Budget(CPU, window, limit)], tenant.spent(now))
            assert copy.refusal({CPU: estimate}, at - 1) is not None
            assert copy.refusal({CPU: estimate}, at) is None


def test_a_run_that_is_expected_to_take_more_than_all_has_to_have_all() -> None:
    """What is expected may be wrong: a budget that is smaller must not keep its owner out for good."""
    tenant = account((CPU, Window.MINUTE, 10))
    assert reserve(tenant, "a", {CPU: 1}, NOON) is None
    tenant.settle("a", {CPU: 1}, NOON)
    assert is_refused(reserve(tenant, "b", {CPU: 25}, NOON)).retry_after_seconds == 60
    assert reserve(tenant, "b", {CPU: 25}, NOON + 60) is None
    # It holds all that it is expected to take: nobody else gets anything.
    assert is_refused(reserve(tenant, "c", {CPU: 1}, NOON + 60)).used == 25
    tenant.settle("b", {CPU: 4}, NOON + 60)
    assert reserve(tenant, "c", {CPU: 6}, NOON + 60) is None


def test_a_run_that_lives_over_midnight_is_reserved_and_charged_in_the_new_day() -> None:
    tenant = account((CPU, Window.DAY, 10))
    assert reserve(tenant, "a", {CPU: 8}, NOON) is None
    tomorrow = NOON + 86_400
    assert left(tenant, CPU, tomorrow) == 2
    tenant.settle("a", {CPU: 7}, tomorrow)
    assert left(tenant, CPU, tomorrow) == 3


def test_what_is_settled_is_charged_to_the_day_that_is_now() -> None:
    tenant = account((CPU, Window.DAY, 10))
    for run in "ab":
        assert reserve(tenant, run, {CPU: 5}, NOON) is None
    tenant.settle("a", {CPU: 5}, NOON)
    tenant.settle("b", {CPU: 4}, NOON + 86_400)
    assert left(tenant, CPU, NOON + 86_400) == 6


def test_what_a_live_run_uses_beyond_its_estimate_counts_at_once() -> None:
    tenant = account((CPU, Window.DAY, 10))
    assert reserve(tenant, "a", {CPU: 1}, NOON) is None
    tenant.grow("a", {CPU: 0.5})
    assert left(tenant, CPU, NOON) == 9
    tenant.grow("a", {CPU: 9.5, ROWS: 3})
    assert left(tenant, CPU, NOON) == 0.5
    assert reserve(tenant, "b", {CPU: 1}, NOON) is not None
    tenant.check()
    tenant.settle("a", {CPU: 9.5}, NOON)
    tenant.check()
    assert left(tenant, CPU, NOON) == 0.5


def test_a_budget_of_zero_admits_nothing_that_needs_it_and_what_does_not_is_free() -> None:
    tenant = account((EGRESS, Window.DAY, 0))
    refusal = is_refused(reserve(tenant, "a", {EGRESS: 1}, NOON))
    assert (refusal.value, refusal.retry_after_seconds) == (0, None)
    assert refusal.message.endswith("; 1 more are never free")
    assert reserve(tenant, "b", {CPU: 100, EGRESS: 0}, NOON) is None
    assert reserve(tenant, "c", {CPU: 100}, NOON) is None
    assert (left(tenant, EGRESS, NOON), left(tenant, CPU, NOON)) == (0, math.inf)


def test_several_budgets_are_reserved_together_or_not_at_all() -> None:
    tenant = account((CPU, Window.MINUTE, 10), (CPU, Window.DAY, 15), (ROWS, Window.DAY, 100))
    project = Account(Owner.PROJECT, "p", [Budget(ROWS, Window.MONTH, 50)])
    assert reserve_all([tenant, project], "a", {CPU: 10, ROWS: 50}, NOON) is None
    refusal = is_refused(reserve_all([tenant, project], "b", {CPU: 6, ROWS: 1}, NOON))
    # The minute and the day of the tenant are full, too; the month is free again last.
    assert (refusal.rule, refusal.owner, refusal.changed_by) == ("budget.rows.month", Owner.PROJECT, "tenant")
    assert refusal.retry_after_seconds == 36 * 3600
    assert "b" not in tenant
    assert "b" not in project
    assert (left(tenant, CPU, NOON), left(tenant, ROWS, NOON)) == (0, 50)


def test_one_account_without_room_is_enough() -> None:
    for full in (0, 1):
        accounts = [Account(Owner.TENANT, "t", [Budget(CPU, Window.DAY, 10 * (number != full))]) for number in (0, 1)]
        assert is_refused(reserve_all(accounts, "a", {CPU: 1}, NOON)).value == 0
        assert [len(one) for one in accounts] == [0, 0]


def test_a_run_is_reserved_and_settled_once() -> None:
    tenant = account((CPU, Window.DAY, 10))
    assert reserve(tenant, "a", {CPU: 1}, NOON) is None
    with pytest.raises(ValueError, match="run a has a reservation"):
        reserve(tenant, "a", {CPU: 1}, NOON)
    tenant.settle("a", {CPU: 1}, NOON)
    with pytest.raises(KeyError):
        tenant.settle("a", {CPU: 1}, NOON)
    assert left(tenant, CPU, NOON) == 9


def test_windows_are_those_of_the_calendar() -> None:
    tenant = account((CPU, Window.MINUTE, 1), (CPU, Window.DAY, 1), (CPU, Window.MONTH, 1))
    resets = [datetime.fromtimestamp(item.resets_at, UTC).isoformat() for item in tenant.spent(NOON + 61)]
    assert resets == ["2026-01-30T12:02:00+00:00", "2026-01-31T00:00:00+00:00", "2026-02-01T00:00:00+00:00"]
    december = datetime(2027, 12, 31, 23, 59, tzinfo=UTC).timestamp()
    assert {datetime.fromtimestamp(item.resets_at, UTC).year for item in tenant.spent(december)} == {2028}


def test_a_clock_that_goes_back_opens_no_window_again() -> None:
    tenant = account((CPU, Window.DAY, 10))
    assert reserve(tenant, "a", {CPU: 10}, NOON) is None
    tenant.settle("a", {CPU: 10}, NOON)
    assert reserve(tenant, "b", {CPU: 1}, NOON - 86_400) is not None
    assert reserve(tenant, "b", {CPU: 1}, NOON) is not None


def test_other_limits_keep_what_was_used() -> None:
    tenant = account((CPU, Window.DAY, 10))
    assert reserve(tenant, "a", {CPU: 5}, NOON) is None
    tenant.settle("a", {CPU: 5}, NOON)
    tenant.change([Budget(CPU, Window.DAY, 6), Budget(ROWS, Window.DAY, 1)])
    assert (left(tenant, CPU, NOON), left(tenant, ROWS, NOON)) == (1, 1)
    with pytest.raises(ConfigError, match="budget: rows per day is given twice"):
        tenant.change([Budget(ROWS, Window.DAY, 6), Budget(ROWS, Window.DAY, 1)])


def test_a_restart_goes_on_where_it_stood() -> None:
    tenant = account((CPU, Window.MINUTE, 10), (CPU, Window.DAY, 100))
    assert reserve(tenant, "a", {CPU: 1}, NOON) is None
    tenant.settle("a", {CPU: 25.5}, NOON)
    again = Account(Owner.TENANT, "acme", [item.budget for item in tenant.spent(NOON)], tenant.spent(NOON))
    for at in (NOON, NOON + 61, NOON + 122, NOON + 183):
        assert left(again, CPU, at) == left(tenant, CPU, at)


AMOUNTS = st.floats(0, 100) | st.integers(0, 10**12)


@given(st.lists(st.tuples(st.integers(0, 5), AMOUNTS, AMOUNTS, st.booleans()), max_size=60))
def test_sums_come_out_exactly_in_whatever_order_runs_end(steps: list[tuple[int, Any, Any, bool]]) -> None:
    tenant = account((CPU, Window.MONTH, 10**15))
    used = 0
    for run, estimate, truth, ends in steps:
        name = str(run)
        if name not in tenant:
            assert reserve(tenant, name, {CPU: estimate}, NOON) is None
        elif ends:
            tenant.settle(name, {CPU: truth}, NOON)
            used += round(truth * 10**6)
        else:
            tenant.grow(name, {CPU: truth})
        tenant.check()
    for run in range(6):
        if str(run) in tenant:
            tenant.settle(str(run), {}, NOON)
    assert len(tenant) == 0
    [item] = tenant.spent(NOON)
    assert (item.used, item.reserved) == (used / 10**6, 0)


def test_the_check_finds_what_nobody_holds() -> None:
    tenant = account((CPU, Window.DAY, 10))
    assert reserve(tenant, "a", {CPU: 1}, NOON) is None
    tenant._runs.clear()
    with pytest.raises(AssertionError, match="cpu_seconds: 1000000 reserved, but runs hold 0"):
        tenant.check()


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, True, "5", None])
def test_amounts_that_make_no_sense_are_refused(value: Any) -> None:
    for make in (
        lambda: Budget(CPU, Window.DAY, value),
        lambda: reserve(account((CPU, Window.DAY, 1)), "r", {CPU: value}, NOON),
    ):
        with pytest.raises(ConfigError, match="must be a finite number, 0 or more"):
            make()
