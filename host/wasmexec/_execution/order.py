"""`Order`: what to execute and under which conditions; `Services`: what the executions of one executor share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .._finishing.finisher import Finisher
    from .._guest.engine import GuestModule
    from .._hostcalls.http.placeholders import Placeholder
    from .._masking.masker import Masker
    from ..canned import CannedHttp
    from ..grants import Grants
    from ..http_calls import CallRecord
    from ..limits import Limits
    from ..result import LogRecord
    from ..schema import Schema
    from .deadlines import Cleanup
    from .request import Request
    from .threads import LoopThread, WorkerPool
    from .timers import Timers
    from .world import World


class Services(NamedTuple):
    """What the executions of one executor share."""

    guest: GuestModule
    workers: WorkerPool
    loop: LoopThread
    finisher: Finisher
    timers: Timers
    couriers: WorkerPool
    """Threads that call `on_log` callbacks, so that a slow one never holds up a guest."""
    enders: WorkerPool
    """Threads for executions that end while every worker is at work."""
    cleanup: Cleanup


class Order(NamedTuple):
    """What to execute and under which conditions, all of it checked; for one execution."""

    request: Request
    limits: Limits
    grants: Grants
    world: World
    schema: Schema | None = None
    masker: Masker | None = None
    on_log: Callable[[LogRecord], None] | None = None
    code: bytes | None = None
    """The statement's code, if it is known already."""
    placeholders: Sequence[Placeholder] = ()
    """What the statement holds of secrets that are bound to hosts."""
    canned_http: CannedHttp | None = None
    """Answers in place of the network; None: the network."""
    on_first_request: Callable[[], object] | None = None
    """Called once, on the loop, before the first HTTP request leaves."""
    on_wake: Callable[[], object] | None = None
    """Called when it has something to do again, and then waits until it is told to go on; None: it goes on at once."""
    free_awake: int = 0
    """It goes on at once, too, as long as fewer executions are awake."""
    on_request: Callable[[CallRecord], object] | None = None
    """Called on the loop when an HTTP request begins."""
    traceparent: str | None = None
    """A header that every HTTP request carries."""
    on_record: Callable[[LogRecord], None] | None = None
    """Called with each log record on the thread of the guest, which waits for it; not beside `on_log`."""
