"""Which process runs a run, in a way that others on the same machine can check whether it still lives."""

from __future__ import annotations

import os
import socket
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")


class ProcessIdentity(NamedTuple):
    """`scope` is one boot of one machine and one process namespace ("": it cannot be told); `start` in clock ticks."""

    host: str
    scope: str
    process_id: int
    start: int


def this_process() -> ProcessIdentity:
    """The calling process; right after a fork too."""
    host, scope = _place()
    pid = os.getpid()
    return ProcessIdentity(host, scope, pid, _start(pid) or 0)


def is_dead(process_id: int, start: int) -> bool:
    """True if the process of that number and start is gone; ask only within its own scope."""
    return _start(process_id) != start


@lru_cache(maxsize=1)
def _place() -> tuple[str, str]:
    host = socket.gethostname()[:255]
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink(_PROC / "self/ns/pid")
    except OSError:
        return host, ""
    return host, f"{boot} {namespace}"[:100]


def _start(process_id: int) -> int | None:
    """Start of a live process in clock ticks since boot; None if it is gone or only waits to be reaped."""
    try:
        text = (_PROC / str(process_id) / "stat").read_text(errors="replace")
        state, *rest = text.rpartition(")")[2].split()
        return None if state in "ZXx" else int(rest[18])
    except (OSError, ValueError, IndexError):
        return None
