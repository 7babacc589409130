"""A process of a step run that says what it is told to instead of running anything."""

from __future__ import annotations

import os
import sys
from typing import Any

import msgspec

from wasmexec.rows.json_text import encode
from wasmexec.server.steps.messages import Conditions, tell
from wasmexec.workers.messages import HEAD, Kind, pack

ORDER = pack(Kind.ORDER, body=tell(Conditions(b"{}", [])))


def run(index: int, data: bytes = b"[]") -> list[bytes]:
    return pack(Kind.RUN, index, b"", data)


def end(**changed: Any) -> list[bytes]:
    content = {
        "status": 200, "error": None, "rows_in": 1, "rows_out": 1, "rows_failed": 0, "log_dropped": 0, "warnings": [],
        "local_variables": b"{}", "advance": None, **changed,
    }  # fmt: skip
    return pack(Kind.END, body=msgspec.msgpack.encode(content))


def told(kind: Kind, content: object) -> list[bytes]:
    return pack(kind, body=msgspec.msgpack.encode(content))


def conditions(variables: bytes) -> list[bytes]:
    return pack(Kind.ORDER, body=tell(Conditions(variables, [])))


LIES = {
    "unknown kind": [HEAD.pack(99, 0, 0, 0)],
    "too long": [HEAD.pack(Kind.END, 0, 0, 2**32 - 1)],
    "an answer": [HEAD.pack(Kind.ANSWER, 0, 10, 10)],
    "no message": pack(Kind.END, body=b"\xc1"),
    "input first": run(0),
    "two orders": ORDER + ORDER,
    "twice the same": ORDER + run(0) + run(0),
    "too many": [*ORDER, *(piece for index in range(9) for piece in run(index))],
    "too many bytes": [*ORDER, *run(0, b"x" * 20_000_000), *run(1)],
    "strange input": ORDER + pack(Kind.RUN, 0, b"nul", b""),
    "another member": conditions(b'{},"grants":{"http":[{"host":"evil.example.com"}],"ca_file":null,"proxy":null}'),
    "variables that are none": conditions(b"[]"),
    "no status": end(status=7),
    "negative": end(rows_in=-1),
    "failure without error": end(status=300),
    "success with error": end(error=encode(["WasmexecError", "x", {}])),
    "error of no class": end(status=300, error=encode(["SystemExit", "x", {}])),
    "checkpoint of a failure": end(status=300, error=encode(["WasmexecError", "x", {}]), advance=b"1"),
    "checkpoint that is none": end(advance=b"{"),
    "chunk of another length": pack(Kind.OUTPUT, 0, msgspec.msgpack.encode([1, 2, 5, None, None]), b"xx"),
    "chunk that is huge": pack(Kind.OUTPUT, 0, msgspec.msgpack.encode([1, 2**40, 2, None, None]), b"xx"),
    "level that is none": told(Kind.LOGS, [[None, 1.0, "loud", "x"]]),
    "time that is none": told(Kind.LOGS, [[None, -1.0, "info", "x"]]),
    "failure of no row": told(Kind.FAILURES, [[-1, 300, {}]]),
    "nothing": [],
    "the truth": ORDER + end(advance=b'{"n": 36893488147419103232}'),
}


def main() -> None:
    """Say it, and wait to be ended unless there is nothing more to say."""
    for piece in LIES[sys.argv[1]]:
        data = memoryview(piece)
        while data:
            data = data[os.write(1, data) :]
    if sys.argv[1] != "nothing":
        while os.read(0, 65_536):
            pass


if __name__ == "__main__":
    main()
