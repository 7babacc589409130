"""Rates: what is taken and what is refused, exactly, and that every time to try again is true."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.server.refused import is_refused

from wasmexec import ConfigError
from wasmexec.server.quotas.rates import Rate, RateCharge, Rates, Unit
from wasmexec.server.quotas.refusals import Owner


def charge(rate: Rate, cost: float = 1, owner: Owner = Owner.TENANT, unit: Any = "requests") -> RateCharge:
    return RateCharge(owner, "acme", Unit(unit), rate, cost)


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
            assert rates.take([RateCharge(owner, name, Unit.REQUESTS, rate)], 0.0) is None
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
        assert rates.take([RateCharge(Owner.KEY, str(number), Unit.REQUESTS, Rate(10, 1))], number * 0.01) is None
    assert len(rates) <= 1025
    # What is not whole is kept.
    assert rates.take([RateCharge(Owner.KEY, "99999", Unit.REQUESTS, Rate(10, 1))], 999.99) is not None


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, True, "5", None])
def test_amounts_that_make_no_sense_are_refused(value: Any) -> None:
    for make in (
        lambda: Rate(value, 1),
        lambda: Rate(1, value),
        lambda: Rates().take([charge(Rate(1, 1), value)], 0.0),
    ):
        with pytest.raises(ConfigError, match="must be a finite number, 0 or more"):
            make()
