"""Frames between a worker process and its parent, in both directions: their layout, and reading them within bounds.

There are two kinds of workers: of one order, for the rows of a step, and of many, for the runs of a server.

A frame is a head of fixed size and two parts. The head is little-endian: kind (1 byte), number of the execution (8),
lengths of the parts (4 each).

    parent to worker    ORDER   first: what every execution has in common    JSON {"limit"}      the packed order
                        RUN     run the statement on an input                b"" or JSON null    the input's JSON text
                        CANCEL  end everything with status 303
    worker to parent    READY   once: the image is loaded
                        RESULT  how an execution ended                       JSON, see `results` the rows, a JSON array

    to one of many      EXECUTE run an order of its own on an input          the packed order    the input's JSON text
                        KEEP    an order of many executions, by its number   the packed order
                        FORGET  there are no more of those
                                (EXECUTE then has `kept`, the number, in place of the order)
                        EXECUTE_FILE
                                likewise, its input is in a file             the packed order
                        STOP    end one execution with status 303
                        GO_ON   let one compute again that has asked for that
    from one of many    READY   once: the image is loaded
                        WAKE    one has something to do again, and waits for GO_ON
                        HTTP    it is about to send its first HTTP request
                        STATE   how far some executions are (number 0)       JSON, see `answers`
                        LOG     lines of its log, as they come               JSON, see `answers` the lines
                        ANSWER  how an execution ended                       JSON, see `answers` JSON texts, likewise
                        ANSWER_FILE
                                likewise, its rows are in a file             likewise            all texts but the rows

For the files see `files`.

SECURITY: the worker ran hostile guests, so what comes from it is hostile. A head is believed only within the bounds
that the reader was given, before anything is kept; what a number or a part says is for others to check (`process`,
`results`).
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

HEAD = struct.Struct("<BQII")
MAX_PART_BYTES = 2**32 - 1
PIECE_BYTES = 64 * 1024
"""Read at a time, which is what a pipe holds; memory of that size is not mapped anew for each."""
NO_INPUT = b"null"
"""The first part of RUN where the statement gets no input; a frame's second part could be empty by mistake."""


class Kind(enum.IntEnum):
    """What a frame says."""

    ORDER = 1
    RUN = 2
    CANCEL = 3
    READY = 4
    RESULT = 5
    EXECUTE = 6
    STOP = 7
    HTTP = 8
    STATE = 9
    ANSWER = 10
    WAKE = 20
    GO_ON = 21
    EXECUTE_FILE = 22
    ANSWER_FILE = 23
    KEEP = 18
    FORGET = 19
    # Between a server and the process of a step run, see `server.steps.messages`.
    JOB = 40
    PLAN = 41
    OUTPUT = 42
    LOGS = 43
    FAILURES = 44
    PROGRESS = 45
    END = 46
    REFUSED = 47
    # Between a server and the process that reads long bodies, see `server.reading`.
    FOUND = 60
    LOG = 11


class Frame(NamedTuple):
    """One frame as it came."""

    kind: Kind
    execution: int
    fields: bytes
    body: bytes


class BadMessage(Exception):
    """The other side breaks the rules; the text says which one."""


class Room(NamedTuple):
    """How long the parts of a frame may be."""

    fields: int
    body: int


TO_WORKER = {
    Kind.ORDER: Room(1024, MAX_PART_BYTES),
    Kind.RUN: Room(len(NO_INPUT), MAX_PART_BYTES),
    Kind.CANCEL: Room(0, 0),
}
TO_WORKER_OF_MANY = {
    Kind.EXECUTE: Room(MAX_PART_BYTES, MAX_PART_BYTES), Kind.STOP: Room(0, 0), Kind.KEEP: Room(MAX_PART_BYTES, 0),
    Kind.FORGET: Room(0, 0), Kind.GO_ON: Room(0, 0), Kind.EXECUTE_FILE: Room(MAX_PART_BYTES, 0),
}  # fmt: skip
_KEPT = struct.Struct("<Q")


def kept(number: int) -> bytes:
    """What EXECUTE has in place of an order that the worker was told to keep."""
    return _KEPT.pack(number)


def kept_number(fields: bytes) -> int | None:
    """The number of the kept order that EXECUTE means; None if it has its own, which is longer."""
    return None if len(fields) != _KEPT.size else int(_KEPT.unpack(fields)[0])


def pack(kind: Kind, execution: int = 0, fields: bytes = b"", body: bytes = b"") -> list[bytes]:
    """A frame in pieces to be written one after the other; a long body is not copied.

    Raises:
        ValueError: a part is longer than a frame can hold.
    """
    if max(len(fields), len(body)) > MAX_PART_BYTES:
        raise ValueError(f"a frame holds at most {MAX_PART_BYTES:,} bytes")
    head = HEAD.pack(kind, execution, len(fields), len(body)) + fields
    return [head + body] if len(body) < PIECE_BYTES else [head, body]


class FrameReader:
    """Makes frames of the pieces that a pipe gives.

    SECURITY: it holds no more than one frame within its room and one piece, whatever a head announces.
    """

    def __init__(self, rooms: Mapping[Kind, Room]) -> None:
        self._kept = bytearray()
        self.expect(rooms)

    def expect(self, rooms: Mapping[Kind, Room]) -> None:
        """Take these frames from now on."""
        self._rooms: dict[int, tuple[Kind, Room]] = {int(kind): (kind, room) for kind, room in rooms.items()}

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """The frames that are complete with this piece.

        Raises:
            BadMessage: a head announces what may not come.
        """
        kept = self._kept
        kept += piece
        at = 0
        try:
            while len(kept) - at >= HEAD.size:
                number, execution, fields, body = HEAD.unpack_from(kept, at)
                kind, room = self._rooms.get(number, (None, None))
                if kind is None or room is None:
                    raise BadMessage(f"a frame of kind {number}")
                if fields > room.fields or body > room.body:
                    raise BadMessage(f"a frame of {fields:,} and {body:,} bytes")
                start = at + HEAD.size
                end = start + fields + body
                if len(kept) < end:
                    return
                at = end
                yield Frame(kind, execution, bytes(kept[start : start + fields]), bytes(kept[start + fields : end]))
        finally:
            del kept[:at]
