"""Worker processes on the real image: recycling, hanging, interrupts, and ends of every kind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest
from tests.reading import ROOT
from tests.worker_pool import Pool, make_order, wait_until

from wasmexec import Executor, GuestLostError, Limits, StatementRaised, Status, TimeLimitError
from wasmexec.workers.order import Order


@pytest.fixture(scope="module")
def image(executor: Executor) -> Path:
    return executor.image.manifest


def test_executions_give_what_they_give_in_this_process(image: Path) -> None:
    statement = """
    if INPUT_DATA is None:
        return []
    number = INPUT_DATA[0]["id"]
    log.warn(number)
    if number == 3:
        raise KeyError(number)
    return [{"id": number, "big": 2**70, "text": "é\\u2028"}]
    """
    with Pool(make_order(textwrap.dedent(statement), image), processes=2) as pool:
        assert pool.run(1, 2, 3, 4) == [200, 200, 300, 200]
        results = pool.results(4)
        assert results[4].rows == [{"id": 4, "big": 2**70, "text": "é\u2028"}]
        assert [record.message for record in results[4].logs] == ["4"]
        error = results[3].error
        assert isinstance(error, StatementRaised)
        assert (error.type_name, error.line) == ("KeyError", 7)
        pool.processes.start(5, None)
        assert pool.results(5)[5].status == 201
        figures = pool.statistics
        assert (figures.under_way, figures.waiting, figures.done, figures.lost) == (0, 0, 5, 0)
        assert len(set(figures.pids)) == 2
        assert figures.memory_bytes > 2 * 10 * 1024**2


def test_inputs_and_rows_that_are_longer_than_a_pipe_pass_whole(image: Path) -> None:
    text = "x" * 3_000_000
    with Pool(make_order("return INPUT_DATA", image), limit=2) as pool:
        for index in range(6):
            pool.processes.start(index, json.dumps([{"id": index, "text": text}]).encode())
        results = pool.results(6)
        assert [results[index].rows for index in range(6)] == [[{"id": index, "text": text}] for index in range(6)]


def test_old_workers_are_replaced_and_no_execution_is_lost_or_repeated(image: Path) -> None:
    with Pool(make_order(image=image), processes=2, executions=40) as pool:
        before = pool.statistics.pids
        count = 0
        while pool.statistics.recycled < 3:
            assert pool.run(*range(count, count + 20)) == [200] * 20
            count += 20
        results = pool.results(count)
        assert [results[index].rows for index in range(count)] == [[{"id": index}] for index in range(count)]
        wait_until(lambda: len(pool.statistics.pids) == 2)
        figures = pool.statistics
        assert (figures.done, figures.lost, figures.restarts) == (count, 0, 0)
        assert not set(before) & set(figures.pids)
        wait_until(lambda: not any(map(psutil.pid_exists, before)))


def test_large_workers_are_replaced_and_small_ones_are_not(image: Path) -> None:
    with Pool(make_order(image=image), memory_bytes=1024**2, memory_seconds=1.0) as pool:
        before = pool.statistics.pids
        assert pool.run(1) == [200]
        wait_until(lambda: pool.statistics.recycled)
        assert pool.run(2) == [200]
        assert pool.statistics.pids != before
        assert (pool.statistics.lost, pool.statistics.restarts) == (0, 0)
    with Pool(make_order(image=image), memory_bytes=1024**3, memory_seconds=1.0) as pool:
        before = pool.statistics.pids
        time.sleep(4)
        assert (pool.statistics.recycled, pool.statistics.pids) == (0, before)


def test_a_worker_that_stands_still_is_ended_from_outside(image: Path) -> None:
    order = make_order("await sleep(0.3)\nreturn INPUT_DATA", image, wall_seconds=1.0)
    with Pool(order, grace_seconds=0.5) as pool:
        # The control: it goes on once it has slept.
        assert pool.run(0) == [200]
        [pid] = pool.statistics.pids
        pool.start(1, 2, 3)
        wait_until(lambda: pool.statistics.under_way == 3)
        os.kill(pid, signal.SIGSTOP)
        results = pool.results(4)
        oldest = results[1].error
        assert isinstance(oldest, TimeLimitError)
        assert (results[1].status, oldest.limit) == (302, 1.0)
        for index in (2, 3):
            error = results[index].error
            assert isinstance(error, GuestLostError)
            assert (results[index].status, error.trap) == (304, "worker")
            assert error.message == "the worker process that ran it was ended: it left an execution overdue"
        assert pool.run(4) == [200]
        wait_until(lambda: not psutil.pid_exists(pid))
        assert (pool.statistics.lost, pool.statistics.restarts) == (3, 1)


def test_one_that_stands_still_does_not_hold_up_another(image: Path) -> None:
    with Pool(make_order(image=image, wall_seconds=300), processes=2, limit=2) as pool:
        first, _ = pool.statistics.pids
        os.kill(first, signal.SIGSTOP)
        try:
            # More than a pipe holds, so that a parent that waits for the first would be seen to.
            data = json.dumps([{"id": 1, "text": "x" * 500_000}]).encode()
            for index in range(40):
                pool.processes.start(index, data)
            statuses = [result.status for result in pool.results(30).values()]
            assert set(statuses) == {200}
        finally:
            os.kill(first, signal.SIGCONT)
        assert {result.status for result in pool.results(40).values()} == {200}


def test_a_parent_that_stood_still_blames_no_worker(image: Path) -> None:
    told = threading.Event()

    def hold_up() -> None:
        """The thread that reads frames waits for whom it tells, for longer than an execution may take."""
        if not told.is_set():
            told.set()
            time.sleep(4)

    with Pool(make_order(image=image, wall_seconds=0.5), grace_seconds=0.5) as pool:
        pool.before_telling = hold_up
        assert pool.run(*range(8)) == [200] * 8
        assert told.is_set()
        assert pool.statistics.restarts == 0


def test_a_worker_that_is_killed_costs_what_it_had(image: Path) -> None:
    order = make_order("await sleep(0.2)\nreturn INPUT_DATA", image)
    with Pool(order, processes=2, limit=8) as pool:
        first, second = pool.statistics.pids
        pool.start(*range(60))
        os.kill(first, signal.SIGKILL)
        results = pool.results(60)
        statuses = [results[index].status for index in range(60)]
        figures = pool.statistics
        assert (statuses.count(Status.RUNTIME_FAILED), figures.restarts) == (figures.lost, 1)
        assert 0 < figures.lost <= 8
        assert second in figures.pids
        assert pool.run(*range(100, 120)) == [200] * 20


def test_cancelling_ends_what_runs_and_what_waits(image: Path) -> None:
    order = make_order("while True: pass", image)
    with Pool(order, processes=2, limit=2) as pool:
        pool.start(*range(40))
        wait_until(lambda: pool.statistics.under_way)
        pool.processes.cancel()
        results = pool.results(40)
        assert {result.status for result in results.values()} == {303}
        assert pool.statistics.restarts == 0


PARENT = """
import os, sys, threading, time
from pathlib import Path
from tests.worker_pool import Pool, make_order
from wasmexec.image import find_image

def main():
    order = make_order(sys.argv[1], find_image(None).manifest)
    with Pool(order, processes=2, is_ready=sys.argv[2] == "ready") as pool:
        if sys.argv[2] == "ready":
            pool.start(1, 2, 3, 4)
            time.sleep(0.3)
        if sys.argv[2] == "forked" and os.fork() == 0:
            time.sleep(15)
            os._exit(0)
        try:
            print(*pool.statistics.pids, flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            pass
main()
"""


def start_parent(statement: str, how: str) -> tuple[subprocess.Popen[str], list[int]]:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, statement, how], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=ROOT, start_new_session=True,
    )  # fmt: skip
    assert parent.stdout is not None
    return parent, [int(pid) for pid in parent.stdout.readline().split()]


@pytest.mark.parametrize(
    ("statement", "how"), [("while True: pass", "ready"), ("await sleep(60)", "ready"), ("return []", "forked")]
)
def test_workers_end_when_their_parent_does(statement: str, how: str) -> None:
    parent, pids = start_parent(statement, how)
    try:
        assert len(pids) == 2
        assert all(map(psutil.pid_exists, pids))
        parent.kill()
        parent.wait(10)
        wait_until(lambda: not any(map(psutil.pid_exists, pids)))
    finally:
        parent.kill()
        parent.communicate(timeout=30)


def test_an_interrupt_while_workers_start_is_for_the_parent_alone() -> None:
    parent, pids = start_parent("return []", "starting")
    try:
        os.killpg(parent.pid, signal.SIGINT)
        _, errors = parent.communicate(timeout=30)
        assert (parent.returncode, errors) == (0, "")
        assert not any(map(psutil.pid_exists, pids))
    finally:
        parent.kill()


STRANGER = """
import sys
from pathlib import Path
import wasmexec, orjson, json
from tests.worker_pool import Pool, make_order
from wasmexec.image import find_image

sys.path[:0] = sys.argv[1:]
with Pool(make_order(image=find_image(None).manifest)) as pool:
    assert pool.run(1) == [200]
print("done")
"""


@pytest.mark.parametrize("entries", [[""], ["."], ["{cwd}"], ["{cwd}/../here"], ["", "{cwd}", "."]])
def test_a_worker_imports_nothing_from_the_working_directory(tmp_path: Path, entries: list[str]) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for name in ("json", "orjson", "importlib", "wasmtime", "wasmexec", "os", "struct", "sitecustomize"):
        (here / f"{name}.py").write_text(
            f"open({str(here)!r} + '/imported', 'a').write({name + ' '!r})\nraise SystemExit\n"
        )
    entries = [entry.format(cwd=here) for entry in entries]
    # The control: what lies there is imported by a process that is not told otherwise.
    subprocess.run([sys.executable, "-c", "import json"], cwd=here, check=True)
    assert "json" in (here / "imported").read_text()
    (here / "imported").unlink()
    script = tmp_path / "script.py"
    script.write_text(f"import sys\nsys.path.insert(1, {str(ROOT)!r})\n{STRANGER}")
    ran = subprocess.run(
        [sys.executable, script, *entries], cwd=here, capture_output=True, text=True, timeout=120, check=False
    )
    assert (ran.stdout, ran.stderr, ran.returncode) == ("done\n", "", 0)
    assert not (here / "imported").exists()


def test_an_order_comes_out_of_its_frame_as_it_went_in(image: Path) -> None:
    order = make_order("return []", image, wall_seconds=3.5)
    made = Order.unpack(order.pack())
    assert made.limits == Limits(wall_seconds=3.5)
    assert (made.image, made.statement, made.output.definition) == (image, "return []", {"type": "object"})
