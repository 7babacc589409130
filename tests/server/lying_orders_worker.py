"""A worker of many orders without a guest, which answers each statement by doing what it names."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

from wasmexec import Result, Status
from wasmexec.workers.answers import State, answer_of, pack_answer, pack_states
from wasmexec.workers.messages import HEAD, TO_WORKER_OF_MANY, FrameReader, Kind, pack

GOOD = pack_answer(answer_of(Result(status=Status.FINISHED, rows=[{"a": 1}])))


def write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def answer(what: str, number: int) -> None:
    """Do what the statement names."""
    good = b"".join(pack(Kind.ANSWER, number, *GOOD))
    said = {
        "good": good,
        "twice": good + good,
        "of nobody": b"".join(pack(Kind.ANSWER, number + 4711, *GOOD)),
        "state of nobody": b"".join(pack(Kind.STATE, 0, pack_states([State(number + 4711, 1.0, True)]))) + good,
        "request of nobody": b"".join(pack(Kind.HTTP, number + 4711)),
        "too long": HEAD.pack(Kind.ANSWER, number, 100, 2**32 - 1),
        "unknown": HEAD.pack(99, number, 0, 0),
        "ready again": b"".join(pack(Kind.READY)),
        "no JSON": b"".join(pack(Kind.ANSWER, number, b"{", GOOD[1])),
        "another length": b"".join(pack(Kind.ANSWER, number, GOOD[0], GOOD[1] + b" ")),
        "asleep": b"".join(pack(Kind.STATE, 0, pack_states([State(number, 0.5, True)]))),
        "requests and dies": b"".join(pack(Kind.HTTP, number)),
    }
    write(said.get(what, b""))
    if what in ("dies", "requests and dies"):
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Serve until the input ends; what is stopped is not heard of again."""
    write(b"".join(pack(Kind.READY)))
    reader = FrameReader(TO_WORKER_OF_MANY)
    while piece := os.read(0, 65_536):
        for frame in reader.feed(piece):
            if frame.kind is Kind.EXECUTE:
                answer(json.loads(frame.fields)["statement"], frame.execution)
    if sys.argv[1:] == ["stays"]:
        time.sleep(600)


if __name__ == "__main__":
    main()
