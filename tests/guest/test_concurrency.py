"""Many executions at once: separate, cancellable, and with few threads however many of them sleep."""

from __future__ import annotations

import asyncio
import random
import threading
import time

import psutil
import pytest

import wasmexec
from wasmexec import Limits, Status


def test_threads_share_one_executor_and_get_their_own_rows(executor: wasmexec.Executor) -> None:
    failures: list[object] = []

    def work(name: str) -> None:
        for number in range(15):
            want = [{"name": name, "n": number}]
            result = executor.run("log.info(INPUT_DATA[0]['name'])\nreturn INPUT_DATA", input_data=want)
            if result.rows != want or [record.message for record in result.logs] != [name]:
                failures.append((want, result))

    threads = [threading.Thread(target=work, args=(f"t{index}",)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_mixture_of_everything_at_once_keeps_every_result_apart(executor: wasmexec.Executor) -> None:
    kinds = {
        "rows": ("await sleep(LocalVariable.S)\nreturn [{'n': LocalVariable.N}]", Status.FINISHED),
        "raise": ("await sleep(LocalVariable.S)\nraise ValueError(LocalVariable.N)", Status.STATEMENT_RAISED),
        "loop": ("while True: pass", Status.TIMED_OUT),
        "syntax": ("return [", Status.CONFIG_REFUSED),
        "exit": ("import warnings\nwarnings.sys.modules['os']._exit(1)", Status.RUNTIME_FAILED),
        "memory": ("x = bytearray(10**10)", Status.STATEMENT_RAISED),
    }
    chooser = random.Random(7)
    chosen = [chooser.choice(sorted(kinds)) for _ in range(60)]

    async def one(number: int, kind: str) -> None:
        statement, status = kinds[kind]
        result = await executor.run_async(
            statement, local_variables={"N": number, "S": chooser.random() / 5}, limits=Limits(cpu_seconds=0.05)
        )
        assert result.status == status, (kind, result)
        if kind == "rows":
            assert result.rows == [{"n": number}]
        if kind == "raise":
            assert isinstance(result.error, wasmexec.StatementRaised)
            assert result.error.exception_message == str(number)

    async def main() -> None:
        await asyncio.gather(*(one(number, kind) for number, kind in enumerate(chosen)))

    asyncio.run(main())


def test_a_thousand_sleeping_statements_need_few_threads_and_little_memory() -> None:
    process = psutil.Process()
    limits = Limits(wall_seconds=300)

    async def main(executor: wasmexec.Executor) -> tuple[int, int, wasmexec.Result]:
        before = process.memory_full_info().uss
        tasks = [asyncio.create_task(executor.run_async("await sleep(300)", limits=limits)) for _ in range(1000)]
        while executor.statistics().waiting < 1000:
            await asyncio.sleep(0.1)
        threads, memory = process.num_threads(), process.memory_full_info().uss - before
        meanwhile = await executor.run_async("await sleep(0.01)\nreturn [{'awake': True}]")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)
        return threads, memory, meanwhile

    idle = process.num_threads()
    with wasmexec.Executor() as executor:
        threads, memory, meanwhile = asyncio.run(main(executor))
    assert meanwhile.rows == [{"awake": True}]
    assert threads - idle <= 11
    assert memory <= 3 * 2**30


def test_two_workers_compute_at_the_same_time_and_no_more() -> None:
    computing = "while time.time() < begin + 0.3:\n    pass"
    # One that blocks lets go of its worker.
    for meanwhile, at_once in ((computing, 2), ("time.sleep(0.3)", 6)):
        statement = f"import time\nbegin = time.time()\n{meanwhile}\nreturn [{{'from': begin, 'to': time.time()}}]"

        async def main(executor: wasmexec.Executor, statement: str = statement) -> list[wasmexec.Result]:
            return await asyncio.gather(*(executor.run_async(statement) for _ in range(6)))

        with wasmexec.Executor(workers=2) as executor:
            spans = [result.rows[0] for result in asyncio.run(main(executor))]
        overlapping = [
            sum(other["from"] < span["from"] + 0.1 < other["to"] for other in spans) for span in spans
        ]  # fmt: skip
        assert max(overlapping) == at_once


@pytest.mark.parametrize(
    "statement",
    ["while True: pass", "await sleep(3600)", "import time\ntime.sleep(3600)", "x = 7 ** 300_000_000"],
    ids=["loop", "sleep", "blocking sleep", "long operation"],
)
def test_cancelling_the_task_cancels_the_execution_in_the_middle(executor: wasmexec.Executor, statement: str) -> None:
    limits = Limits(wall_seconds=120, cpu_seconds=120)

    async def main() -> float:
        task = asyncio.create_task(executor.run_async(statement, limits=limits))
        await asyncio.sleep(0.3)
        assert not task.done()
        begun = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - begun

    assert asyncio.run(main()) < 1
    assert executor.statistics().executions == 0
    assert executor.run("return []").status == Status.FINISHED_NO_DATA


def test_closing_an_executor_gives_its_runs_status_303_with_their_place() -> None:
    executor = wasmexec.Executor()
    results: dict[str, wasmexec.Result] = {}
    statements = {
        "loop": "x = 1\nwhile True: pass",
        "sleep": "async def nap():\n    await sleep(60)\nawait nap()",
    }

    def work(name: str) -> None:
        results[name] = executor.run(f"log.info('hi')\n{statements[name]}")

    threads = [threading.Thread(target=work, args=(name,)) for name in statements]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    executor.close()
    for thread in threads:
        thread.join(5)
    assert {result.status for result in results.values()} == {Status.CANCELLED}
    assert str(results["loop"].error) == "cancelled at line 3"
    assert str(results["sleep"].error) == "cancelled at line 3, in nap()"
    assert {record.message for result in results.values() for record in result.logs} == {"hi"}
