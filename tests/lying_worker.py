"""A worker process that speaks the frames of ours without a guest, and does something else for the execution `LIE`.

It answers an input with rows that are that input. Its one argument names what it does instead: "none" is the control,
"always: ..." does it for every execution, "first: ..." when it should say that it is ready.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator

from wasmexec import Limits, LogRecord, Result, Status
from wasmexec.workers.messages import HEAD, TO_WORKER, Frame, FrameReader, Kind, pack
from wasmexec.workers.results import ResultCodec

LIE = 7
CODEC = ResultCodec(Limits())
GOOD_FIELDS, GOOD_ROWS = CODEC.pack(Result(status=Status.FINISHED, rows=[{"id": 1}]))
FAILED = b'[304,[],0,["%b","text",%b],[0,0,0,0,0,0,0],[]]'


def result(fields: bytes = GOOD_FIELDS, rows: bytes = GOOD_ROWS, execution: int = LIE) -> bytes:
    """A frame with a result."""
    return b"".join(pack(Kind.RESULT, execution, fields, rows))


WRITTEN = {
    "text": b"Traceback (most recent call last):\n",
    "an unknown kind": HEAD.pack(77, LIE, 0, 0),
    "a kind of the parent's": b"".join(pack(Kind.RUN, LIE, b"", b"[]")),
    "ready twice": b"".join(pack(Kind.READY)),
    "fields that are too long": HEAD.pack(Kind.RESULT, LIE, 2**32 - 1, 2),
    "rows that are too long": HEAD.pack(Kind.RESULT, LIE, 2, 2**32 - 1),
    "ready with a text": HEAD.pack(Kind.READY, 0, 10, 0) + b"0123456789",
    "a result that nobody asked for": result(execution=4711),
    "a result twice": result() + result(),
    "a result of the first once more": result(execution=0),
    "a result before its time": result(execution=2**63),
    "no JSON": result(b"{"),
    "no list": result(b"{}"),
    "no fields": result(b""),
    "a deep list": result(b"[" * 700 + b"]" * 700),
    "an unknown status": result(GOOD_FIELDS.replace(b"[200,", b"[250,")),
    "a status that is no number": result(GOOD_FIELDS.replace(b"[200,", b'["200",')),
    "success with an error": result(GOOD_FIELDS.replace(b"null", b'["WasmexecError","text",{}]')),
    "failure without an error": result(GOOD_FIELDS.replace(b"[200,", b"[304,")),
    "rows of a failure": result(FAILED % (b"WasmexecError", b"{}")),
    "rows where there are none": result(GOOD_FIELDS.replace(b"[200,", b"[201,")),
    "rows that are no JSON": result(rows=b'[{"id":NaN}]'),
    "rows that are no list": result(rows=b'{"id":1}'),
    "rows that are no objects": result(rows=b'[{"id":1},[2]]'),
    "rows that are too deep": result(rows=b'[{"id":' + b"[" * 700 + b"]" * 700 + b"}]"),
    "an error of no class": result(FAILED % (b"SystemExit", b"{}"), b""),
    "an error of another module": result(FAILED % (b"subprocess.Popen", b"{}"), b""),
    "an error with the name of a function": result(FAILED % (b"_restore", b"{}"), b""),
    "an error with other fields": result(FAILED % (b"WasmexecError", b'{"__class__":"x"}'), b""),
    "an error without its fields": result(FAILED % (b"GuestLostError", b'{"trap":"exit"}'), b""),
    "an error with a field of another type": result(
        FAILED % (b"GuestLostError", b'{"trap":"exit","detail":[],"line":null,"function":null}'), b""
    ),
}
MISFITS = {
    "a text for a number": result(rows=b'[{"id":"1"}]'),
    "another key": result(rows=b'[{"id":1,"more":1}]'),
    "one row more": result(rows=b'[{"id":1},{"id":2}]'),
}


def frames() -> Iterator[Frame]:
    """What the parent says."""
    reader = FrameReader(TO_WORKER)
    while piece := os.read(0, 65_536):
        yield from reader.feed(piece)


def lie(what: str) -> None:
    """Do what is asked for."""
    if what in WRITTEN or what in MISFITS:
        write(WRITTEN.get(what) or MISFITS[what])
    elif what == "half a head":
        write(result()[:5])
        os._exit(0)
    elif what == "half a frame":
        write(result()[:-1])
        os._exit(0)
    elif what == "exits":
        os._exit(3)
    elif what == "kills itself":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "closes its output":
        os.close(1)
    elif what == "half a frame and silence":
        write(result()[:-1])
    elif what == "too many records":
        logs = [LogRecord(1.0, "info", "x")] * 20_000
        fields, _ = CODEC.pack(Result(status=Status.FINISHED, logs=logs))
        write(result(fields))
    elif what != "silence":
        raise AssertionError(what)


def write(data: bytes) -> None:
    """All of it."""
    while data:
        data = data[os.write(1, data) :]


def main(argument: str) -> None:
    """Serve until the input ends."""
    when, _, what = argument.rpartition(": ")
    if when == "first":
        lie(what)
    write(b"".join(pack(Kind.READY)))
    for frame in frames():
        if frame.kind is Kind.RUN:
            if what not in ("none", "stays") and (when == "always" or frame.execution == LIE):
                lie(what)
            else:
                write(result(rows=frame.body, execution=frame.execution))
    if what == "stays":
        time.sleep(600)


if __name__ == "__main__":
    main(sys.argv[1])
