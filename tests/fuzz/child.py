"""Runs one target on one input after the other, in a process of its own, until its time or its count is over.

Each input is on disk before it runs, with the number of executions: whoever started this process sees a hang, and has
the input of a crash. An exception, one of a thread, and one that was logged are findings, which are made shorter, kept
as a file and told on standard output, a JSON object a line.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import mmap
import random
import struct
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from tests.fuzz.havoc import new_input
from tests.fuzz.seeds import read_seeds
from tests.fuzz.targets import ALL, Run

BOX_BYTES = 64 * 1024
BOX_HEAD = struct.Struct("<QI")
SHRINK_SECONDS = 5.0
SHRINK_RUNS = 2000
MOST_FINDINGS = 50


class Box:
    """The input that runs and the number of executions, in a file that outlives the process."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(BOX_BYTES))
        self._file = path.open("r+b")
        self._map = mmap.mmap(self._file.fileno(), BOX_BYTES)
        self.count = 0

    def put(self, data: bytes) -> None:
        """This one runs next."""
        self.count += 1
        BOX_HEAD.pack_into(self._map, 0, self.count, len(data))
        self._map[BOX_HEAD.size : BOX_HEAD.size + len(data)] = data


def read_box(path: Path) -> tuple[int, bytes]:
    """How many inputs have begun, and the last of them."""
    content = path.read_bytes()
    if len(content) < BOX_HEAD.size:
        return 0, b""
    count, length = BOX_HEAD.unpack_from(content)
    return count, content[BOX_HEAD.size : BOX_HEAD.size + length]


class Unnoticed:
    """What nobody would see: records of errors in Python's log, and exceptions of threads and finalizers."""

    def __init__(self) -> None:
        self._found: list[str] = []
        handler = logging.Handler(logging.ERROR)
        handler.emit = self._take_record  # type: ignore[method-assign]
        logging.getLogger().addHandler(handler)
        threading.excepthook = lambda args: self._take("thread", args.exc_value)
        sys.unraisablehook = lambda args: self._take("finalizer", args.exc_value)

    def take(self) -> str:
        """All of it since the last time, "" if there is none."""
        found, self._found = self._found, []
        return "\n".join(found)

    def _take_record(self, record: logging.LogRecord) -> None:
        self._found.append(f"logged by {record.name}: {logging.Formatter().format(record)}")

    def _take(self, where: str, error: BaseException | None) -> None:
        self._found.append(f"in a {where}: {''.join(traceback.format_exception(error))}")


class Finding:
    """What went wrong; two with the same `fingerprint` are the same fault."""

    def __init__(self, error: BaseException | None, unnoticed: str) -> None:
        if error is not None:
            places = [
                f"{Path(place.filename).name}:{place.name}" for place in traceback.extract_tb(error.__traceback__)[-3:]
            ]
            self.text = "".join(traceback.format_exception(error))
            key = f"{type(error).__name__} {' '.join(places)}"
            if isinstance(error, AssertionError):
                line = traceback.extract_tb(error.__traceback__)[-1].line
                key += f" {line}"
        else:
            self.text = unnoticed
            key = unnoticed.strip().splitlines()[-1][:80]
        self.fingerprint = hashlib.sha256(key.encode()).hexdigest()[:12]


def run_once(run: Run, data: bytes, unnoticed: Unnoticed) -> Finding | None:
    """What goes wrong with this input."""
    try:
        run(data)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever leaves a target is a finding
        unnoticed.take()
        return Finding(error, "")
    text = unnoticed.take()
    return Finding(None, text) if text else None


def shrink(run: Run, data: bytes, fingerprint: str, unnoticed: Unnoticed, box: Box) -> bytes:
    """A shorter input with the same finding: pieces are left out, then bytes become zeros."""
    until, runs = time.monotonic() + SHRINK_SECONDS, 0

    def is_same(shorter: bytes) -> bool:
        nonlocal runs
        runs += 1
        box.put(shorter)
        found = run_once(run, shorter, unnoticed)
        return found is not None and found.fingerprint == fingerprint

    size = len(data)
    while size >= 1:
        at = 0
        while at < len(data):
            if time.monotonic() > until or runs > SHRINK_RUNS:
                return data
            shorter = data[:at] + data[at + size :]
            zeros = data[:at] + bytes(len(data[at : at + size])) + data[at + size :]
            if is_same(shorter):
                data = shorter
            elif zeros != data and is_same(zeros):
                data, at = zeros, at + size
            else:
                at += size
        size //= 2
    return data


def tell(**fields: Any) -> None:
    """One line to whoever started this process."""
    print(json.dumps(fields), flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Run the target that the command line names."""
    parser = argparse.ArgumentParser(prog="tests.fuzz.child")
    parser.add_argument("target", choices=list(ALL))
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--box", type=Path, required=True)
    parser.add_argument("--findings", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True, help="a file as seeds.py has them; it may be missing")
    parser.add_argument("--stop", action="store_true", help="after the first finding")
    options = parser.parse_args(arguments)
    box, unnoticed = Box(options.box), Unnoticed()
    run = ALL[options.target].load(options.target)
    corpus = list(read_seeds(options.corpus).values())
    chance = random.Random(options.seed)
    known: set[str] = set()
    waiting = list(corpus)
    until, began = time.monotonic() + options.seconds, time.process_time()
    while (waiting or time.monotonic() < until) and len(known) < MOST_FINDINGS:
        data = waiting.pop() if waiting else new_input(chance, corpus)
        box.put(data)
        found = run_once(run, data, unnoticed)
        if found is None or found.fingerprint in known:
            continue
        known.add(found.fingerprint)
        smaller = data if options.stop else shrink(run, data, found.fingerprint, unnoticed, box)
        options.findings.mkdir(parents=True, exist_ok=True)
        file = options.findings / f"{found.fingerprint}.bin"
        file.write_bytes(smaller)
        file.with_suffix(".txt").write_text(found.text, encoding="utf-8", errors="backslashreplace")
        tell(finding=found.fingerprint, file=str(file), text=found.text[-2000:])
        if options.stop:
            break
    tell(count=box.count, cpu_seconds=time.process_time() - began)


if __name__ == "__main__":
    main()
