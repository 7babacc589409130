"""A worker of many orders that runs nothing: it answers each at once, so that what is measured is the front."""

from __future__ import annotations

import os

from wasmexec import Result, Status
from wasmexec.workers.answers import answer_of, pack_answer
from wasmexec.workers.messages import TO_WORKER_OF_MANY, FrameReader, Kind, pack

_HEAD, _BODY = pack_answer(answer_of(Result(status=Status.FINISHED, rows=[{"a": 1}])))
_PIECE_BYTES = 256 * 1024


def main() -> None:
    """Serve until the input ends."""
    _write(b"".join(pack(Kind.READY)))
    reader = FrameReader(TO_WORKER_OF_MANY)
    while piece := os.read(0, _PIECE_BYTES):
        answers = [
            b"".join(pack(Kind.ANSWER, frame.execution, _HEAD, _BODY))
            for frame in reader.feed(piece)
            if frame.kind is Kind.EXECUTE
        ]
        _write(b"".join(answers))


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    main()
