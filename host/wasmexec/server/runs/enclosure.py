"""`Enclosure`: how each worker of the server is started: its command, its environment and its wall."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..._wall import seccomp
from ..._wall.files import files_needed
from ..._wall.wall import Mode, Wall
from ...isolation import child_command
from ...limits import GIB, MIB

if TYPE_CHECKING:
    from .egress import Egress
    from .long_texts import LongTexts

_KEPT: Final = ("LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "MALLOC_ARENA_MAX")
"""What of the environment Python and TLS need; of an empty one nothing can be read."""
_FILES, _FILES_EACH = 512, 20
_THREADS = 1024
_STACKS: Final = _THREADS * 64 * MIB


def kept_environment(mode: Mode) -> dict[str, str] | None:
    """That of a process behind a wall; None: as ours."""
    return None if mode is Mode.OFF else {name: os.environ[name] for name in _KEPT if name in os.environ}


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosure:
    """`image` is a manifest whose memory has `image_bytes`.

    `computing` executions compute at once and `most_asleep` more are there.

    With more than `memory_bytes` of its own a worker is ended.
    """

    image: str
    image_bytes: int
    computing: int
    most_asleep: int
    memory_bytes: int
    mode: Mode
    reports_calls: bool = False
    """Whether answers tell of HTTP requests."""

    @property
    def has_broker(self) -> bool:
        """Whether connections are made by the front: workers behind the wall cannot."""
        return self.mode is not Mode.OFF and seccomp.is_offered()

    @property
    def environment(self) -> dict[str, str] | None:
        """Of a worker; None: as ours."""
        return kept_environment(self.mode)

    def command(self, egress: Egress | None, texts: LongTexts | None) -> list[str]:
        """What starts a worker."""
        channel, files = ("" if end is None else str(end.theirs.fileno()) for end in (egress, texts))
        return child_command(
            "workers.orders_child", str(os.getpid()), self.image, str(self.computing), self._wall().pack(), channel,
            "calls" if self.reports_calls else "", files,
        )  # fmt: skip

    def _wall(self) -> Wall:
        if self.mode is Mode.OFF:
            return Wall(self.mode, [], {})
        executions = self.computing + self.most_asleep
        bounds = {
            "CORE": 0,
            "MEMLOCK": 0,
            "NOFILE": _FILES + _FILES_EACH * executions,
            "FSIZE": 4 * GIB,
            # Of the user, all processes together; root has no such bound.
            "NPROC": 64 * _THREADS,
            # RLIMIT_AS cannot be: each memory reserves 4 GiB of addresses. What counts here are mappings that may be
            # written to, touched or not: images, stacks, and what guests and the process itself ask for.
            "DATA": executions * self.image_bytes + _STACKS + 2 * self.memory_bytes,
        }
        return Wall(self.mode, files_needed(Path(self.image).parent), bounds)
