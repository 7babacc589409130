"""`StepEnclosure`: how the processes are started that read what tenants send: command, environment and wall."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..._wall.files import files_needed
from ..._wall.wall import Mode, Wall
from ...isolation import child_command
from ...limits import GIB
from ..runs.enclosure import kept_environment

_FILES: Final = 256
_PROCESSES: Final = 65_536
"""Of the user, all processes together; root has no such bound."""


@dataclass(frozen=True, slots=True)
class StepEnclosure:
    """`image` is the manifest of the workers: what lies beside it may be read, and nothing but libraries."""

    mode: Mode
    image: str

    @property
    def command(self) -> list[str]:
        """What starts one."""
        return child_command("server.steps.child", str(os.getpid()), self._wall().pack())

    @property
    def environment(self) -> dict[str, str] | None:
        """Of one; None: as ours."""
        return kept_environment(self.mode)

    def _wall(self) -> Wall:
        if self.mode is Mode.OFF:
            return Wall(self.mode, [], {})
        # Its memory is bounded by what it is given, which it knows first.
        bounds = {"CORE": 0, "MEMLOCK": 0, "NOFILE": _FILES, "FSIZE": 4 * GIB, "NPROC": _PROCESSES}
        return Wall(self.mode, files_needed(Path(self.image).parent), bounds)
