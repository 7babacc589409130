"""Contract C3 and C4: awaiting, tasks and what becomes of coroutines that nobody awaits."""

import pytest

from wasmexec import Executor, Limits, StatementRaised, Status

ASYNCIO = "import warnings\nasyncio = warnings.sys.modules['asyncio']\n"


def logged(executor: Executor, statement: str) -> list[tuple[str, str]]:
    result = executor.run(statement)
    result.raise_for_status()
    return [(record.level, record.message) for record in result.logs]


def raised(executor: Executor, statement: str) -> tuple[str, str]:
    result = executor.run(statement)
    assert isinstance(result.error, StatementRaised)
    return result.error.type_name, result.error.exception_message


def test_a_coroutine_never_awaited_is_named_in_the_log(executor: Executor) -> None:
    statement = """
async def fetch(number):
    return number
fetch(1)
kept = fetch(2)
class Client:
    async def get(self):
        pass
unused = [Client().get(), sleep(1)]
return []
"""
    assert sorted(logged(executor, statement)) == [
        ("warn", "coroutine 'Client.get' was never awaited"),
        ("warn", "coroutine 'fetch' was never awaited"),
        ("warn", "coroutine 'fetch' was never awaited"),
        ("warn", "coroutine 'sleep' was never awaited"),
    ]


def test_a_coroutine_in_a_cycle_or_a_global_is_named_too(executor: Executor) -> None:
    statement = """
async def fetch():
    pass
cycle = [fetch()]
cycle.append(cycle)
global kept
kept = fetch()
return []
"""
    assert logged(executor, statement) == [("warn", "coroutine 'fetch' was never awaited")] * 2


def test_a_coroutine_never_awaited_is_named_when_the_statement_fails(executor: Executor) -> None:
    result = executor.run("async def fetch():\n    pass\nwaiting = fetch()\n1 / 0")
    assert result.status is Status.STATEMENT_RAISED
    assert [record.message for record in result.logs] == ["coroutine 'fetch' was never awaited"]


def test_a_coroutine_never_awaited_inside_the_rows_is_refused_with_the_fix(executor: Executor) -> None:
    result = executor.run("async def fetch():\n    return 1\nreturn [{'a': fetch()}]")
    assert result.status is Status.OUTPUT_REFUSED
    assert result.error is not None
    assert result.error.message == (
        'coroutine has no JSON form: await it first: write `return [{**row, "a": await row["a"]} '
        "for row in [{'a': fetch()}]]`"
    )


@pytest.mark.timing
def test_sleeping_tasks_overlap(executor: Executor) -> None:
    statement = f"""{ASYNCIO}
import time
order = []
async def work(name, seconds):
    await sleep(seconds)
    order.append(name)
    return name
start = time.monotonic()
results = await asyncio.gather(work("slow", 0.2), work("fast", 0.05), work("middle", 0.1))
took = time.monotonic() - start
return [{{"results": results, "order": order, "took": took}}]
"""
    row = executor.run(statement).rows[0]
    assert row["results"] == ["slow", "fast", "middle"]
    assert row["order"] == ["fast", "middle", "slow"]
    assert 0.2 <= row["took"] < 0.34


def test_task_groups_time_outs_queues_and_events_work(executor: Executor) -> None:
    statement = f"""{ASYNCIO}
found = {{}}
async def value(number):
    await sleep(0.001)
    return number
async with asyncio.TaskGroup() as group:
    tasks = [group.create_task(value(n)) for n in range(3)]
found["group"] = [task.result() for task in tasks]
try:
    async with asyncio.timeout(0.01):
        await sleep(10)
except TimeoutError:
    found["timeout"] = True
try:
    await asyncio.wait_for(sleep(10), 0.01)
except asyncio.TimeoutError:
    found["wait_for"] = True
queue, event = asyncio.Queue(), asyncio.Event()
async def producer():
    for n in range(3):
        await queue.put(n)
        await sleep(0)
    event.set()
task = asyncio.create_task(producer())
found["queue"] = [await queue.get() for _ in range(3)]
await event.wait()
await task
task = asyncio.create_task(sleep(10))
await sleep(0)
task.cancel()
try:
    await task
except asyncio.CancelledError:
    found["cancelled"] = task.cancelled()
done, pending = await asyncio.wait([asyncio.create_task(value(1)), asyncio.create_task(sleep(5))],
                                   return_when=asyncio.FIRST_COMPLETED)
found["wait"] = [len(done), len(pending)]
for task in pending:
    task.cancel()
await sleep(0)
async with asyncio.Lock():
    found["lock"] = True
return [found]
"""
    result = executor.run(statement)
    result.raise_for_status()
    assert result.rows == [{
        "group": [0, 1, 2], "timeout": True, "wait_for": True, "queue": [0, 1, 2], "cancelled": True, "wait": [1, 1],
        "lock": True,
    }]  # fmt: skip
    assert result.logs == []


def test_a_failing_task_group_is_an_exception_group(executor: Executor) -> None:
    statement = f"""{ASYNCIO}
async def fail():
    raise ValueError("inside")
async with asyncio.TaskGroup() as group:
    group.create_task(fail())
"""
    result = executor.run(statement)
    assert isinstance(result.error, StatementRaised)
    assert result.error.type_name == "ExceptionGroup"
    assert "    | ValueError: inside\n" in result.error.traceback


def test_tasks_that_are_not_awaited_are_not_waited_for(executor: Executor) -> None:
    statement = f"""{ASYNCIO}
async def later():
    await sleep(30)
    log.info("never")
task = asyncio.create_task(later())
await sleep(0)
return []
"""
    assert logged(executor, statement) == [("warn", "coroutine 'later' was still running when the statement ended")]


def test_a_task_that_failed_and_nobody_awaited_is_told_in_the_log(executor: Executor) -> None:
    statement = f"""{ASYNCIO}
async def fail():
    raise ValueError("unseen")
task = asyncio.create_task(fail())
await sleep(0)
return []
"""
    assert logged(executor, statement) == [
        ("warn", "Task exception was never retrieved: task of 'fail': ValueError: unseen (line 5)")
    ]


def test_waiting_for_what_can_never_happen_fails_at_once_at_its_line(executor: Executor) -> None:
    statement = f"""{ASYNCIO}
try:
    await asyncio.Event().wait()
finally:
    log.info("cleaned up")
"""
    result = executor.run(statement)
    assert isinstance(result.error, StatementRaised)
    assert (result.error.type_name, result.error.line) == ("RuntimeError", 5)
    assert result.error.exception_message == (
        "the statement waits for something that can never happen: no timer and no host call is under way"
    )
    assert [record.message for record in result.logs] == ["cleaned up"]


def test_ignoring_that_nothing_can_happen_does_not_loop_for_ever(executor: Executor) -> None:
    statement = f"""{ASYNCIO}
while True:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        pass
"""
    kind, message = raised(executor, statement)
    assert kind == "RuntimeError"
    assert message.startswith("the statement waits for something that can never happen")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("asyncio.run(asyncio.sleep(0))", "asyncio.run() cannot be called from a running event loop"),
        ("asyncio.get_running_loop().run_until_complete(asyncio.sleep(0))", "This event loop is already running"),
        ("asyncio.get_running_loop().run_forever()", "a loop cannot be run by hand in the guest: await instead"),
        ("await asyncio.to_thread(abs, 1)",
         "the guest has no threads: call the function directly, or await an async one"),
        ("await asyncio.get_running_loop().run_in_executor(None, abs, 1)",
         "the guest has no threads: call the function directly, or await an async one"),
        ("warnings.sys.modules['threading'].Thread(target=abs).start()",
         "can't start new thread: the guest has no threads: call the function directly, or await an async one"),
    ],
)  # fmt: skip
def test_what_cannot_work_here_says_why(executor: Executor, call: str, message: str) -> None:
    assert raised(executor, ASYNCIO + call) == ("RuntimeError", message)


@pytest.mark.parametrize(
    "call",
    [
        "await asyncio.get_running_loop().getaddrinfo('localhost', 80)",
        "await asyncio.open_connection('localhost', 80)",
        "await asyncio.get_running_loop().create_connection(asyncio.Protocol, 'localhost', 80)",
    ],
)
def test_there_are_no_sockets(executor: Executor, call: str) -> None:
    assert raised(executor, ASYNCIO + call) == (
        "OSError", "the guest has no sockets: use httpx, whose requests the host carries out",
    )  # fmt: skip


def test_exit_inside_a_task_ends_the_statement(executor: Executor) -> None:
    statement = f"""{ASYNCIO}
async def leave():
    raise SystemExit(4)
task = asyncio.create_task(leave())
await sleep(10)
return []
"""
    assert raised(executor, statement) == ("SystemExit", "4")


def test_an_async_generator_left_half_way_is_no_trouble(executor: Executor) -> None:
    statement = """
async def numbers():
    try:
        for n in range(10):
            yield n
            await sleep(0)
    finally:
        log.info("closed")
async for n in numbers():
    if n == 2:
        break
await sleep(0)
await sleep(0)
return [{"n": n}]
"""
    result = executor.run(statement)
    assert result.rows == [{"n": 2}]
    assert [record.message for record in result.logs] == ["closed"]


@pytest.mark.timing
def test_time_sleep_blocks_and_the_limit_still_holds(executor: Executor) -> None:
    statement = "import time\nstart = time.monotonic()\ntime.sleep(0.05)\nreturn [{'t': time.monotonic() - start}]"
    assert 0.05 <= executor.run(statement).rows[0]["t"] < 1
    result = executor.run("import time\ntime.sleep(60)\nreturn []", limits=Limits(wall_seconds=0.2))
    assert result.status is Status.TIMED_OUT
    assert result.error is not None
    assert result.error.fields()["line"] == 2


def test_ten_thousand_sleeps_are_ten_thousand_tasks(executor: Executor) -> None:
    statement = f"""{ASYNCIO}
await asyncio.gather(*(sleep(0.001 * (n % 7)) for n in range(10_000)))
return [{{"done": True}}]
"""
    assert executor.run(statement).rows == [{"done": True}]
