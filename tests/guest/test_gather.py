"""Contract C4: `gather` waits for several awaitables at once, and leaves nothing running behind it."""

from typing import Any

import pytest
from tests.http_statements import rows as http_rows
from tests.servers import WebServer

from wasmexec import Deterministic, Executor, MemoryRecorder, Result, StatementRaised, Status

WORK = """
import time
order = []
async def work(name, seconds, error=None):
    try:
        await sleep(seconds)
        if error is not None:
            raise error
        order.append(name)
        return name
    finally:
        order.append(f"end of {name}")
"""


def run(executor: Executor, statement: str, **options: Any) -> Result:
    result = executor.run(WORK + statement, **options)
    result.raise_for_status()
    return result


def raised(executor: Executor, statement: str) -> tuple[str, str]:
    result = executor.run(statement)
    assert isinstance(result.error, StatementRaised), result.error
    return result.error.type_name, result.error.exception_message


@pytest.mark.timing
def test_results_come_in_the_order_of_the_arguments_and_waits_overlap(executor: Executor) -> None:
    statement = """
start = time.monotonic()
results = await gather(work("slow", 0.3), work("fast", 0.05), work("middle", 0.15))
return [{"results": results, "order": order[::2], "took": time.monotonic() - start}]
"""
    row = run(executor, statement).rows[0]
    assert (row["results"], row["order"]) == (["slow", "fast", "middle"], ["fast", "middle", "slow"])
    assert 0.3 <= row["took"] < 0.5


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("await gather()", []),
        ("await gather(work('a', 0))", ["a"]),
        ("await gather(*[work(n, 0) for n in range(3)])", [0, 1, 2]),
        ("await gather(gather(work('a', 0), work('b', 0)), work('c', 0))", [["a", "b"], "c"]),
        ("await gather(sleep(0), sleep(0.01))", [None, None]),
        ("[repr(item) for item in await gather(work(1, 0), work(2, 0, KeyError('k')), return_exceptions=True)]",
         ["1", "KeyError('k')"]),
    ],
)  # fmt: skip
def test_it_takes_any_number_of_any_awaitables(executor: Executor, call: str, value: object) -> None:
    result = run(executor, f"return [{{'v': {call}}}]")
    assert (result.rows, result.logs) == ([{"v": value}], [])


def test_one_awaitable_given_twice_runs_once(executor: Executor) -> None:
    statement = "one = work('a', 0)\nreturn [{'v': await gather(one, one), 'order': order}]"
    assert run(executor, statement).rows == [{"v": ["a", "a"], "order": ["a", "end of a"]}]


@pytest.mark.timing
def test_the_first_exception_wins_and_the_others_have_ended_when_it_is_raised(executor: Executor) -> None:
    statement = """
try:
    await gather(work("long", 30), work("late", 0.2, ValueError("late")), work("early", 0.05, KeyError("early")))
except Exception as error:
    return [{"error": repr(error), "order": order}]
"""
    result = run(executor, statement)
    assert result.rows == [{"error": "KeyError('early')", "order": ["end of early", "end of long", "end of late"]}]
    assert result.logs == []
    assert result.usage.wall_seconds < 5


def test_the_traceback_leads_through_the_statement(executor: Executor) -> None:
    result = executor.run("async def fail():\n    raise ValueError('v')\nawait gather(sleep(9), fail())\nreturn []")
    assert isinstance(result.error, StatementRaised)
    assert result.error.traceback == (
        "Traceback (most recent call last):\n"
        '  File "<statement>", line 3, in <statement>\n'
        "    await gather(sleep(9), fail())\n"
        '  File "<statement>", line 2, in fail\n'
        "    raise ValueError('v')\n"
        "ValueError: v\n"
    )
    assert result.logs == []


def test_cancelling_it_cancels_all(executor: Executor) -> None:
    statement = """
import warnings
asyncio = warnings.sys.modules["asyncio"]
try:
    async with asyncio.timeout(0.05):
        await gather(work("a", 30), gather(work("b", 30)))
except TimeoutError:
    return [{"order": order}]
"""
    assert run(executor, statement).rows == [{"order": ["end of a", "end of b"]}]


def test_siblings_may_clean_up_as_long_as_they_need(executor: Executor) -> None:
    statement = """
async def tidy():
    try:
        await sleep(30)
    finally:
        await sleep(0.05)
        order.append("tidied")
try:
    await gather(tidy(), work("x", 0, ValueError()))
except ValueError:
    return [{"order": order}]
"""
    assert run(executor, statement).rows == [{"order": ["end of x", "tidied"]}]


def test_waiting_in_it_for_what_never_happens_is_told(executor: Executor) -> None:
    statement = """
import warnings
await gather(warnings.sys.modules["asyncio"].Event().wait(), sleep(0))
return []
"""
    kind, message = raised(executor, statement)
    assert kind == "RuntimeError"
    assert message.startswith("the statement waits for something that can never happen")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("gather([sleep(0)])", "gather() takes awaitables one by one, not a list: write `gather(*calls)`"),
        ("gather(sleep(0) for _ in 'ab')",
         "gather() takes awaitables one by one, not a generator: write `gather(*calls)`"),
        ("gather(map(sleep, [0]))", "gather() takes awaitables one by one, not a map: write `gather(*calls)`"),
        ("gather(sleep(0), sleep)", "gather() argument 2 is the function sleep: call it, `gather(sleep())`"),
        ("gather(await sleep(0))",
         "gather() argument 1 is NoneType, not an awaitable: leave out the `await` in front of it"),
        ("gather(sleep(0), 5)", "gather() argument 2 is int, not an awaitable: leave out the `await` in front of it"),
    ],
)  # fmt: skip
def test_what_cannot_be_awaited_is_refused_and_nothing_starts(executor: Executor, call: str, message: str) -> None:
    assert raised(executor, f"await {call}\nreturn []") == ("TypeError", message)


def test_not_awaiting_it_is_told_in_the_log(executor: Executor) -> None:
    result = run(executor, "gather(work('a', 0))\nreturn []")
    assert sorted(record.message for record in result.logs) == [
        "coroutine 'gather' was never awaited",
        "coroutine 'work' was never awaited",
    ]


def test_a_statement_may_define_its_own(executor: Executor) -> None:
    statement = "def gather(*values):\n    return list(values)\nreturn [{'v': gather(1, 2)}]"
    assert executor.run(statement).rows == [{"v": [1, 2]}]
    assert executor.check(statement) == []


def test_requests_of_one_client_are_under_way_at_once(executor: Executor, server: WebServer) -> None:
    """/meet answers only when all of them are there."""
    statement = """
async with httpx.AsyncClient() as client:
    answers = await gather(*[client.get(LocalVariable.Server + "/meet?count=8") for _ in range(8)])
return [{"texts": [answer.text for answer in answers]}]
"""
    assert http_rows(executor, statement, server) == [{"texts": ["met"] * 8}]
    assert server.most_in_flight == 8


def test_more_requests_than_may_be_under_way_wait_for_their_turn(executor: Executor, server: WebServer) -> None:
    statement = """
async with httpx.AsyncClient() as client:
    answers = await gather(*[client.get(f"{LocalVariable.Server}/echo?n={n}") for n in range(40)])
return [{"path": answer.json()["path"]} for answer in answers]
"""
    assert http_rows(executor, statement, server) == [{"path": f"/echo?n={n}"} for n in range(40)]
    assert server.most_in_flight <= 16


def test_a_failed_request_gives_up_its_siblings(executor: Executor, server: WebServer) -> None:
    statement = """
async def get(path):
    response = await client.get(LocalVariable.Server + path)
    response.raise_for_status()
async with httpx.AsyncClient() as client:
    try:
        await gather(get("/slow?seconds=8"), get("/status?code=404"))
    except httpx.HTTPStatusError as error:
        return [{"code": error.response.status_code}]
"""
    assert http_rows(executor, statement, server) == [{"code": 404}]


def test_it_is_the_same_every_time_where_time_and_chance_are_decided(executor: Executor) -> None:
    statement = """
import random
async def one(name):
    await sleep(random.random())
    order.append(name)
    return round(time.monotonic(), 6)
return [{"times": await gather(*map(one, "abcdef")), "order": order}]
"""
    first, second = (run(executor, statement, determinism=Deterministic(seed=5)).rows for _ in range(2))
    assert first == second
    assert sorted(first[0]["order"]) == list("abcdef") != first[0]["order"]
    other = run(executor, statement, determinism=Deterministic(seed=6)).rows
    assert other != first


def test_a_recorded_gather_is_replayed_to_the_same_rows(executor: Executor) -> None:
    statement = "return [{'v': await gather(work('a', 0.02), work('b', 0.01)), 'order': order}]"
    recorder = MemoryRecorder()
    recorded = run(executor, statement, recorder=recorder)
    again = run(executor, statement, replay=recorder.recording())
    assert again.rows == recorded.rows == [{"v": ["a", "b"], "order": ["b", "end of b", "a", "end of a"]}]
    assert again.replay is not None
    assert again.replay.is_identical


# Processor time: what a guest without such a clock says.


def test_processor_time_counts_work_and_not_waiting(executor: Executor, server: WebServer) -> None:
    statement = """
import time
found = {}
async def measure(name, clock):
    start = clock()
    await sleep(0.15)
    time.sleep(0.15)
    httpx.get(LocalVariable.Server + "/slow?seconds=0.3")
    found[name + " waited"] = (clock() - start) < 0.15
    start, until = clock(), time.monotonic() + 0.1
    while time.monotonic() < until:
        pass
    found[name + " worked"] = 0.09 < clock() - start < 5
for name in ("thread_time", "process_time"):
    await measure(name, getattr(time, name))
    ns = getattr(time, name + "_ns")
    await measure(name + "_ns", lambda: ns() / 1e9)
    found[name] = [type(getattr(time, name)()).__name__, type(ns()).__name__, ns() <= ns()]
return [found]
"""
    (row,) = http_rows(executor, statement, server)
    names = ("thread_time", "thread_time_ns", "process_time", "process_time_ns")
    assert row == {
        **{f"{name} {what}": True for name in names for what in ("waited", "worked")},
        "thread_time": ["float", "int", True],
        "process_time": ["float", "int", True],
    }


def test_every_clock_has_its_description(executor: Executor) -> None:
    statement = """
import time
names = ["time", "monotonic", "perf_counter", "process_time", "thread_time"]
try:
    time.get_clock_info("sundial")
except ValueError as error:
    unknown = str(error)
infos = {name: time.get_clock_info(name) for name in names}
return [{"monotonic": [info.monotonic for info in infos.values()],
         "adjustable": [info.adjustable for info in infos.values()],
         "resolution": all(0 < infos[name].resolution < 0.1 for name in names), "unknown": unknown,
         "names": [time.thread_time.__name__, time.sleep.__name__, time.thread_time.__module__]}]
"""
    assert executor.run(statement).rows == [{
        "monotonic": [False, True, True, True, True], "adjustable": [True, False, False, False, False],
        "resolution": True, "unknown": "unknown clock", "names": ["thread_time", "sleep", "time"],
    }]  # fmt: skip


def test_sleep_refuses_what_it_always_refused(executor: Executor) -> None:
    assert raised(executor, "import time\ntime.sleep(-1)") == ("ValueError", "sleep length must be non-negative")
    assert raised(executor, "import time\ntime.sleep('1')")[0] == "TypeError"
    assert raised(executor, "import time\ntime.sleep()")[0] == "TypeError"


def test_processor_time_is_decided_too(executor: Executor) -> None:
    statement = """
import time
start = time.thread_time_ns()
await sleep(5)
time.sleep(5)
return [{"ns": time.thread_time_ns() - start, "s": time.process_time()}]
"""
    first, second = (executor.run(statement, determinism=Deterministic(seed=1)) for _ in range(2))
    assert first.status is Status.FINISHED
    assert first.rows == second.rows
    assert 0 < first.rows[0]["ns"] < 1_000_000_000
