"""A worker process that a guest took over says whatever it likes: it is ended, and executions of others go on.

Real processes that speak the frames and lie (`lying_worker.py`); without a lie they are the control.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import suppress
from typing import Any

import psutil
import pytest
from tests.lying_worker import LIE, WRITTEN
from tests.worker_pool import Pool, liar, make_order, wait_until

from wasmexec import ExecutionCancelled, GuestLostError, Limits, Result, Status, TimeLimitError, WasmexecError
from wasmexec.errors import InputError
from wasmexec.workers.messages import BadMessage
from wasmexec.workers.results import ResultCodec

SAID = {
    "text": "a frame of kind 84",
    "an unknown kind": "a frame of kind 77",
    "a kind of the parent's": "a frame of kind 2",
    "ready twice": "twice that it is ready",
    "fields that are too long": "a frame of 4,294,967,295 and 2 bytes",
    "rows that are too long": "a frame of 2 and 4,294,967,295 bytes",
    "ready with a text": "a frame of 10 and 0 bytes",
    "a result that nobody asked for": "a result of execution 4711, which is not under way",
    "a result of the first once more": "a result of execution 0, which is not under way",
    "a result before its time": f"a result of execution {2**63}, which is not under way",
    "no JSON": "no JSON: ",
    "no list": "a result without its fields",
    "no fields": "no JSON: ",
    "a deep list": "no JSON: nested deeper than 600 levels",
    "an unknown status": "a status that there is not",
    "a status that is no number": "a status that there is not",
    "success with an error": "a result of status 200 and its opposite",
    "failure without an error": "a result of status 304 and its opposite",
    "rows of a failure": "rows with status 304",
    "rows where there are none": "rows with status 201",
    "rows that are no JSON": "rows that are not JSON: ",
    "rows that are no list": "rows that are not a list of objects",
    "rows that are no objects": "rows that are not a list of objects",
    "rows that are too deep": "rows that are not JSON: nested deeper than 600 levels",
    "an error of no class": "an error of a class that there is not",
    "an error of another module": "an error of a class that there is not",
    "an error with the name of a function": "an error of a class that there is not",
    "an error with other fields": "an error with other fields than WasmexecError has",
    "an error without its fields": "an error with other fields than GuestLostError has",
    "an error with a field of another type": "a text that is none, or too long",
    "too many records": "a list that is none, or too long",
}


def test_a_worker_that_does_not_lie_is_believed() -> None:
    with Pool(make_order(), processes=2, command=liar("none")) as pool:
        assert pool.run(*range(50)) == [200] * 50
        assert [pool.results(50)[index].rows for index in range(50)] == [[{"id": index}] for index in range(50)]
        figures = pool.statistics
    assert (figures.done, figures.lost, figures.restarts, figures.recycled) == (50, 0, 0, 0)


@pytest.mark.parametrize("what", [name for name in [*WRITTEN, "too many records"] if name != "a result twice"])
def test_a_lie_costs_its_worker_and_the_next_execution_runs(what: str) -> None:
    with Pool(make_order(), limit=1, command=liar(what)) as pool:
        assert pool.run(*range(LIE)) == [200] * LIE
        [first] = pool.statistics.pids
        assert pool.run(LIE) == [304]
        error = pool.results(LIE + 1)[LIE].error
        assert isinstance(error, GuestLostError)
        assert error.trap == "worker"
        assert error.message.startswith(f"the worker process that ran it was ended: it sent {SAID[what]}")
        assert pool.run(100, 101) == [200, 200]
        figures = pool.statistics
        assert (figures.lost, figures.restarts) == (1, 1)
        assert figures.pids != (first,)
        wait_until(lambda: not psutil.pid_exists(first))


@pytest.mark.parametrize(
    ("schema", "lie", "rule"),
    [
        ([{"name": "id", "type": "integer"}], "a text for a number", "type"),
        ([{"name": "id", "type": "integer"}], "another key", "extra"),
        ({"properties": {"id": {"type": "integer"}}, "required": ["id"]}, "a text for a number", "type"),
        ({"type": "array", "items": {"type": "object"}, "maxItems": 1}, "one row more", "maxItems"),
    ],
)
def test_rows_that_their_schema_refuses_never_reach_the_caller(schema: Any, lie: str, rule: str) -> None:
    with Pool(make_order(schema=schema), limit=1, command=liar(lie)) as pool:
        assert pool.run(0, 1) == [200, 200]
        assert pool.results(2)[1].rows == [{"id": 1}]
        assert pool.run(LIE) == [304]
        error = pool.results(3)[LIE].error
        assert isinstance(error, GuestLostError)
        said = f"it sent rows that their schema refuses ({rule})"
        assert error.message == f"the worker process that ran it was ended: {said}"
        assert pool.run(100) == [200]
        assert (pool.statistics.lost, pool.statistics.restarts) == (1, 1)


def test_rows_that_take_long_to_check_are_a_lie() -> None:
    # An honest worker has checked them in the time that the execution had.
    order = make_order(schema={"properties": {"v": {"type": "integer"}}}, cpu_seconds=0.001)
    codec = ResultCodec(order.limits, order.output.prepared)
    fields, rows = codec.pack(Result(status=Status.FINISHED, rows=[{"v": 1}] * 100_000))
    with pytest.raises(BadMessage, match=r"^rows that take longer to check than the worker had time for$"):
        codec.unpack(fields, rows)
    patient = ResultCodec(Limits(), order.output.prepared)
    assert len(patient.unpack(fields, rows).block) == 100_000


def test_the_second_of_two_results_is_a_lie_and_the_first_counts() -> None:
    with Pool(make_order(), limit=1, command=liar("a result twice")) as pool:
        assert pool.run(LIE) == [200]
        wait_until(lambda: pool.statistics.restarts == 1)
        assert pool.run(100) == [200]
        assert pool.statistics.lost == 0


@pytest.mark.parametrize(
    ("what", "how"),
    [
        ("half a head", "died (exit code 0)"),
        ("half a frame", "died (exit code 0)"),
        ("exits", "died (exit code 3)"),
        ("kills itself", "died (signal 9)"),
        ("closes its output", "died (closed its output)"),
    ],
)
def test_a_worker_that_dies_is_replaced(what: str, how: str) -> None:
    with Pool(make_order(), limit=1, command=liar(what)) as pool:
        assert pool.run(0, LIE) == [200, 304]
        error = pool.results(2)[LIE].error
        assert isinstance(error, GuestLostError)
        assert (error.trap, error.message) == ("worker", f"the worker process that ran it {how}")
        assert pool.run(100) == [200]


@pytest.mark.parametrize("what", ["silence", "half a frame and silence"])
def test_an_execution_that_is_overdue_ends_with_its_worker(what: str) -> None:
    begun = time.monotonic()
    with Pool(make_order(wall_seconds=0.5), limit=1, command=liar(what), grace_seconds=0.5) as pool:
        assert pool.run(0, LIE) == [200, 302]
        error = pool.results(2)[LIE].error
        assert isinstance(error, TimeLimitError)
        assert error.message == "out of time (0.5 s), and its worker process did not end it"
        assert error.limit == 0.5
        assert error.used >= 1.0
        assert time.monotonic() - begun >= 1.0
        assert pool.run(100) == [200]
        assert (pool.statistics.lost, pool.statistics.restarts) == (1, 1)


def test_one_that_answers_all_others_is_found_out_too() -> None:
    with Pool(make_order(wall_seconds=0.5), limit=8, command=liar("silence"), grace_seconds=0.5) as pool:
        statuses = dict(zip(range(200), pool.run(*range(200)), strict=True))
        assert statuses.pop(LIE) == 302
        assert set(statuses.values()) <= {200, 304}
        assert list(statuses.values()).count(200) >= 100
        assert pool.run(300) == [200]


def test_what_no_process_was_given_is_not_lost_with_one() -> None:
    order = make_order(wall_seconds=0.5)
    with Pool(order, limit=1, command=liar("silence"), grace_seconds=0.5) as pool:
        pool.start(LIE, *range(100, 150))
        wait_until(lambda: pool.statistics.waiting)
        results = pool.results(51)
        lost = [index for index, result in results.items() if result.status != 200]
        # The process has had some beyond the one that runs, which may have started for all that anybody knows.
        assert len(lost) == pool.statistics.lost <= 5
        assert [results[index].status for index in lost if index != LIE] == [304] * (len(lost) - 1)


def test_workers_that_die_again_and_again_end_it() -> None:
    accepted: list[int] = []

    def start_many(pool: Pool) -> None:
        for index in range(1000):
            pool.start(index)
            accepted.append(index)
            time.sleep(0.05)

    text = r"^the worker processes have died 4 times in a minute, the last: it died \(exit code 3\)$"
    with Pool(make_order(), processes=2, limit=2, command=liar("always: exits"), restarts=3) as pool:
        with pytest.raises(WasmexecError, match=text):
            start_many(pool)
        results = pool.results(len(accepted))
        assert set(results) == set(accepted)
        assert {result.status for result in results.values()} == {304}


def test_kills_at_any_moment_leave_every_execution_with_one_outcome() -> None:
    """Two threads start executions while a third kills one of the processes after the other."""
    generator, is_over = random.Random(7), threading.Event()
    with Pool(make_order(), processes=2, limit=8, command=liar("none"), restarts=10**6) as pool:

        def kill() -> None:
            while not is_over.wait(generator.random() * 0.2):
                if pids := pool.statistics.pids:
                    with suppress(ProcessLookupError):
                        os.kill(generator.choice(pids), signal.SIGKILL)

        def start(numbers: range) -> None:
            for number in numbers:
                pool.start(number)
                time.sleep(0.001)

        threads = [threading.Thread(target=start, args=(range(first, 4000, 2),)) for first in range(2)]
        killer = threading.Thread(target=kill)
        for thread in (*threads, killer):
            thread.start()
        for thread in threads:
            thread.join()
        is_over.set()
        killer.join()
        results = pool.results(4000)
        assert set(results) == set(range(4000))
        statuses = [result.status for result in results.values()]
        assert set(statuses) == {200, 304}
        figures = pool.statistics
        assert statuses.count(Status.RUNTIME_FAILED) == figures.lost
        assert figures.done == 4000 - figures.lost
        assert figures.restarts > 5


@pytest.mark.parametrize("what", ["first: exits", "first: text", "first: fields that are too long"])
def test_a_worker_that_fails_before_it_is_ready_is_not_tried_again(what: str) -> None:
    with Pool(make_order(), processes=2, command=liar(what), is_ready=False) as pool:
        wait_until(lambda: pool.processes.has_failed)
        assert not pool.processes.is_ready
        with pytest.raises(WasmexecError, match=r"^a worker process could not be started: it "):
            pool.start(0)


def test_a_program_that_is_not_there_is_a_failed_start() -> None:
    with Pool(make_order(), command=["/nonexistent/program"], is_ready=False) as pool:
        assert pool.processes.has_failed
        with pytest.raises(WasmexecError, match=r"^a worker process could not be started: .*No such file"):
            pool.start(0)


def test_a_worker_that_never_becomes_ready_is_ended() -> None:
    script = "import time; time.sleep(600)"
    command = [*liar("none")[:1], "-c", script]
    with Pool(make_order(), command=command, is_ready=False, start_seconds=0.5) as pool:
        pids = pool.statistics.pids
        wait_until(lambda: pool.processes.has_failed)
        wait_until(lambda: not any(map(psutil.pid_exists, pids)))


def test_a_worker_that_does_not_cancel_is_ended() -> None:
    with Pool(make_order(), command=liar("silence"), cancel_seconds=0.3) as pool:
        pool.start(LIE)
        wait_until(lambda: pool.statistics.under_way == 1)
        pool.processes.cancel()
        error = pool.results(1)[LIE].error
        assert isinstance(error, ExecutionCancelled)
        assert pool.run(100) == [303]


@pytest.mark.timing
def test_closing_ends_a_worker_that_stays_and_takes_a_bounded_time() -> None:
    pool = Pool(make_order(), processes=2, command=liar("stays"))
    assert pool.run(0, 1) == [200, 200]
    pids = pool.statistics.pids
    begun = time.monotonic()
    pool.processes.close()
    assert time.monotonic() - begun < 15
    assert not any(map(psutil.pid_exists, pids))
    pool.processes.close()
    with pytest.raises(WasmexecError, match=r"^the worker processes were closed$"):
        pool.start(2)


def test_what_is_under_way_when_it_is_closed_was_cancelled() -> None:
    pool = Pool(make_order(), limit=1, command=liar("silence"))
    pool.start(LIE, *range(20, 40))
    pool.processes.close()
    results = pool.results(21)
    assert results[LIE].status == 303
    assert {result.status for result in results.values()} <= {200, 303}


def test_an_input_that_is_too_long_never_leaves_the_parent() -> None:
    with Pool(make_order(input_bytes=11), command=liar("none")) as pool:
        assert pool.run(1, 100, 10) == [200, 307, 200]
        error = pool.results(3)[100].error
        assert isinstance(error, InputError)
        assert error.message == "the input has 12 bytes of JSON; at most 11 are allowed (limit input_bytes)"
