"""Deterministic mode: the same seed and clock give the same rows and log, byte for byte; others give others."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from wasmexec import CpuLimitError, Deterministic, Executor, GuestLostError, Limits, Result, Status, TimeLimitError

MODULES = "import warnings\nmodules = warnings.sys.modules\n"
"""The statement's way to modules that it may not import."""
RANDOM_VALUES = (
    MODULES
    + """
import random, ssl
import numpy as np
return [{
    "random": random.random(), "gauss": random.gauss(0, 1), "system": random.SystemRandom().random(),
    "numpy": float(np.random.rand()), "normal": float(np.random.randn()),
    "generator": int(np.random.default_rng().integers(1 << 62)),
    "uuid4": str(modules["uuid"].uuid4()), "uuid1": str(modules["uuid"].uuid1()),
    "secrets": modules["secrets"].token_hex(16), "urandom": random._os.urandom(8).hex(),
    "openssl": ssl.RAND_bytes(16).hex(), "hash": hash("text"), "set": list({"a", "b", "c", "d"}),
    "address": id(object()), "name": modules["tempfile"].mktemp(),
}]
"""
)
TIMES = (
    MODULES
    + """
import time, datetime
log.info("now")
return [{
    "time": time.time(), "ns": time.time_ns(), "monotonic": time.monotonic(), "counter": time.perf_counter(),
    "process": time.process_time(), "now": datetime.datetime.now().isoformat(), "today": str(datetime.date.today()),
    "utc": datetime.datetime.now(datetime.timezone.utc).isoformat(), "local": list(time.localtime()),
    "loop": modules["asyncio"].get_running_loop().time(),
}]
"""
)


def run(executor: Executor, statement: str, seed: int | str | bytes = 1, **options: Any) -> Result:
    """Run under a seed."""
    result = executor.run(statement, determinism=Deterministic(seed=seed), **options)
    result.raise_for_status()
    return result


def as_bytes(result: Result) -> bytes:
    """All of a result that must not differ."""
    return orjson.dumps([result.rows, [[item.time, item.level, item.message] for item in result.logs]])


def test_a_seed_decides_every_random_value(executor: Executor) -> None:
    first, again, other = (run(executor, RANDOM_VALUES, seed) for seed in (1, 1, 2))
    assert as_bytes(first) == as_bytes(again)
    same = {name for name in first.rows[0] if first.rows[0][name] == other.rows[0][name]}
    assert same == {"hash", "set", "address"}


def test_without_a_seed_they_differ(executor: Executor) -> None:
    first, again = executor.run(RANDOM_VALUES), executor.run(RANDOM_VALUES)
    assert {name for name in first.rows[0] if first.rows[0][name] == again.rows[0][name]} == {"hash", "set", "address"}


def test_the_clock_starts_where_it_is_told(executor: Executor) -> None:
    moment = datetime(2030, 2, 28, 23, 59, 59, 500_000, tzinfo=UTC)
    results = [executor.run(TIMES, determinism=Deterministic(clock=moment)) for _ in range(2)]
    assert as_bytes(results[0]) == as_bytes(results[1])
    (row,) = results[0].rows
    assert row["now"].startswith("2030-02-28T23:59:59.5000")
    assert row["today"] == "2030-02-28"
    assert 0 < row["monotonic"] < row["counter"] < 0.001
    assert row["time"] - moment.timestamp() == pytest.approx(row["monotonic"], abs=2e-5)
    assert 0 <= results[0].logs[0].time - moment.timestamp() < 0.001


@pytest.mark.timing
def test_a_native_clock_is_there_without_it(executor: Executor) -> None:
    (row,) = executor.run(TIMES).rows
    assert abs(row["time"] - time.time()) < 60


def test_each_question_takes_one_step(executor: Executor) -> None:
    statement = "import time\nreturn [{'at': time.time_ns() - 5 * 10**9} for _ in range(3)]"
    determinism = Deterministic(clock=5, clock_step_seconds=0.25)
    first, second, third = (row["at"] for row in executor.run(statement, determinism=determinism).rows)
    assert (second - first, third - second) == (250_000_000, 250_000_000)
    assert first % 250_000_000 == 0


def test_sleeping_advances_the_clock_by_what_was_asked(executor: Executor) -> None:
    statement = """
import time
started = time.monotonic()
time.sleep(0.25)
between = time.monotonic()
await sleep(0.5)
return [{"blocking": between - started, "awaited": time.monotonic() - between}]
"""
    before = time.monotonic()
    result = run(executor, statement)
    assert time.monotonic() - before > 0.7
    assert as_bytes(run(executor, statement)) == as_bytes(result)
    assert result.rows[0]["blocking"] == pytest.approx(0.25, abs=1e-4)
    assert result.rows[0]["awaited"] == pytest.approx(0.5, abs=1e-4)


@pytest.mark.timing
def test_sleeps_can_be_skipped(executor: Executor) -> None:
    statement = (
        MODULES
        + """
import time
asyncio = modules["asyncio"]
order = []
async def wait(seconds):
    await sleep(seconds)
    order.append({"seconds": seconds, "at": time.monotonic()})
await asyncio.gather(*map(wait, [3000, 1000, 2000]))
time.sleep(500)
try:
    async with asyncio.timeout(10):
        await sleep(100)
except TimeoutError:
    order.append({"seconds": 10, "at": time.monotonic()})
return order
"""
    )
    determinism = Deterministic(skip_sleeps=True)
    before = time.monotonic()
    results = [executor.run(statement, determinism=determinism, limits=Limits(wall_seconds=3600)) for _ in range(2)]
    assert time.monotonic() - before < 10
    assert as_bytes(results[0]) == as_bytes(results[1])
    assert [(row["seconds"], round(row["at"], 2)) for row in results[0].rows] == [
        (1000, 1000.0), (2000, 2000.0), (3000, 3000.0), (10, 3510.0),
    ]  # fmt: skip


@pytest.mark.parametrize("sleep", ["await sleep(61)", "time.sleep(61)"])
def test_a_skipped_sleep_has_the_wall_limit(executor: Executor, sleep: str) -> None:
    statement = f"import time\nlog.info('before')\n{sleep}\nreturn []"
    determinism = Deterministic(skip_sleeps=True)
    result = executor.run(statement, determinism=determinism, limits=Limits(wall_seconds=60))
    assert result.status == Status.TIMED_OUT
    assert isinstance(result.error, TimeLimitError)
    assert result.error.message == "out of time (60 s) at line 3"
    assert executor.run(statement, determinism=determinism, limits=Limits(wall_seconds=62)).status == 201


def test_the_processor_limit_stays(executor: Executor) -> None:
    result = executor.run(
        "import time\nwhile True:\n    time.time()",
        determinism=Deterministic(),
        limits=Limits(cpu_seconds=0.5, wall_seconds=300),
    )
    assert isinstance(result.error, CpuLimitError)


@pytest.mark.timing
def test_much_randomness_at_once_is_stopped_by_the_limit_too(executor: Executor) -> None:
    statement = "import random\nwhile True:\n    random._os.urandom(50_000_000)"
    result = executor.run(statement, determinism=Deterministic(), limits=Limits(cpu_seconds=0.5, wall_seconds=300))
    assert isinstance(result.error, CpuLimitError)
    assert result.usage.cpu_seconds < 1.5


def test_a_clock_that_does_not_exist_is_refused_as_by_the_system(executor: Executor) -> None:
    statement = "import time\nreturn [{'at': time.clock_gettime_ns(2)}]"
    for options in ({}, {"determinism": Deterministic()}):
        result = executor.run(statement, **options)  # type: ignore[arg-type]
        assert not isinstance(result.error, GuestLostError)


def test_many_at_once_do_not_mix(executor: Executor) -> None:
    expected = {seed: as_bytes(run(executor, RANDOM_VALUES, seed)) for seed in range(4)}
    found: dict[int, list[bytes]] = {}

    async def all_at_once() -> None:
        import asyncio

        seeds = [seed for seed in range(4) for _ in range(5)]
        results = await asyncio.gather(
            *(executor.run_async(RANDOM_VALUES, determinism=Deterministic(seed=seed)) for seed in seeds)
        )
        for seed, result in zip(seeds, results, strict=True):
            found.setdefault(seed, []).append(as_bytes(result))

    import asyncio

    asyncio.run(all_at_once())
    assert found == {seed: [value] * 5 for seed, value in expected.items()}


def test_a_wake_without_a_reason_is_not_noticed(executor: Executor) -> None:
    """The loop may wake an execution for an answer that it has had already."""
    statement = "import time\nawait sleep(0.6)\nreturn [{'at': time.time()}]"
    expected = run(executor, statement).rows
    found: list[Result] = []
    runner = threading.Thread(target=lambda: found.append(run(executor, statement)))
    started = time.monotonic()
    runner.start()
    parked = 0
    while runner.is_alive() and time.monotonic() - started < 0.4:
        for execution in executor._launcher.live:
            parked += execution.is_waiting
            execution._look()
        time.sleep(0.01)
    runner.join(10)
    assert parked > 3
    assert time.monotonic() - started > 0.6
    assert found[0].rows == expected


def test_pandas_work_is_the_same(executor: Executor) -> None:
    statement = """
import pandas as pd
import numpy as np
frame = pd.DataFrame({"group": np.random.randint(0, 5, 2000), "value": np.random.normal(size=2000)})
print(frame.sample(3).to_json())
return frame.groupby("group").value.agg(["mean", "std"]).reset_index().assign(at=pd.Timestamp.now()).to_dict("records")
"""
    first, again = run(executor, statement), run(executor, statement)
    assert as_bytes(first) == as_bytes(again)
    assert as_bytes(run(executor, statement, seed=2)) != as_bytes(first)
    assert len(first.rows) == 5


def test_wrong_types_are_refused(executor: Executor) -> None:
    with pytest.raises(TypeError, match=r"determinism must be Deterministic\(\.\.\.\), not int"):
        executor.run("return []", determinism=1)  # type: ignore[arg-type]
