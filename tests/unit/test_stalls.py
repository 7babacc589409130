"""A timing test that fails while the machine stands still runs again; a failure of the code stands."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest
from tests.reading import ROOT
from tests.stalls import ATTEMPTS, Watch

pytest_plugins = ["pytester"]


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    watch.close()


def test_a_processor_that_stands_still_is_noticed(watch: Watch) -> None:
    time.sleep(0.3)
    begun = time.monotonic()
    for process in watch.processes:
        os.kill(process.pid, signal.SIGSTOP)
    time.sleep(0.2)
    for process in watch.processes:
        os.kill(process.pid, signal.SIGCONT)
    deadline = time.monotonic() + 10
    while not watch.longest_since(begun) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert watch.longest_since(begun) > 0.15
    assert watch.longest_since(time.monotonic() + 60) == 0.0


def test_its_processes_end_with_it(watch: Watch) -> None:
    watch.close()
    assert [process.returncode for process in watch.processes] == [-signal.SIGKILL] * len(watch.processes)


STALLED = """
import os, signal, time
from pathlib import Path

import pytest
from tests import stalls

pytestmark = pytest.mark.timing

def attempt(name):
    path = Path(name)
    count = int(path.read_text()) + 1 if path.exists() else 1
    path.write_text(str(count))
    return count

def stall():
    (watch,) = watches
    time.sleep(0.3)
    for process in watch.processes:
        os.kill(process.pid, signal.SIGSTOP)
    time.sleep(0.2)
    for process in watch.processes:
        os.kill(process.pid, signal.SIGCONT)

watches = []

@pytest.fixture(autouse=True)
def watch(request):
    watches[:] = [request.config.stash[stalls.WATCH]]

def test_fails_once_in_a_stall():
    if attempt("once") == 1:
        stall()
        raise AssertionError

def test_fails_always_in_a_stall():
    attempt("always")
    stall()
    raise AssertionError

@pytest.fixture
def broken():
    attempt("broken")
    yield
    if attempt("teardown") == 1:
        stall()
        raise AssertionError

def test_fails_afterwards_in_a_stall(broken):
    pass
"""

STANDING = """
import pytest
from pathlib import Path

@pytest.mark.timing
def test_fails_by_itself():
    with open("itself", "a") as file:
        file.write("x")
    raise AssertionError
"""


def test_what_fails_in_a_stall_runs_again_and_fails_in_the_end(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeini("[pytest]\nmarkers = timing: time")
    pytester.makepyfile(STALLED)
    result = pytester.runpytest_subprocess("-p", "tests.stalls", timeout=60)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*test_fails_always_in_a_stall*", "*its longest stall in each attempt, in seconds: *"])
    counts = {name: int((pytester.path / name).read_text("utf-8")) for name in ("once", "always", "broken")}
    assert counts == {"once": 2, "always": ATTEMPTS, "broken": 2}


def test_a_failure_without_a_stall_stands(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been one: a busy machine stalls now and then, so in one of a few runs it must not run again."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeini("[pytest]\nmarkers = timing: time")
    pytester.makepyfile(STANDING)
    attempts = []
    for _ in range(5):
        (pytester.path / "itself").unlink(missing_ok=True)
        pytester.runpytest_subprocess("-p", "tests.stalls", timeout=60).assert_outcomes(failed=1)
        attempts.append(len((pytester.path / "itself").read_text("utf-8")))
        if attempts[-1] == 1:
            return
    pytest.fail(f"it ran {attempts} times")
