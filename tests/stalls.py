"""Runs a timing test again if it failed while the machine stood still: such a failure says nothing about the code.

On each processor a process of its own sleeps for 10 ms, again and again, and tells when it slept much longer. A test
that is marked `timing` and fails runs again, at most twice, if one of them did meanwhile; else its failure stands. What
a test asserts is the same each time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import pytest
from _pytest.runner import runtestprotocol

STALL_SECONDS = 0.05
"""Oversleeping by less is what a busy machine does."""
ATTEMPTS = 3
_WATCH = """
import os, sys, time
processor, parent, least = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
os.sched_setaffinity(0, {processor})
before = time.monotonic()
while os.getppid() == parent:
    time.sleep(0.01)
    now = time.monotonic()
    if now - before > 0.01 + least:
        print(before, now, flush=True)
    before = now
"""


class Watch:
    """Watches every processor that this process may use, until it is closed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stalls: list[tuple[float, float]] = []
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-I", "-c", _WATCH, str(processor), str(os.getpid()), str(STALL_SECONDS)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
            )
            for processor in sorted(os.sched_getaffinity(0))
        ]  # fmt: skip
        for process in self.processes:
            threading.Thread(target=self._read, args=(process,), name="stalls", daemon=True).start()

    def longest_since(self, begun: float) -> float:
        """Seconds of the longest stall that ended after this moment of the monotonic clock; 0.0 if there was none."""
        with self._lock:
            return max((end - begin for begin, end in self._stalls if end > begun), default=0.0)

    def close(self) -> None:
        """End its processes."""
        for process in self.processes:
            process.kill()
            process.wait()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                begin, end = map(float, line.split())
                with self._lock:
                    self._stalls.append((begin, end))


WATCH = pytest.StashKey[Watch]()


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a timing test as often as the machine makes necessary; every other one as pytest does."""
    if item.get_closest_marker("timing") is None:
        return None
    watch = item.config.stash.get(WATCH, None)
    if watch is None:
        watch = item.config.stash[WATCH] = Watch()
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _reports(item, nextitem, watch):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the processes."""
    watch = config.stash.get(WATCH, None)
    if watch is not None:
        watch.close()


def _reports(item: pytest.Item, nextitem: pytest.Item | None, watch: Watch) -> Sequence[pytest.TestReport]:
    stalls: list[float] = []
    for _ in range(ATTEMPTS):
        begun = time.monotonic()
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        failed = [report for report in reports if report.failed]
        if not failed:
            break
        # What a watch has to say is a moment behind.
        time.sleep(2 * STALL_SECONDS)
        stalls.append(watch.longest_since(begun))
        for report in failed:
            report.sections.append(("the machine", f"its longest stall in each attempt, in seconds: {stalls}"))
        if not stalls[-1]:
            break
    return reports
