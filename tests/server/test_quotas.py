"""Quotas: what is taken and what is refused, exactly, and that a refusal says which rule, whose and when again."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from wasmexec import ConfigError, Grants, HttpGrant, Limits
from wasmexec._hostcalls.error import HostCallError
from wasmexec._hostcalls.http.egress import EgressPolicy
from wasmexec.limits import GIB, MIB
from wasmexec.server.quotas import (
    Account,
    Budget,
    Ceiling,
    Dimension,
    Owner,
    Rate,
    RateCharge,
    Rates,
    Refusal,
    Window,
    check_count,
    reserve_all,
)

CPU, ROWS, EGRESS = Dimension.CPU_SECONDS, Dimension.ROWS, Dimension.EGRESS_BYTES
NOON = datetime(2026, 1, 30, 12, 0, tzinfo=UTC).timestamp()


def charge(rate: Rate, cost: float = 1, owner: Owner = Owner.TENANT, unit: Any = "requests") -> RateCharge:
    return RateCharge(owner, "acme", unit, rate, cost)


def is_refused(answer: object) -> Refusal:
    assert isinstance(answer, Refusal)
    return answer


# Rates


@pytest.mark.parametrize("start", [0.0, 12_345.678, 1.7e9])
def test_a_flood_gets_the_rate_and_one_burst(start: float) -> None:
    """100 a second with a burst of 50, offered 1,000 a second for a minute."""
    rates, rate = Rates(), Rate(100, 50)
    taken = sum(rates.take([charge(rate)], start + number / 1000) is None for number in range(60_000))
    assert taken == pytest.approx(6050, rel=0.01)


@pytest.mark.parametrize("start", [0.0, 12_345.678, 1.7e9])
def test_every_time_to_try_again_is_true(start: float) -> None:
    """At that time the request is admitted, a tenth of a millisecond before it is not."""
    rates, rate, chance = Rates(), Rate(100, 50), random.Random(1)
    now, refusals = start, 0
    for _ in range(5000):
        now += chance.expovariate(300)
        cost = chance.choice([1, 1, 2, 5])
        refusal = rates.take([charge(rate, cost)], now)
        if refusal is not None:
            refusals += 1
            wait = refusal.retry_after_seconds
            assert wait is not None
            if wait > 0.0002:
                assert rates.take([charge(rate, cost)], now + wait - 0.0001) is not None
            assert rates.take([charge(rate, cost)], now + wait) is None
            assert int(refusal.headers()["Retry-After"]) >= wait
            now += wait
    assert refusals > 500


@given(
    st.floats(0.5, 1000),
    st.integers(1, 100),
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 10)), max_size=80),
)
def test_never_is_more_taken_than_rate_and_burst_allow(
    per_second: float, burst: int, offers: list[tuple[float, int]]
) -> None:
    rates, rate, now, taken = Rates(), Rate(per_second, burst), 1000.0, 0
    allowance = float(burst)
    for pause, cost in offers:
        now += pause
        # A token bucket, the other way to say the same.
        allowance = min(burst, allowance + pause * per_second)
        is_taken = rates.take([charge(rate, cost)], now) is None
        if abs(allowance - cost) > 1e-6:
            assert is_taken is (cost <= allowance)
        if is_taken:
            allowance -= cost
            taken += cost
    assert taken <= burst + per_second * (now - 1000.0) + 1e-6


def test_one_request_over_the_burst_is_refused_and_the_next_second_works() -> None:
    rates, rate = Rates(), Rate(2, 3)
    assert [rates.take([charge(rate)], 10.0) for _ in range(3)] == [None] * 3
    refusal = is_refused(rates.take([charge(rate)], 10.0))
    assert (refusal.rule, refusal.status, refusal.value, refusal.asked) == ("rate.requests", 429, 2, 1)
    assert refusal.used == pytest.approx(3)
    assert refusal.retry_after_seconds == pytest.approx(0.5)
    assert refusal.headers() == {"Retry-After": "1"}
    assert refusal.message == ("the tenant acme may have 2 requests a second, 3 at once; the next are free in 0.500 s")
    assert rates.take([charge(rate)], 10.5) is None


def test_all_are_taken_or_none() -> None:
    rates, wide, narrow = Rates(), Rate(10, 10), Rate(1, 2)
    both = [charge(wide, 5, Owner.KEY), charge(narrow, 1)]
    assert rates.take([charge(narrow, 2)], 0.0) is None
    assert is_refused(rates.take(both, 0.0)).owner is Owner.TENANT
    # Nothing was taken of the wide one.
    assert rates.take([charge(wide, 10, Owner.KEY)], 0.0) is None


def test_the_refusal_is_that_of_the_rate_that_is_free_again_last() -> None:
    charges = [charge(Rate(10, 1), 1, Owner.KEY), charge(Rate(1, 1), 1, Owner.PROJECT), charge(Rate(5, 1))]
    for order in (charges, charges[::-1]):
        rates = Rates()
        assert rates.take(order, 0.0) is None
        refusal = is_refused(rates.take(order, 0.0))
        assert (refusal.owner, refusal.retry_after_seconds) == (Owner.PROJECT, 1.0)
        assert rates.take(order, 1.0) is None


@pytest.mark.parametrize(
    ("owner", "who"),
    [(Owner.KEY, "tenant"), (Owner.PROJECT, "tenant"), (Owner.TENANT, "operator"), (Owner.SERVER, "operator")],
)
def test_a_refusal_says_who_may_change_the_rule(owner: Owner, who: str) -> None:
    refusal = is_refused(Rates().take([charge(Rate(0, 0), 1, owner)], 0.0))
    assert refusal.changed_by == who
    assert refusal.problem()["changed_by"] == who


@pytest.mark.parametrize("rate", [Rate(0, 50), Rate(100, 0), Rate(0, 0)])
def test_a_rate_of_zero_admits_nothing_ever(rate: Rate) -> None:
    for now in (0.0, 1e6):
        refusal = is_refused(Rates().take([charge(rate)], now))
        assert (refusal.retry_after_seconds, refusal.headers()) == (None, {})
    assert Rates().take([charge(rate, 0, unit="bytes")], 0.0) is None


def test_more_than_the_burst_at_once_is_never_free() -> None:
    refusal = is_refused(Rates().take([charge(Rate(100, 1000), 1001, unit="bytes")], 0.0))
    assert (refusal.rule, refusal.retry_after_seconds) == ("rate.bytes", None)
    assert refusal.message.endswith("; 1,001 at once are never free")
    assert Rates().take([charge(Rate(100, 1000), 1000, unit="bytes")], 0.0) is None


def test_a_rate_that_is_named_twice_is_charged_once_with_both() -> None:
    rates, rate = Rates(), Rate(1, 3)
    assert is_refused(rates.take([charge(rate, 2), charge(rate, 2)], 0.0)).asked == 4
    assert rates.take([charge(rate, 2), charge(rate, 1)], 0.0) is None
    assert rates.take([charge(rate)], 0.0) is not None


def test_owners_do_not_share_a_rate() -> None:
    rates, rate = Rates(), Rate(1, 1)
    for owner in Owner:
        for name in ("a", "b"):
            assert rates.take([RateCharge(owner, name, "requests", rate)], 0.0) is None
    assert len(rates) == 8


def test_the_headers_say_what_is_left_and_when_all_is_free_again() -> None:
    rates = Rates()
    charges = [charge(Rate(100, 50), 1, Owner.KEY), charge(Rate(1000, 65536), 16_384, unit="bytes")]
    assert rates.headers(charges, 5.0) == {
        "RateLimit-Policy": '"key-requests";q=50;w=1, "tenant-bytes";q=65536;w=66;qu="content-bytes"',
        "RateLimit": '"key-requests";r=50;t=0, "tenant-bytes";r=65536;t=0',
    }
    assert rates.take(charges, 5.0) is None
    # The strictest is the one with the smaller part left.
    assert rates.headers(charges, 5.0) == {
        "RateLimit-Policy": '"tenant-bytes";q=65536;w=66;qu="content-bytes", "key-requests";q=50;w=1',
        "RateLimit": '"tenant-bytes";r=49152;t=17, "key-requests";r=49;t=1',
    }
    assert Rates().headers([charge(Rate(0, 50))], 0.0) == {
        "RateLimit-Policy": '"tenant-requests";q=0',
        "RateLimit": '"tenant-requests";r=0',
    }


def test_rates_that_are_whole_are_forgotten() -> None:
    rates = Rates()
    for number in range(100_000):
        assert rates.take([RateCharge(Owner.KEY, str(number), "requests", Rate(10, 1))], number * 0.01) is None
    assert len(rates) <= 1025
    # What is not whole is kept.
    assert rates.take([RateCharge(Owner.KEY, "99999", "requests", Rate(10, 1))], 999.99) is not None


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, True, "5", None])
def test_amounts_that_make_no_sense_are_refused(value: Any) -> None:
    for make in (
        lambda: Rate(value, 1),
        lambda: Rate(1, value),
        lambda: Budget(CPU, Window.DAY, value),
        lambda: Rates().take([charge(Rate(1, 1), value)], 0.0),
        lambda: Account(Owner.TENANT, "a", [Budget(CPU, Window.DAY, 1)]).reserve("r", {CPU: value}, NOON),
    ):
        with pytest.raises(ConfigError, match="must be a finite number, 0 or more"):
            make()


# Counts


def test_a_count_is_that_of_the_live_objects() -> None:
    live: set[str] = set()
    assert check_count("open_streams", live, 2) is None
    live |= {"a", "b"}
    refusal = is_refused(check_count("open_streams", live, 2))
    assert (refusal.rule, refusal.status, refusal.value, refusal.used) == ("count.open_streams", 429, 2, 2)
    assert refusal.message == "the tenant may have 2 open streams and has 2; one of them has to end first"
    live.discard("a")
    assert check_count("open_streams", live, 2) is None


def test_a_count_of_zero_admits_nothing_and_what_is_stored_is_a_conflict() -> None:
    refusal = is_refused(check_count("steps", [], 0, status=409))
    assert (refusal.status, refusal.headers()) == (409, {})
    assert refusal.message == "the tenant may have 0 steps and has 0; one has to be deleted first"


# Budgets


def account(*budgets: tuple[Dimension, Window, float], name: str = "acme") -> Account:
    return Account(Owner.TENANT, name, [Budget(*budget) for budget in budgets])


def test_a_burst_of_runs_does_not_overshoot() -> None:
    """Of 200 at once with an estimate of 1 s, exactly as many are admitted as the budget has room for."""
    tenant = account((CPU, Window.MINUTE, 10))
    assert sum(tenant.reserve(f"r{number}", {CPU: 1}, NOON) is None for number in range(200)) == 10
    tenant.check()


def test_one_run_just_under_and_one_just_over() -> None:
    tenant = account((CPU, Window.DAY, 1))
    assert is_refused(tenant.reserve("over", {CPU: 1.000000001}, NOON)).asked == 1.000000001
    assert tenant.reserve("under", {CPU: 1}, NOON) is None
    refusal = is_refused(tenant.reserve("next", {CPU: 0.25}, NOON))
    assert (refusal.rule, refusal.status, refusal.value, refusal.used) == ("budget.cpu_seconds.day", 429, 1, 1)
    assert refusal.retry_after_seconds == 12 * 3600
    assert refusal.message == (
        "the tenant acme may use 1 cpu_seconds a day and has 1 used or reserved; "
        "the next day with room begins at 2026-01-31T00:00:00Z"
    )
    tenant.settle("under", {CPU: 0.5}, NOON)
    assert tenant.reserve("next", {CPU: 0.25}, NOON) is None


def test_what_was_estimated_too_high_is_given_back_and_too_low_is_carried() -> None:
    tenant = account((CPU, Window.MINUTE, 10))
    assert tenant.reserve("a", {CPU: 10}, NOON) is None
    tenant.settle("a", {CPU: 4}, NOON)
    assert tenant.left(CPU, NOON) == 6
    assert tenant.reserve("b", {CPU: 1}, NOON) is None
    tenant.settle("b", {CPU: 21}, NOON)
    assert tenant.left(CPU, NOON) == -15
    # 25 of 10 used: the next two minutes pay for it.
    assert [tenant.left(CPU, NOON + 60 * minute) for minute in range(4)] == [-15, -5, 5, 10]


def test_the_time_to_try_again_counts_the_debt() -> None:
    tenant = account((CPU, Window.MINUTE, 10))
    assert tenant.reserve("a", {CPU: 1}, NOON) is None
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
        refusal = tenant.reserve(str(number), {CPU: estimate}, now)
        if refusal is None:
            tenant.settle(str(number), {CPU: truth}, now)
        elif refusal.retry_after_seconds is None:
            assert estimate > limit
        else:
            at = now + refusal.retry_after_seconds
            copy = Account(Owner.TENANT, "copy", [Budget(CPU, window, limit)], tenant.spent(now))
            assert copy.refusal({CPU: estimate}, at - 1) is not None
            assert copy.refusal({CPU: estimate}, at) is None


def test_a_run_that_lives_over_midnight_is_reserved_and_charged_in_the_new_day() -> None:
    tenant = account((CPU, Window.DAY, 10))
    assert tenant.reserve("a", {CPU: 8}, NOON) is None
    tomorrow = NOON + 86_400
    assert tenant.left(CPU, tomorrow) == 2
    tenant.settle("a", {CPU: 7}, tomorrow)
    assert tenant.left(CPU, tomorrow) == 3


def test_what_is_settled_is_charged_to_the_day_that_is_now() -> None:
    tenant = account((CPU, Window.DAY, 10))
    for run in "ab":
        assert tenant.reserve(run, {CPU: 5}, NOON) is None
    tenant.settle("a", {CPU: 5}, NOON)
    tenant.settle("b", {CPU: 4}, NOON + 86_400)
    assert tenant.left(CPU, NOON + 86_400) == 6


def test_what_a_live_run_uses_beyond_its_estimate_counts_at_once() -> None:
    tenant = account((CPU, Window.DAY, 10))
    assert tenant.reserve("a", {CPU: 1}, NOON) is None
    tenant.grow("a", {CPU: 0.5})
    assert tenant.left(CPU, NOON) == 9
    tenant.grow("a", {CPU: 9.5, ROWS: 3})
    assert tenant.left(CPU, NOON) == 0.5
    assert tenant.reserve("b", {CPU: 1}, NOON) is not None
    tenant.check()
    tenant.settle("a", {CPU: 9.5}, NOON)
    tenant.check()
    assert tenant.left(CPU, NOON) == 0.5


def test_a_budget_of_zero_admits_nothing_that_needs_it_and_what_does_not_is_free() -> None:
    tenant = account((EGRESS, Window.DAY, 0))
    refusal = is_refused(tenant.reserve("a", {EGRESS: 1}, NOON))
    assert (refusal.value, refusal.retry_after_seconds) == (0, None)
    assert refusal.message.endswith("; 1 are more than it can ever have")
    assert tenant.reserve("b", {CPU: 100, EGRESS: 0}, NOON) is None
    assert tenant.reserve("c", {CPU: 100}, NOON) is None
    assert (tenant.left(EGRESS, NOON), tenant.left(CPU, NOON)) == (0, math.inf)


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
    assert (tenant.left(CPU, NOON), tenant.left(ROWS, NOON)) == (0, 50)


def test_one_account_without_room_is_enough() -> None:
    for full in (0, 1):
        accounts = [Account(Owner.TENANT, "t", [Budget(CPU, Window.DAY, 10 * (number != full))]) for number in (0, 1)]
        assert is_refused(reserve_all(accounts, "a", {CPU: 1}, NOON)).value == 0
        assert [len(one) for one in accounts] == [0, 0]


def test_a_run_is_reserved_and_settled_once() -> None:
    tenant = account((CPU, Window.DAY, 10))
    assert tenant.reserve("a", {CPU: 1}, NOON) is None
    with pytest.raises(ValueError, match="run a has a reservation"):
        tenant.reserve("a", {CPU: 1}, NOON)
    tenant.settle("a", {CPU: 1}, NOON)
    with pytest.raises(KeyError):
        tenant.settle("a", {CPU: 1}, NOON)
    assert tenant.left(CPU, NOON) == 9


def test_windows_are_those_of_the_calendar() -> None:
    tenant = account((CPU, Window.MINUTE, 1), (CPU, Window.DAY, 1), (CPU, Window.MONTH, 1))
    resets = [datetime.fromtimestamp(item.resets_at, UTC).isoformat() for item in tenant.spent(NOON + 61)]
    assert resets == ["2026-01-30T12:02:00+00:00", "2026-01-31T00:00:00+00:00", "2026-02-01T00:00:00+00:00"]
    december = datetime(2027, 12, 31, 23, 59, tzinfo=UTC).timestamp()
    assert {datetime.fromtimestamp(item.resets_at, UTC).year for item in tenant.spent(december)} == {2028}


def test_a_clock_that_goes_back_opens_no_window_again() -> None:
    tenant = account((CPU, Window.DAY, 10))
    assert tenant.reserve("a", {CPU: 10}, NOON) is None
    tenant.settle("a", {CPU: 10}, NOON)
    assert tenant.reserve("b", {CPU: 1}, NOON - 86_400) is not None
    assert tenant.reserve("b", {CPU: 1}, NOON) is not None


def test_other_limits_keep_what_was_used() -> None:
    tenant = account((CPU, Window.DAY, 10))
    assert tenant.reserve("a", {CPU: 5}, NOON) is None
    tenant.settle("a", {CPU: 5}, NOON)
    tenant.change([Budget(CPU, Window.DAY, 6), Budget(ROWS, Window.DAY, 1)])
    assert (tenant.left(CPU, NOON), tenant.left(ROWS, NOON)) == (1, 1)
    with pytest.raises(ConfigError, match="budget: rows per day is given twice"):
        tenant.change([Budget(ROWS, Window.DAY, 6), Budget(ROWS, Window.DAY, 1)])


def test_a_restart_goes_on_where_it_stood() -> None:
    tenant = account((CPU, Window.MINUTE, 10), (CPU, Window.DAY, 100))
    assert tenant.reserve("a", {CPU: 1}, NOON) is None
    tenant.settle("a", {CPU: 25.5}, NOON)
    again = Account(Owner.TENANT, "acme", [item.budget for item in tenant.spent(NOON)], tenant.spent(NOON))
    for at in (NOON, NOON + 61, NOON + 122, NOON + 183):
        assert again.left(CPU, at) == tenant.left(CPU, at)


AMOUNTS = st.floats(0, 100) | st.integers(0, 10**12)


@given(st.lists(st.tuples(st.integers(0, 5), AMOUNTS, AMOUNTS, st.booleans()), max_size=60))
def test_sums_come_out_exactly_in_whatever_order_runs_end(steps: list[tuple[int, Any, Any, bool]]) -> None:
    tenant = account((CPU, Window.MONTH, 10**15))
    used = 0
    for run, estimate, truth, ends in steps:
        name = str(run)
        if name not in tenant:
            assert tenant.reserve(name, {CPU: estimate}, NOON) is None
        elif ends:
            tenant.settle(name, {CPU: truth}, NOON)
            used += round(truth * 10**9) if isinstance(truth, float) else truth * 10**9
        else:
            tenant.grow(name, {CPU: truth})
        tenant.check()
    for run in range(6):
        if str(run) in tenant:
            tenant.settle(str(run), {}, NOON)
    assert len(tenant) == 0
    [item] = tenant.spent(NOON)
    assert (item.used, item.reserved) == (used / 10**9, 0)


def test_the_check_finds_what_nobody_holds() -> None:
    tenant = account((CPU, Window.DAY, 10))
    assert tenant.reserve("a", {CPU: 1}, NOON) is None
    tenant._runs.clear()
    with pytest.raises(AssertionError, match="cpu_seconds: 1000000000 reserved, but runs hold 0"):
        tenant.check()


# Ceilings


def test_a_request_tightens_and_what_it_leaves_out_is_the_default_under_the_ceiling() -> None:
    ceiling = Ceiling(limits=Limits(wall_seconds=300, cpu_seconds=5, memory_bytes=512 * MIB))
    effective = ceiling.limits_for({"wall_seconds": 300, "log_records": 5})
    assert effective == Limits(wall_seconds=300, cpu_seconds=5, memory_bytes=512 * MIB, log_records=5)
    assert ceiling.limits_for({}) == Limits(cpu_seconds=5, memory_bytes=512 * MIB)


def test_a_limit_over_the_ceiling_is_refused_by_name() -> None:
    refusal = is_refused(Ceiling(limits=Limits(memory_bytes=GIB)).limits_for({"memory_bytes": GIB + 1}))
    assert (refusal.rule, refusal.status, refusal.value, refusal.asked) == (
        "limit.memory_bytes", 400, GIB, GIB + 1
    )  # fmt: skip
    assert (refusal.changed_by, refusal.headers()) == ("operator", {})
    assert refusal.message == (
        "limits: memory_bytes must be at most 1,073,741,824, the tenant's ceiling, not 1,073,741,825"
    )


@given(st.dictionaries(st.sampled_from(["log_records", "output_rows", "http_requests"]), st.integers(0, 2000)))
def test_no_request_gets_more_than_the_ceiling(asked: dict[str, int]) -> None:
    ceiling = Limits(log_records=1000, output_rows=0, http_requests=50)
    answer = Ceiling(limits=ceiling).limits_for(asked)
    assert isinstance(answer, Refusal) is any(value > getattr(ceiling, name) for name, value in asked.items())
    if isinstance(answer, Limits):
        assert all(getattr(answer, name) <= getattr(ceiling, name) for name in Limits.__slots__)
        assert all(getattr(answer, name) == value for name, value in asked.items())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"cpu": 1}, "limits: there is no limit 'cpu', only cpu_seconds, http_bytes"),
        ({"cpu_seconds": "1"}, "limits: cpu_seconds must be a number, not str"),
        ({"log_bytes": -1}, "limits: log_bytes must be from 0 to 1,073,741,824, not -1"),
    ],
)
def test_a_limit_that_makes_no_sense_is_a_mistake_not_a_refusal(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Ceiling().limits_for(asked)
    assert caught.value.message.startswith(message)


def texts(grants: Grants | Refusal) -> list[str]:
    assert isinstance(grants, Grants)
    return [grant.text for grant in grants.http_grants]


def within(ceiling: list[str | HttpGrant], *asked: str | HttpGrant) -> Grants | Refusal:
    return Ceiling(grants=Grants(http=ceiling)).grants_for(Grants(http=asked))


@pytest.mark.parametrize(
    ("ceiling", "asked"),
    [
        (["api.example.com"], "api.example.com"),
        (["*.example.com"], "GET https://api.example.com"),
        (["*.example.com"], "*.example.com"),
        (["*.example.com"], "*.api.example.com"),
        (["http://a.example", "https://a.example"], "https://a.example"),
        (["GET a.example", "POST a.example"], "GET,POST https://a.example"),
        (["GET a.example:8443", "*.b.example", "GET,HEAD a.b.example:80"], "HEAD https://a.b.example"),
    ],
)
def test_what_the_ceilings_together_permit_is_granted(ceiling: list[str | HttpGrant], asked: str) -> None:
    assert texts(within(ceiling, asked))


@pytest.mark.parametrize(
    ("ceiling", "asked"),
    [
        ([], "api.example.com"),
        (["api.example.com"], "*.example.com"),
        (["*.api.example.com"], "*.example.com"),
        (["*.example.com"], "example.com"),
        (["*.example.com"], "api.example.com.evil.test"),
        (["*.example.com"], "evilexample.com"),
        (["https://a.example"], "a.example"),
        # Without a scheme it is both on both ports, and http on 443 is nobody's.
        (["http://a.example", "https://a.example"], "a.example"),
        (["GET a.example"], "GET,POST a.example"),
        (["a.example"], "a.example:8080"),
        (["GET a.example", "POST https://a.example"], "GET,POST a.example"),
        (["a.example"], HttpGrant("a.example", allow_private=True)),
    ],
)
def test_what_goes_beyond_is_refused_with_what_there_is(ceiling: list[str | HttpGrant], asked: str | HttpGrant) -> None:
    refusal = is_refused(within(ceiling, asked))
    text = asked.text if isinstance(asked, HttpGrant) else HttpGrant.parse(asked).text
    assert (refusal.rule, refusal.status, refusal.asked) == ("grant.http", 400, text)
    assert set(refusal.value) == set(texts(Grants(http=ceiling)))  # type: ignore[arg-type]
    assert refusal.message.startswith(f"grants: {text}")


def permits(grants: Grants, method: str, url: str) -> bool:
    try:
        EgressPolicy(grants.http_grants).target(method, url)
    except HostCallError:
        return False
    return True


HOSTS = st.sampled_from(["a.example.com", "b.example.com", "*.example.com", "c.test"])
GRANTS = st.lists(
    st.builds(
        HttpGrant,
        HOSTS,
        ports=st.sets(st.sampled_from([80, 443, 8443]), min_size=1).map(sorted),
        methods=st.sets(st.sampled_from(["GET", "POST"]), min_size=1).map(sorted),
        schemes=st.sets(st.sampled_from(["http", "https"]), min_size=1).map(sorted),
    ),
    max_size=3,
)


@given(GRANTS, GRANTS)
def test_a_run_reaches_what_it_asked_for_and_the_ceiling_permits_nothing_else(
    ceiling: list[HttpGrant], asked: list[HttpGrant]
) -> None:
    """Compared with the policy that checks each request of a run."""
    allowed, wanted = Grants(http=ceiling), Grants(http=asked)
    effective = Ceiling(grants=allowed).grants_for(wanted)
    requests = [
        (method, f"{scheme}://{host}:{port}/")
        for method in ("GET", "POST")
        for scheme in ("http", "https")
        for host in ("a.example.com", "b.example.com", "c.test", "d.example.com")
        for port in (80, 443, 8443)
    ]
    if isinstance(effective, Refusal):
        wildcard = any(grant.host.startswith("*.") for grant in asked)
        assert wildcard or any(permits(wanted, *request) and not permits(allowed, *request) for request in requests)
    else:
        for request in requests:
            assert permits(effective, *request) is permits(wanted, *request)
            assert not permits(effective, *request) or permits(allowed, *request)


def test_a_private_network_is_reached_only_if_both_say_so() -> None:
    private = HttpGrant("10.0.0.7", ports=[8080], allow_private=True)
    granted = within([private], private)
    assert isinstance(granted, Grants)
    assert granted.http_grants[0].allow_private
    public = within([private], HttpGrant("10.0.0.7", ports=[8080]))
    assert isinstance(public, Grants)
    assert not public.http_grants[0].allow_private


def test_files_and_the_proxy_are_the_operators_alone(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(authority)
    ceiling = Ceiling(
        grants=Grants(
            http=[HttpGrant("*.example.com"), HttpGrant("a.example.com", ca_file=authority)],
            ca_file=authority,
            proxy="http://proxy.test:3128",
        )
    )
    granted = ceiling.grants_for(Grants(http=["a.example.com"]))
    assert isinstance(granted, Grants)
    assert (granted.ca_file, granted.http_grants[0].ca_file) == (str(authority), str(authority))
    assert granted.proxy == ceiling.grants.proxy
    for asked, rule in (
        (Grants(ca_file=authority), "grant.ca_file"),
        (Grants(proxy="http://mine.test:1"), "grant.proxy"),
        (Grants(http=[HttpGrant("a.example.com", ca_file=authority)]), "grant.files"),
    ):
        assert is_refused(ceiling.grants_for(asked)).rule == rule


def test_a_run_that_asks_for_nothing_reaches_nothing() -> None:
    assert (
        Ceiling(grants=Grants(http=["*.example.com"], proxy="http://proxy.test:3128")).grants_for(Grants()) == Grants()
    )


def test_an_image_is_run_only_if_the_tenant_may() -> None:
    ceiling = Ceiling(images=frozenset(["core", "full"]))
    assert ceiling.check_image("core") is None
    refusal = is_refused(ceiling.check_image("other"))
    assert (refusal.rule, refusal.message) == ("image", "the tenant may run the images core, full, not 'other'")
    assert is_refused(Ceiling(images=frozenset()).check_image("core")).value == ()
    assert Ceiling().check_image("other") is None


def test_a_refusal_becomes_the_members_of_a_problem_document() -> None:
    refusal = is_refused(check_count("open_streams", [1], 1))
    assert refusal.problem() == {
        "rule": "count.open_streams",
        "owner": "tenant",
        "status": 429,
        "value": 1,
        "used": 1,
        "asked": 1,
        "detail": "the tenant may have 1 open streams and has 1; one of them has to end first",
        "changed_by": "operator",
    }
