"""What the front and the process of a step run tell each other, in frames of `workers.messages`.

    to the process      JOB       first: a document to be read, or a run     `Job`
                        ANSWER    how an execution ended                     head and body of the worker's answer
                        CANCEL    end the run with status 303
                        REFUSED   END cannot be stored so                   `TooLarge`
    from the process    PLAN      what a document asks for                   `Plan`
                        ORDER     what its executions have in common         `Conditions`
                        RUN       run the statement on an input              b"" or JSON null; the input's JSON text
                        CANCEL    nobody wants what is under way
                        OUTPUT    accepted rows, compressed                  `ChunkHead`; rows, indexes of their inputs
                        LOGS      some lines of the log                      list of `LogLine`
                        FAILURES  some input rows that failed                list of `FailedRow`
                        PROGRESS  how far it is                              `Progress`
                        END       how the run ends                           `End`

All but RUN, ANSWER and the chunks of OUTPUT are MessagePack of the types below.

SECURITY: the process parses what a tenant has sent, so what it says is believed no more than the tenant: it is decoded
to types with bounds, and held against what the tenant may.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from ..._finishing.acceptance import FILLED_BYTES
from ...limits import MIB, Limits
from ...workers.messages import MAX_PART_BYTES, NO_INPUT, BadMessage, Kind, Room

TO_PROCESS: Final = {
    Kind.JOB: Room(0, MAX_PART_BYTES), Kind.ANSWER: Room(MAX_PART_BYTES, MAX_PART_BYTES), Kind.CANCEL: Room(0, 0),
    Kind.REFUSED: Room(0, MIB),
}  # fmt: skip
SOME_BYTES: Final = MIB
"""What the lines or failures of one frame have, together."""
MOST_SECRETS: Final = 1000
_PLAN_BYTES = 8 * MIB
_END_BYTES = 16 * MIB
_CHUNK_BYTES = 8 * MIB
"""Of a chunk that has more than one row."""
_LONGEST_CHUNK = 2**30
_MOST_ROWS = 2**40
_Count = Annotated[int, Meta(ge=0, le=_MOST_ROWS)]


class Job(Struct, kw_only=True):
    """What a process is for: to read a document (`run_id` is 0), or to run it on inputs, which are JSON texts."""

    name: str
    document: bytes
    run_id: int = 0
    input_data: bytes | None = None
    extra_inputs: list[bytes | None] = []
    local_variables: bytes = b"{}"
    secrets: dict[str, str] = {}
    limits: dict[str, int | float] = {}
    """Those that are in force."""
    checkpoint: bytes = b"null"
    checkpoint_version: int = 0


class MistakeTold(Struct):
    """One mistake of a document."""

    line: int
    column: int
    message: str


class SecretTold(Struct):
    """Where a secret may go; the statement holds its value if there are no hosts."""

    hosts: list[str] = []
    also_in: list[str] = []


class GrantTold(Struct):
    """A grant that a document asks for."""

    host: str
    ports: list[int]
    methods: list[str]
    schemes: list[str]
    allow_private: bool


class Plan(Struct, kw_only=True):
    """What a document asks for; nothing else of it decides anything. With `mistakes` the rest is empty."""

    mistakes: Annotated[list[MistakeTold], Meta(max_length=1001)] = []
    statement: str = ""
    output: bytes = b"null"
    """The output schema as JSON."""
    mode: str = "strict"
    processing: str = "bulk"
    description: str = ""
    concurrency: Annotated[int, Meta(ge=1, le=1000)] = 1
    limits: dict[str, int | float] = {}
    """Those that it names."""
    grants: Annotated[list[GrantTold], Meta(max_length=1000)] = []
    secrets: Annotated[dict[str, SecretTold], Meta(max_length=MOST_SECRETS)] = {}


class Conditions(Struct):
    """What all executions of a run have in common, as far as the inputs decide it; JSON texts."""

    local_variables: bytes
    extra_inputs: Annotated[list[bytes | None], Meta(max_length=100)]


class ChunkHead(Struct, array_like=True):
    """How many rows a chunk has, and the bytes of those, and of the indexes of their inputs, unpacked and packed."""

    rows: Annotated[int, Meta(ge=1, le=_MOST_ROWS)]
    size: Annotated[int, Meta(ge=2, le=_LONGEST_CHUNK)]
    packed: Annotated[int, Meta(ge=1)]
    sources: Annotated[int, Meta(ge=1, le=_LONGEST_CHUNK)] | None
    sources_packed: Annotated[int, Meta(ge=1)] | None


class LogLine(Struct, array_like=True):
    """A line of the log, and the input row whose execution wrote it."""

    row: _Count | None
    time: Annotated[float, Meta(ge=0, le=253_402_300_799)]
    level: Annotated[str, Meta(max_length=5)]
    message: str


class FailedRow(Struct, array_like=True):
    """An input row that failed; the error has type, message and fields."""

    row: _Count
    status: int
    error: dict[str, Any]


class ProgressTold(Struct, array_like=True):
    """How many input rows were read, how many of those are done, and how many of these failed."""

    rows_read: _Count
    rows_done: _Count
    rows_failed: _Count


class End(Struct, kw_only=True):
    """How a run ends, if the store agrees; `error`, `local_variables` and `advance` are JSON texts."""

    status: int
    error: bytes | None
    rows_in: _Count
    rows_out: _Count
    rows_failed: _Count
    log_dropped: _Count
    warnings: Annotated[list[str], Meta(max_length=1000)]
    local_variables: bytes | None
    advance: bytes | None
    """The new checkpoint; None leaves it as it was."""


class TooLarge(Struct, kw_only=True):
    """Something of an end is too large for the store, and the run has to end otherwise; in bytes."""

    what: str
    limit: int
    used: int


def rooms_for_plan() -> dict[Kind, Room]:
    """How long the frames of a process may be that reads a document."""
    return {Kind.PLAN: Room(0, _PLAN_BYTES)}


def rooms_for_run(limits: Limits) -> dict[Kind, Room]:
    """How long the frames of a process may be that runs a step under these limits."""
    longest = min(limits.output_bytes + FILLED_BYTES, MAX_PART_BYTES)
    return {
        Kind.ORDER: Room(0, min(2 * limits.input_bytes + MIB, MAX_PART_BYTES)),
        Kind.RUN: Room(len(NO_INPUT), limits.input_bytes),
        Kind.CANCEL: Room(0, 0),
        # What does not compress becomes a little longer.
        Kind.OUTPUT: Room(64, min(longest + _CHUNK_BYTES + longest // 1000, MAX_PART_BYTES)),
        Kind.LOGS: Room(0, 2 * SOME_BYTES),
        Kind.FAILURES: Room(0, 2 * SOME_BYTES),
        Kind.PROGRESS: Room(0, 64),
        Kind.END: Room(0, _END_BYTES),
    }


def told(data: bytes, kind: Any) -> Any:
    """What a frame of the process says.

    Raises:
        BadMessage: it is not of that type.
    """
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(f"a frame that cannot be read: {str(error)[:200]}") from None


def tell(content: Struct | list[Any]) -> bytes:
    """The bytes of what one says."""
    return msgspec.msgpack.encode(content)
