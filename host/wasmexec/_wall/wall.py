"""`Wall`: what is put around a process that works for tenants, in two steps, and what of it this system has.

    begin   before there is a second thread: privileges, resources, files
    close   when everything is loaded: system calls, for all threads

SECURITY: a guest that broke out of its memory has what the process has. Behind the wall that is: what it was given open
(its pipes, the connections that the egress policy made for it), the files that it needs, read-only, and its children,
which have the same wall. Not kept from it: processor time, `/proc` as far as everybody may read it, and, before Linux
6.12, signals to processes of the same user.
"""

from __future__ import annotations

import enum
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..errors import ConfigError
from . import landlock, privileges, seccomp


class Mode(enum.StrEnum):
    """What is done about a system that does not have all of it."""

    AUTO = "auto"
    """Go without what there is not, and say so."""
    REQUIRED = "required"
    """Do not start."""
    OFF = "off"
    """No wall."""


class Offer(NamedTuple):
    """What this system has of it."""

    files: int
    """The version of Landlock; 0: none."""
    calls: bool
    """Whether system calls can be filtered."""

    @property
    def missing(self) -> list[str]:
        """What it lacks, in words."""
        lacks = [] if self.files else ["Landlock (files by a list)"]
        return lacks if self.calls else [*lacks, "seccomp (system calls by a list)"]

    @property
    def text(self) -> str:
        """What there is, in words."""
        has = [f"files by a list (Landlock {self.files})"] if self.files else []
        has += ["system calls by a list (seccomp)"] if self.calls else []
        return ", ".join([*has, "no new privileges, bounded resources, an empty environment"])


def offer() -> Offer:
    """What this system has."""
    return Offer(landlock.version(), seccomp.is_offered())


def check_mode(mode: Mode) -> Offer:
    """What there will be of the wall.

    Raises:
        ConfigError: it is required, and this system does not have it.
    """
    found = offer()
    if mode is Mode.REQUIRED and found.missing:
        raise ConfigError(f"server: the wall is required, and this system lacks {', '.join(found.missing)}")
    return found


class Wall(NamedTuple):
    """The wall of one process: what it may do with which files, and bounds of resources by name."""

    mode: Mode
    files: Sequence[tuple[str, int]]
    bounds: Mapping[str, int]

    def pack(self) -> str:
        """As an argument of a command."""
        return json.dumps([self.mode, self.files, self.bounds])

    @staticmethod
    def unpack(text: str) -> Wall:
        """The wall that `pack` packed."""
        mode, files, bounds = json.loads(text)
        return Wall(Mode(mode), [(path, right) for path, right in files], bounds)

    def begin(self, parent: int) -> None:
        """The first step, for a process with one thread.

        Raises:
            OSError, ValueError: it is required, and the system does not do it.
        """
        if self.mode is Mode.OFF:
            return
        if sys.platform == "linux":
            self._do("end with its parent", lambda: privileges.end_with_parent(parent))
            self._do("give up privileges", privileges.give_up_privileges)
        self._do("bound resources", lambda: privileges.limit(self.bounds))
        if landlock.version() or self.mode is Mode.REQUIRED:
            self._do("bound files", lambda: landlock.enclose(self.files))

    def close(self) -> None:
        """The second step, for all threads and what they start.

        Raises:
            OSError: it is required, and the system does not do it.
        """
        if self.mode is not Mode.OFF and (seccomp.is_offered() or self.mode is Mode.REQUIRED):
            self._do("bound system calls", seccomp.install)

    def _do(self, what: str, step: Callable[[], None]) -> None:
        try:
            step()
        except (OSError, ValueError, AttributeError, ImportError) as error:
            if self.mode is Mode.REQUIRED:
                raise
            print(f"WARNING: a worker process cannot {what}: {error}", file=sys.stderr, flush=True)
