"""`python -m tests.fuzz.select TARGET...`: adds inputs to the corpus that reach new branches of what reads others.

They are seen by tracing, which makes everything some ten times slower: that is for choosing seeds, not for fuzzing.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fuzz.havoc import new_input
from tests.fuzz.reached import READERS
from tests.fuzz.seeds import add_seed, corpus_of, read_seeds
from tests.fuzz.targets import TARGETS

import wasmexec

_FILES = frozenset(str(Path(wasmexec.__file__).parent / f"{name}.py") for name in READERS)
MOST = 80
"""Seeds of one target: the corpus is run by every `make test`."""


class Branches:
    """The steps from one line to the next in the readers' modules."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, int, int]] = set()

    def trace(self, frame: FrameType, event: str, argument: object) -> Any:
        """For `sys.settrace`."""
        name = frame.f_code.co_filename
        if name not in _FILES:
            return None
        last, seen = -frame.f_lineno, self.seen

        def line(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal last
            now = -last if event == "return" else frame.f_lineno
            seen.add((name, last, now))
            last = now
            return line

        return line


def select(name: str, seconds: float, branches: Branches) -> int:
    """Look for seeds for so long; how many there are afterwards."""
    file = corpus_of(name)
    run = TARGETS[name].load(name)
    kept = list(read_seeds(file).values())
    for data in kept:
        run(data)
    chance = random.Random(time.time_ns())
    until = time.monotonic() + seconds
    while time.monotonic() < until and len(kept) < MOST:
        before, data = len(branches.seen), new_input(chance, kept)
        run(data)
        if len(branches.seen) > before and len(data) <= 400:
            kept.append(data)
            add_seed(file, hashlib.sha256(data).hexdigest()[:12], data)
    return len(kept)


def main() -> None:
    """Select for the targets of the command line, or for all."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.select", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=float, default=10, help="for each")
    options = parser.parse_args()
    branches = Branches()
    # Before any thread starts, so that those of an executor are traced, too.
    threading.settrace(branches.trace)
    sys.settrace(branches.trace)
    for name in options.targets or TARGETS:
        print(f"{name:16} {select(name, options.seconds, branches)} seeds", flush=True)


if __name__ == "__main__":
    main()
