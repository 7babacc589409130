"""A worker of many orders without a guest, which answers each statement by doing what it names."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time

from wasmexec import LogRecord, Result, Status
from wasmexec.workers.answers import State, answer_of, pack_answer, pack_lines, pack_states
from wasmexec.workers.files import LongText, MemoryFile
from wasmexec.workers.messages import HEAD, TO_WORKER_OF_MANY, FrameReader, Kind, pack

RECORDS = [LogRecord(1.0, "info", text) for text in ("a", "b\n\r")]
GOOD = pack_answer(answer_of(Result(status=Status.FINISHED, rows=[{"a": 1}])))
LOGGED = pack_answer(answer_of(Result(status=Status.FINISHED, rows=[{"a": 1}], logs=RECORDS)))


ROWS = b'[{"a":%d}]' % 10**300
IN_FILE = pack_answer(answer_of(Result(status=Status.FINISHED, rows=[{"a": 1}]))._replace(rows=LongText.of([ROWS])))


def write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def lines(number: int, first: int, records: list[LogRecord]) -> bytes:
    """The frames of some lines of a log."""
    return b"".join(b"".join(pack(Kind.LOG, number, *frame)) for frame in pack_lines(first, records))


def pass_text(number: int, *, is_sealed: bool = True) -> None:
    """A text in a file of its own, through the socket for them."""
    text = LongText.of([ROWS])
    if not is_sealed:
        file = MemoryFile.new()
        file.write(ROWS)
        text = LongText(file, 0, len(ROWS))
    text.send(socket.socket(fileno=os.dup(int(sys.argv[1]))), number)


def answer_with_file(what: str, number: int) -> bytes:
    """What such a statement names; nothing if it names another."""
    told = b"".join(pack(Kind.ANSWER_FILE, number, *IN_FILE))
    if what == "rows in a file":
        pass_text(number)
        return told
    if what == "a file of another first":
        # Of one that has no answer yet.
        pass_text(number + 1)
        pass_text(number)
        return told
    if what == "a file that may change":
        pass_text(number, is_sealed=False)
        return told
    if what == "two files":
        pass_text(number)
        pass_text(number)
        return told + told
    if what == "files without end":
        for extra in range(100):
            pass_text(number + 1000 + extra)
        return told
    if what == "another file":
        pass_text(number)
        return b"".join(pack(Kind.ANSWER_FILE, number, IN_FILE[0].replace(b"%d" % len(ROWS), b"7"), IN_FILE[1]))
    return told if what == "no file" else b""


def keep_file(size: int) -> None:
    """Keep so many bytes that are in no memory of this process's own; it has them open twice."""
    descriptor = os.memfd_create("wasmexec-text")
    os.posix_fallocate(descriptor, 0, size)
    os.dup(descriptor)


def answer(what: str, number: int) -> None:
    """Do what the statement names."""
    if what == "keeps 100 MB in a file":
        keep_file(100_000_000)
        what = "good"
    write(answer_with_file(what, number))
    good = b"".join(pack(Kind.ANSWER, number, *GOOD))
    logged = b"".join(pack(Kind.ANSWER, number, *LOGGED))
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
        "lines": lines(number, 0, RECORDS[:1]) + lines(number, 1, RECORDS[1:]) + logged,
        "lines of nobody": lines(number + 4711, 0, RECORDS),
        "lines again": lines(number, 0, RECORDS) + lines(number, 0, RECORDS),
        "lines missing": lines(number, 1, RECORDS),
        "empty lines": b"".join(pack(Kind.LOG, number, b"[0]", b"\n\n")),
        "lines without a number": b"".join(pack(Kind.LOG, number, b"[]", b"1")),
        "too many lines": b"".join(pack(Kind.LOG, number, b"[0]", b"1\n" * 19_999 + b"1")),
        "a long line": HEAD.pack(Kind.LOG, number, 3, 100 * 1024**2),
        "lines that it takes back": lines(number, 0, RECORDS) + good,
        "lines afterwards": logged + lines(number, 0, RECORDS),
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
