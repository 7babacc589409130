"""A recorded execution again: the same randomness, times, sleeps and end, byte for byte."""

from __future__ import annotations

import time

import pytest
from tests.guest.replays import as_bytes, check_replays, record, replay, report
from tests.guest.test_deterministic import RANDOM_VALUES, TIMES
from tests.servers import WebServer

from wasmexec import Deterministic, Executor, Limits, MemoryRecorder, Status, TimeLimitError


@pytest.mark.parametrize("statement", [RANDOM_VALUES, TIMES])
def test_randomness_and_time_are_the_recorded_ones(executor: Executor, statement: str) -> None:
    result, recording = record(executor, statement)
    check_replays(executor, result, recording)
    other, _ = record(executor, statement)
    unequal = {name for name, value in result.rows[0].items() if other.rows[0][name] != value}
    if statement is RANDOM_VALUES:
        assert unequal == set(result.rows[0]) - {"hash", "set", "address"}
    else:
        # What counts from the start of the execution is the same: only the real time is another one.
        assert {"time", "ns", "now", "utc"} <= unequal


def test_the_clock_of_a_recording_is_the_real_one(executor: Executor) -> None:
    before = time.time()
    result, recording = record(executor, TIMES)
    assert before <= result.rows[0]["time"] <= time.time()
    assert before <= result.logs[0].time <= time.time()
    assert before <= recording.clock_start / 1e9 <= time.time()


@pytest.mark.timing
def test_sleeps_are_not_waited_for(executor: Executor) -> None:
    statement = "time.sleep(2)\nawait sleep(3)\nreturn [{'at': time.time()}]"
    started = time.monotonic()
    result, recording = record(executor, statement)
    assert time.monotonic() - started > 4.9
    started = time.monotonic()
    again = replay(executor, recording)
    assert time.monotonic() - started < 4.5
    assert as_bytes(again) == as_bytes(result)


def test_timers_and_answers_interleave_as_they_did(executor: Executor, server: WebServer) -> None:
    statement = """
events = []
async def tick(name, pause, count):
    for number in range(count):
        await sleep(pause)
        events.append({"name": name, "number": number, "at": time.time_ns() % 10**12})
async def ask(client, number):
    await client.get(server + f"/slow?seconds=0.0{number}")
    events.append({"name": "answer", "number": number, "at": time.time_ns() % 10**12})
async with httpx.AsyncClient() as client:
    for _ in range(5):
        await asyncio.gather(tick("a", 0.003, 30), tick("b", 0.0071, 12), tick("c", 0, 50),
                             *(ask(client, number) for number in range(8)))
log.info(str(len(events)))
return events
"""
    result, recording = record(executor, statement, server.authority)
    assert len(result.rows) == 5 * 100
    server.close()
    check_replays(executor, result, recording)


RANDOM_PROGRAM = """
import random
events = []
def note(name, value=None):
    events.append({"name": name, "value": value, "at": time.time_ns() % 10**13})
async def tick(name):
    for number in range(random.randint(1, 20)):
        await sleep(random.choice([0, 0.0001, 0.001, 0.003, 0.01]))
        note(name, number)
        if random.random() < 0.05:
            time.sleep(0.002)
async def stream(client, path):
    body = random._os.urandom(random.choice([0, 10, 200_000]))
    async with client.stream("POST" if body else "GET", server + path, content=body) as response:
        async for data in response.aiter_raw():
            note("data", len(data))
            if random.random() < 0.1:
                break
async def ask(client, number):
    paths = ["/hello", "/slow?seconds=0.01", "/chunks?count=5&size=1000&pause=0.003", "/bytes?size=400000", "/echo"]
    for _ in range(random.randint(1, 4)):
        path = random.choice(paths)
        try:
            async with asyncio.timeout(random.choice([0.001, 0.01, 0.05, 1])):
                if random.random() < 0.5:
                    await stream(client, path)
                else:
                    note("answer", len((await client.get(server + path)).content))
        except (TimeoutError, httpx.HTTPError) as error:
            note(type(error).__name__, number)
        if random.random() < 0.1:
            note("blocking", httpx.get(server + "/hello").text)
async with httpx.AsyncClient() as client:
    await asyncio.gather(*(tick(str(number)) for number in range(4)), *(ask(client, number) for number in range(10)))
return events
"""


@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_statement_does_with_requests_and_timers(executor: Executor, server: WebServer, seed: int) -> None:
    determinism = Deterministic(seed=seed)
    result, recording = record(executor, RANDOM_PROGRAM, server.authority, determinism=determinism)
    result.raise_for_status()
    assert len(result.rows) > 30
    server.close()
    check_replays(executor, result, recording)


@pytest.mark.parametrize(
    "statement", ["await sleep(100)", "time.sleep(100)", "httpx.get(server + '/slow?seconds=9', timeout=None)"]
)
def test_an_execution_that_ran_out_of_time(executor: Executor, server: WebServer, statement: str) -> None:
    result, recording = record(executor, f"log.info('a')\n{statement}", server.authority, limits=Limits(wall_seconds=1))
    assert result.status == Status.TIMED_OUT
    assert isinstance(result.error, TimeLimitError)
    server.close()
    check_replays(executor, result, recording, limits=Limits(wall_seconds=1))


def test_an_execution_that_was_cancelled(executor: Executor) -> None:
    import asyncio

    recorder = MemoryRecorder()

    async def cancel_soon() -> None:
        task = asyncio.create_task(executor.run_async("await sleep(50)\nreturn []", recorder=recorder))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_soon())
    recording = recorder.recording()
    assert recording.ending == "cancelled"
    again = replay(executor, recording)
    assert again.status == Status.CANCELLED
    assert report(again).recorded_status == Status.CANCELLED


def test_a_statement_that_raised(executor: Executor, server: WebServer) -> None:
    result, recording = record(executor, "httpx.get(server + '/status?code=500').raise_for_status()", server.authority)
    assert result.status == Status.STATEMENT_RAISED
    server.close()
    again = check_replays(executor, result, recording)
    assert (report(again).recorded_error or {})["type"] == "StatementRaised"
