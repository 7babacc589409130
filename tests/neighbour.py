"""What one execution costs others: their delay, its memory, how soon it ends. For tests of security and the bench.

An attack is tried beside a neighbour in the same executor; the neighbour's own time without it is the control.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import wasmexec

TRIVIAL = "return [{'a': 1}]"
MOST_SECONDS = 0.06
"""What an attack may add to a neighbour's run in a test: three times what is promised, for machines with busy cores."""
_ALONE = 30
_ROUNDS = 4


class Delay(NamedTuple):
    """How long a trivial run took, in seconds."""

    alone: float
    """The median without an attack."""
    worst: float
    """The longest while the attack went on."""
    runs: int
    """How many there were meanwhile."""

    @property
    def added(self) -> float:
        """What the attack cost the neighbour at worst."""
        return self.worst - self.alone


def worst_delay(
    executor: wasmexec.Executor, attack: Callable[[], object], statement: str = TRIVIAL, **options: Any
) -> Delay:
    """The neighbour's runs while `attack` goes on in another thread; the attack has to end by itself.

    How long a full collection takes is decided by what a process has, here by what pytest has: it is left out.
    """
    gc.collect()
    gc.freeze()
    try:
        return _worst_delay(executor, attack, statement, options)
    finally:
        gc.unfreeze()


def least_delay(
    executor: wasmexec.Executor, attack: Callable[[], object], statement: str = TRIVIAL, **options: Any
) -> Delay:
    """The least of a few worst delays, the first below MOST_SECONDS if there is one.

    What the host does is there each time, what the machine does is not.
    """
    delays: list[Delay] = []
    while len(delays) < _ROUNDS and not any(delay.added < MOST_SECONDS for delay in delays):
        delays.append(worst_delay(executor, attack, statement, **options))
    return min(delays, key=lambda delay: delay.added)


def _worst_delay(
    executor: wasmexec.Executor, attack: Callable[[], object], statement: str, options: dict[str, Any]
) -> Delay:
    alone = statistics.median(_seconds(executor, statement, options) for _ in range(_ALONE))
    thread = threading.Thread(target=attack, daemon=True)
    thread.start()
    found = []
    while thread.is_alive():
        found.append(_seconds(executor, statement, options))
        time.sleep(0.001)
    thread.join()
    return Delay(alone, max(found, default=0.0), len(found))


def cancel_delay(executor: wasmexec.Executor, statement: str, after: float, **options: Any) -> tuple[float, Any]:
    """Seconds from `cancel` to the result of a statement that was cancelled so long after its start, and the result."""
    ended = threading.Event()
    outcome: list[Any] = []

    def on_done(result: wasmexec.Result | BaseException) -> None:
        outcome.append(result)
        ended.set()

    cancel = executor.submit(statement, on_done, **options)
    time.sleep(after)
    start = time.perf_counter()
    cancel()
    ended.wait(60)
    return time.perf_counter() - start, outcome[0]


def peak_bytes(program: str, *arguments: object) -> tuple[int, Any]:
    """How far the memory of a process and its children rises above what it has before `measured()`, and what it prints.

    `program` is Python; `arguments` are its `sys.argv[1:]`. It has an `executor` that has run once, and calls
    `measured()` with a function without arguments, whose JSON-able answer comes back.
    """
    code = _PEAK + program
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False,
        cwd=os.path.dirname(__file__),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return found["bytes"], found["answer"]


_PEAK = """
import json, os, sys, threading, time
import wasmexec
executor = wasmexec.Executor()
executor.run("return [{'a': 1}]")
# The process that takes long rows is there from now on, as threads are.
executor.run("return [{'a': [0] * 200_000}]", output_schema={"type": "object"})

def resident():
    me = os.getpid()
    total = 0
    for name in os.listdir("/proc"):
        if name.isdigit() and (int(name) == me or _is_mine(name, me)):
            try:
                with open(f"/proc/{name}/statm") as file:
                    fields = file.read().split()
                total += (int(fields[1]) - (int(fields[2]) if int(name) != me else 0)) * 4096
            except OSError:
                pass
    return total

def _is_mine(name, me):
    try:
        with open(f"/proc/{name}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1]) == me
    except (OSError, ValueError, IndexError):
        return False

def peak():
    # What one long step of the interpreter holds is never seen by a thread; the kernel saw it.
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))

def measured(work):
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = most = resident()
    own = peak()
    ended = threading.Event()
    def watch():
        nonlocal most
        while not ended.wait(0.002):
            most = max(most, resident())
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        answer = work()
        most = max(most, resident())
    finally:
        ended.set()
        thread.join()
    print(json.dumps({"bytes": max(most - before, peak() - own), "answer": answer}))
"""


def _seconds(executor: wasmexec.Executor, statement: str, options: dict[str, Any]) -> float:
    start = time.perf_counter()
    result = executor.run(statement, **options)
    seconds = time.perf_counter() - start
    assert result.status == wasmexec.Status.FINISHED, result.error
    return seconds
