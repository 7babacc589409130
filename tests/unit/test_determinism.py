"""Seeds, the random stream and the virtual clock; what is out of range is refused before anything runs."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from wasmexec import ConfigError, Deterministic
from wasmexec._replay.virtual import BLOCK_BYTES, RandomStream, VirtualClock


def test_equal_seeds_have_equal_keys_and_others_have_others() -> None:
    assert Deterministic(seed=7).key == Deterministic(seed=7).key
    keys = {Deterministic(seed=seed).key for seed in (0, 7, -7, "7", b"7", "", b"", "é", 10**100)}
    assert len(keys) == 9
    assert all(len(key) == 32 for key in keys)


def test_the_clock_is_exact_to_the_microsecond() -> None:
    moment = datetime(2031, 5, 6, 7, 8, 9, 123_457, tzinfo=timezone(timedelta(hours=2)))
    assert Deterministic(clock=moment).start == 1_935_810_489_123_457_000
    assert Deterministic(clock=1.5).start == 1_500_000_000
    assert Deterministic().start == int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) * 10**9
    assert Deterministic(clock_step_seconds=0.001).step == 1_000_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 1.5}, "seed must be an int, a str or bytes, not float"),
        ({"seed": True}, "seed must be an int, a str or bytes, not bool"),
        ({"clock": datetime(2024, 1, 1)}, "clock must say its time zone: datetime(..., tzinfo=UTC)"),
        ({"clock": "now"}, "clock must be a datetime or seconds since the epoch, not 'now'"),
        ({"clock": float("nan")}, "clock must be a datetime or seconds since the epoch, not nan"),
        ({"clock": -1}, "clock must lie between the years 1970 and 2191, not at -1"),
        ({"clock": 7_000_000_001}, "clock must lie between the years 1970 and 2191, not at 7000000001"),
        ({"clock_step_seconds": 0}, "clock_step_seconds must be from 0.0000001 to 1, not 0"),
        ({"clock_step_seconds": 1.1}, "clock_step_seconds must be from 0.0000001 to 1, not 1.1"),
        ({"skip_sleeps": 1}, "skip_sleeps must be a bool, not int"),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Deterministic(**options)
    assert caught.value.message == message


def test_the_stream_is_the_same_however_it_is_taken() -> None:
    whole = RandomStream(b"k" * 32).take(3 * BLOCK_BYTES)
    stream = RandomStream(b"k" * 32)
    pieces = [stream.take(size) for size in (0, 1, 7, BLOCK_BYTES - 8, 1, BLOCK_BYTES, BLOCK_BYTES - 1)]
    assert b"".join(pieces) == whole
    assert len({whole[start : start + 16] for start in range(0, len(whole), 16)}) == len(whole) // 16
    assert RandomStream(b"j" * 32).take(16) != whole[:16]


def test_every_question_advances_the_clock() -> None:
    clock = VirtualClock(10**18, 1000)
    assert [clock.ask() - 10**18 for _ in range(3)] == [1000, 2000, 3000]
    assert clock.elapsed == 3000
    assert clock.seconds() == 1e9 + 3e-6


def test_a_timer_rings_at_its_moment() -> None:
    clock = VirtualClock(0, 1)
    clock.expect_timer(1.5)
    clock.ring()
    assert clock.now == 1_500_000_000
    clock.ring()
    assert clock.now == 1_500_000_000
    clock.expect_timer(-3.0)
    clock.ring()
    assert clock.now == 1_500_000_001
    clock.expect_timer(1e300)
    assert clock.due == 1_500_000_001 + 10**18


def test_an_answer_comes_before_the_timer_and_never_before_now() -> None:
    clock = VirtualClock(0, 1)
    clock.arrive()
    assert clock.now == 1
    clock = VirtualClock(0, 1, follows_real_time=True)
    clock.begin()
    time.sleep(0.002)
    clock.expect_timer(0.001)
    clock.arrive()
    assert (clock.now, clock.due) == (1_000_000, None)
    time.sleep(0.002)
    clock.arrive()
    assert 4_000_000 <= clock.now < 4_000_000_000
    clock.now = 10**15
    clock.arrive()
    assert clock.now == 10**15 + 1
