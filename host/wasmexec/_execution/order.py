"""`Order`: what to execute and under which conditions; `Services`: what the executions of one executor share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .._guest.engine import GuestModule
    from .._masking.masker import Masker
    from .._replay.worlds import Course
    from ..grants import Grants
    from ..limits import Limits
    from ..result import LogRecord
    from ..schema import Schema
    from .request import Request
    from .threads import LoopThread, WorkerPool


class Services(NamedTuple):
    """What the executions of one executor share."""

    guest: GuestModule
    workers: WorkerPool
    loop: LoopThread
    courier: WorkerPool
    """One thread that calls `on_log` callbacks, so that a slow one never holds up a guest."""


class Order(NamedTuple):
    """What to execute and under which conditions, all of it checked."""

    request: Request
    limits: Limits
    grants: Grants
    schema: Schema | None = None
    masker: Masker | None = None
    on_log: Callable[[LogRecord], None] | None = None
    course: Course | None = None
    """None: the clocks and the randomness of the system, and nothing is recorded."""
    code: bytes | None = None
    """The statement's code, if it is known already."""
