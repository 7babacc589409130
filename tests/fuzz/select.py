"""`python -m tests.fuzz.select TARGET...`: adds inputs to the corpus that reach new lines of the package.

Lines are seen by tracing, which makes everything some ten times slower: that is for choosing seeds, not for fuzzing.
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

from tests.fuzz.child import load_corpus
from tests.fuzz.driver import CORPUS
from tests.fuzz.havoc import new_input
from tests.fuzz.targets import TARGETS

import wasmexec

_PACKAGE = str(Path(wasmexec.__file__).parent)
MOST = 40
"""Seeds of one target: the corpus is run by every `make test`."""


class Lines:
    """The lines of the package that have run."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, int]] = set()

    def trace(self, frame: FrameType, event: str, argument: object) -> Any:
        """For `sys.settrace`."""
        return self._line if frame.f_code.co_filename.startswith(_PACKAGE) else None

    def _line(self, frame: FrameType, event: str, argument: object) -> Any:
        self.seen.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line


def select(name: str, seconds: float, lines: Lines) -> int:
    """Look for seeds for so long; how many there are afterwards."""
    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    run = TARGETS[name].load(name)
    kept = load_corpus([folder])
    for data in kept:
        run(data)
    chance = random.Random(time.time_ns())
    until = time.monotonic() + seconds
    while time.monotonic() < until and len(kept) < MOST:
        before, data = len(lines.seen), new_input(chance, kept)
        run(data)
        if len(lines.seen) > before and len(data) <= 400:
            kept.append(data)
            (folder / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
    return len(kept)


def main() -> None:
    """Select for the targets of the command line, or for all."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.select", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=float, default=10, help="for each")
    options = parser.parse_args()
    lines = Lines()
    # Before any thread starts, so that those of an executor are traced, too.
    threading.settrace(lines.trace)
    sys.settrace(lines.trace)
    for name in options.targets or TARGETS:
        print(f"{name:16} {select(name, options.seconds, lines)} seeds", flush=True)


if __name__ == "__main__":
    main()
