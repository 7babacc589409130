"""A process that finishes outputs, one after the other: jobs come in on standard input, answers go out on the output.

SECURITY: it holds one output at a time and no more memory than that is allowed to take; whoever started it ends it when
the execution that it works for is over.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NoReturn

import orjson

from .._masking.masker import Masker
from ..errors import OutputError, OutputLimitError
from ..isolation import give_memory_back, keep_no_core
from ..limits import MIB
from ..schema import Schema
from .acceptance import Bounds, NotJsonError, accept
from .messages import HEAD, Kind, refused

_VIRTUAL = 13
_VIRTUAL_BYTES = 64 * MIB
"""What libraries ask for and do not use: orjson so many bytes for each of a text, all of them stacks and arenas."""


def main(file: str) -> NoReturn:
    """Serve until standard input ends.

    `file` is the number of the descriptor through which texts pass.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_no_core()
    while True:
        job = _receive()
        if job is None:
            os._exit(0)
        _finish(job, int(file))


def _finish(job: Mapping[str, Any], file: int) -> None:
    definition, mode, role = job["schema"]
    schema, bounds = Schema.prepare(definition, mode=mode, role=role), Bounds(*job["bounds"])
    masker = Masker(job["secrets"]) if job["secrets"] else None
    _send(HEAD.pack(Kind.READY, 0))
    try:
        text = _read_text(file, job["size"])
        with _Bounded(job["memory"] + _VIRTUAL * len(text) + _VIRTUAL_BYTES):
            accepted = accept(memoryview(text), schema, masker, bounds, kinds=job["kinds"], keep=job["keep"])
            del text
            lines = accepted.block.lines
        give_memory_back()
        answer: dict[str, Any] = {
            "rows": accepted.number, "lines": len(lines), "size": accepted.size, "warnings": accepted.warnings,
        }  # fmt: skip
        _write_lines(file, lines)
    except (OutputError, OutputLimitError) as error:
        answer = refused(error)
    except NotJsonError as error:
        # So orjson says it, as of a text that it cannot read.
        answer = {"memory": True} if str(error).startswith("Not enough memory") else refused(error)
    except (MemoryError, SystemError):
        answer = {"memory": True}
    data = orjson.dumps(answer)
    _send(HEAD.pack(Kind.DONE, len(data)) + data)


class _Bounded:
    """Bounds what this process may take beyond what it has; what fails then may also end it."""

    def __init__(self, more: int) -> None:
        self._more = more

    def __enter__(self) -> None:
        with suppress(ImportError, OSError, ValueError):
            import resource

            with open("/proc/self/statm", "rb") as file:
                data = int(file.read().split()[5]) * resource.getpagesize()
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            most = data + self._more
            bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))

    def __exit__(self, *_: object) -> None:
        with suppress(ImportError, OSError, ValueError):
            import resource

            hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
            resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _receive() -> dict[str, Any] | None:
    """The next job; None at the end."""
    head = _read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    kind, length = HEAD.unpack(head)
    data = _read(length)
    if kind != Kind.JOB or len(data) < length:
        return None
    job: dict[str, Any] = orjson.loads(data)
    return job


def _read(length: int) -> bytes:
    """So many bytes of standard input, fewer at its end."""
    pieces = []
    while length:
        piece = os.read(0, length)
        if not piece:
            break
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def _read_text(file: int, size: int) -> bytes:
    text = os.pread(file, size, 0)
    os.ftruncate(file, 0)
    if len(text) < size:
        raise MemoryError
    return text


def _write_lines(file: int, lines: bytes) -> None:
    at = 0
    view = memoryview(lines)
    while at < len(lines):
        at += os.pwrite(file, view[at:], at)


def _send(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]
