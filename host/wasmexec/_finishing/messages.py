"""What this process and one that finishes outputs tell each other: frames through pipes, texts through a file.

A frame is a head (kind, 1 byte; length, 4 bytes, little-endian) and so many bytes of JSON:

    to the process      JOB   {"size", "memory", "schema": [definition, mode, role], "secrets", "bounds", "kinds",
                              "keep"}: a
                              text of that size is at the beginning of the file that both have open
    from the process    READY it has understood the job: the memory that it takes from here on is the text's
                        DONE  {"rows", "lines", "size", "warnings"}: so many rows, as JSON Lines of so many bytes at the
                              beginning of the file (0 if they are not kept); the text had `size` bytes
                              {"memory": true}, or what `refused` makes: it is not accepted

The file is one in memory where there are such files: whoever reads or writes it does not hold the interpreter's lock.
"""

from __future__ import annotations

import enum
import struct
from typing import Any

from ..errors import OutputError, OutputLimitError
from ..limits import MIB
from .acceptance import NotJsonError

HEAD = struct.Struct("<BI")
MAX_FRAME_BYTES = 64 * MIB
"""A schema and secrets; texts of errors and warnings are a few thousand characters each."""
WORN_BYTES = 4 * MIB
"""A longer text leaves holes in the memory of the process, which is not used again."""


class Kind(enum.IntEnum):
    """What a frame says."""

    JOB = 1
    DONE = 2
    READY = 3


def refused(error: Exception) -> dict[str, Any]:
    """What DONE says of a text that is not accepted."""
    match error:
        case OutputError():
            return {"refused": [error.pointer, error.rule, error.value, error.reason, error.fix]}
        case OutputLimitError():
            return {"limit": [error.message, error.limit, error.used]}
    return {"not_json": str(error)[:1000]}


def raise_if_refused(answer: dict[str, Any]) -> None:
    """Raises: OutputError, OutputLimitError, NotJsonError: what DONE says; ValueError: not what `refused` makes."""
    match answer:
        case {"refused": [str(pointer), str(rule), str(value), str(reason), str(fix)]}:
            raise OutputError(pointer, rule, value, reason, fix)
        case {"limit": [str(message), int(limit), int(used)]}:
            raise OutputLimitError(message, limit=limit, used=used)
        case {"not_json": str(text)}:
            raise NotJsonError(text)
