"""The engine: one per process, images shared and unloaded, an epoch that moves only while something runs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import wasmtime
from tests.fake_guest import FOREVER, FakeGuest, done

from wasmexec import CpuLimitError, Executor, ExecutorClosedError, Limits, Status
from wasmexec._guest.engine import Ticker, engine_config, shared_runtime


class CountingEngine(wasmtime.Engine):
    """Counts how often its epoch was advanced."""

    count = 0

    def increment_epoch(self) -> None:
        self.count += 1
        super().increment_epoch()


def test_the_epoch_advances_while_something_runs_and_rests_otherwise() -> None:
    engine = CountingEngine(engine_config())
    ticker = Ticker(engine)
    time.sleep(0.05)
    assert engine.count == 0
    for _ in range(2):
        before = engine.count
        ticker.enter()
        time.sleep(0.2)
        assert engine.count - before > 10
        ticker.leave()
        time.sleep(Ticker.IDLE_TICKS * 0.005 * 3 + 0.2)
        resting = engine.count
        time.sleep(0.1)
        assert engine.count == resting


def test_executors_of_one_image_share_the_compiled_module(tmp_path: Path) -> None:
    manifest = FakeGuest().build(tmp_path)
    runtime = shared_runtime()
    files = (tmp_path / "fake.cwasm", tmp_path / "fake.memory")
    with Executor(manifest) as first:
        with Executor(manifest) as second:
            assert runtime.guests[files][1] == 2
            assert second.run("").status == Status.FINISHED_NO_DATA
        assert runtime.guests[files][1] == 1
        assert first.run("").status == Status.FINISHED_NO_DATA
    assert files not in runtime.guests
    with Executor(manifest) as again:
        assert again.run("").status == Status.FINISHED_NO_DATA


def test_an_executor_that_is_forgotten_gives_everything_back(tmp_path: Path) -> None:
    executor = Executor(FakeGuest().build(tmp_path))
    executor.run("")
    del executor
    assert not any(code.parent == tmp_path for code, _ in shared_runtime().guests)


def test_a_closed_executor_says_so(tmp_path: Path) -> None:
    executor = Executor(FakeGuest().build(tmp_path))
    executor.close()
    executor.close()
    for use in (executor.run, executor.check):
        with pytest.raises(ExecutorClosedError, match=r"^the executor is closed$"):
            use("")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_after_a_fork_the_child_makes_its_own_executor(tmp_path: Path) -> None:
    program = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import wasmexec
executor = wasmexec.Executor({str(FakeGuest(outbox=done(b'[{"a":1}]')).build(tmp_path))!r})
assert executor.run("").rows == [{{"a": 1}}]
child = os.fork()
if child == 0:
    try:
        executor.run("")
    except wasmexec.ExecutorClosedError as error:
        print(error, flush=True)
    with wasmexec.Executor({str(tmp_path / "fake.json")!r}) as own:
        print(own.run("").rows, flush=True)
    executor.close()
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
print(executor.run("").rows)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (run.stdout.splitlines(), run.stderr, run.returncode) == (
        ["this executor was made before a fork; make one in the child process", "[{'a': 1}]", "[{'a': 1}]"], "", 0,
    )  # fmt: skip


def test_an_instance_that_the_system_has_no_room_for_is_a_failed_execution(tmp_path: Path) -> None:
    program = f"""
import resource, wasmexec
executor = wasmexec.Executor({str(FakeGuest().build(tmp_path))!r})
resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, resource.RLIM_INFINITY))
result = executor.run("")
print(int(result.status), result.error.trap, result.error)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(int(executor.run("").status))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert run.stderr == ""
    assert run.stdout.startswith("304 engine no instance could be created: ")
    assert run.stdout.endswith("\n201\n")


@pytest.mark.timing
def test_the_interpreter_ends_cleanly_while_statements_still_run(tmp_path: Path) -> None:
    program = f"""
import threading, time, wasmexec
executor = wasmexec.Executor({str(FakeGuest(step=FOREVER).build(tmp_path))!r})
threads = [threading.Thread(target=executor.run, args=("",), daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
time.sleep(0.3)
print("leaving")
"""
    begun = time.monotonic()
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (run.stdout, run.stderr, run.returncode) == ("leaving\n", "", 0)
    assert time.monotonic() - begun < 10


def test_guests_run_on_our_own_threads_with_a_stack_that_bears_the_deepest_recursion(tmp_path: Path) -> None:
    deep = "(func $deep (param i64) (call $deep (i64.add (local.get 0) (i64.const 1))))"
    with Executor(FakeGuest(step="(call $deep (i64.const 0))", extra=deep).build(tmp_path)) as executor:
        results = []
        threading.stack_size(256 * 1024)
        try:
            thread = threading.Thread(target=lambda: results.append(executor.run("")))
            thread.start()
            thread.join()
        finally:
            threading.stack_size(0)
        assert str(results[0].error) == "the guest ran out of stack"


def test_an_image_runs_in_many_executions_of_several_images_at_once(tmp_path: Path) -> None:
    endless = Executor(FakeGuest(step=FOREVER).build(tmp_path, "endless"))
    quick = Executor(FakeGuest(outbox=done(b'[{"a":1}]')).build(tmp_path, "quick"))
    with endless, quick:
        results = []
        limits = Limits(cpu_seconds=0.3)
        threads = [
            threading.Thread(target=lambda: results.append(endless.run("", limits=limits))) for _ in range(2)
        ]  # fmt: skip
        for thread in threads:
            thread.start()
        assert all(quick.run("").rows == [{"a": 1}] for _ in range(50))
        for thread in threads:
            thread.join()
        assert [type(result.error) for result in results] == [CpuLimitError, CpuLimitError]
