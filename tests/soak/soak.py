"""Running kinds of executions again and again, on several threads, and looking at the process between."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.soak.kinds import KINDS, World
from tests.soak.process import Held, held

from wasmexec import Executor

ROOT = Path(__file__).resolve().parents[2]
THREADS = 4
_SERVER = """
import sys
from tests.servers import WebServer
with WebServer() as server:
    print(server.port, flush=True)
    sys.stdin.read()
"""


@contextmanager
def serving() -> Iterator[int]:
    """The port of a `WebServer` in a process of its own, whose memory is not ours."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.communicate()


def soak(
    runs: int, *, every: int, names: Sequence[str] = tuple(KINDS), on_held: Callable[[Held], None] = lambda held: None
) -> tuple[list[Held], Counter[str]]:
    """Execute the kinds in turn until there were `runs` of them.

    What the process held after each `every` of them comes back, and which kinds ended in another way than they must.
    """
    found: list[Held] = []
    wrong: Counter[str] = Counter()

    def one(number: int) -> None:
        name = names[number % len(names)]
        status, run = KINDS[name]
        result = run(world, number)
        if int(result.status) != status:
            wrong[f"{name}: {int(result.status)} instead of {status} ({result.error})"] += 1

    with tempfile.TemporaryDirectory() as folder, serving() as port, Executor() as executor:
        world = World.make(executor, port, Path(folder))
        with ThreadPoolExecutor(THREADS, "soak") as threads:
            for start in range(0, runs, every):
                numbers = range(start, min(runs, start + every))
                for _ in threads.map(one, numbers, chunksize=1):
                    pass
                found.append(held(executor, numbers.stop))
                on_held(found[-1])
    return found, wrong
