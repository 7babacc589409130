"""`Run`: one run from its acceptance to its end."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from ...errors import ExecutionCancelled, GuestLostError, TimeLimitError, WasmexecError
from ...grants import HttpGrant
from ...limits import Limits
from ...result import Result
from ...status import Status
from ...workers.answers import Answer, answer_of
from ...workers.files import LongText
from ..documents import PackedGrants
from ..streaming.journal import AttemptLog, Journal
from .quarantine import Culprit

if TYPE_CHECKING:
    from ..quotas.refusals import Refusal
    from ..tenants.directory import Tenant
    from ..watching.run_trace import RunTrace
    from .repeats import Key
    from .worker import Entry, KeptOrder

ATTEMPTS = 3
MOST_SPARED = 10


class _GrantingOrder(msgspec.Struct):
    """What of a packed order is read here."""

    grants: PackedGrants


class Phase(enum.Enum):
    """Where a run is."""

    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(slots=True, eq=False, kw_only=True)
class Run:
    """A run that was accepted; `order` is a packed order, `data` the input's JSON text.

    `ended` has the answer. `is_durable`: it was acknowledged before it ended, and outlives this process.
    """

    id: str
    tenant: Tenant
    key_id: str
    order: bytes
    data: bytes | LongText
    statement: str
    """A hash of it: what runs of a kind have in common."""
    limits: Limits
    has_grants: bool
    is_durable: bool
    created_at: float
    effective: Mapping[str, bytes] = field(default_factory=dict)
    """The limits and the grants that are in force, as JSON for who asked for it."""
    max_wait_seconds: float | None = None
    is_loaded: bool = True
    """Whether `order` and `data` are here, or in the store only."""
    request_key: Key | None = None
    """The key of its request, if that had one."""
    attempts: int = 0
    spared: int = 0
    """Attempts that were lost because of another run."""
    phase: Phase = Phase.QUEUED
    number: int = 0
    """Of the present attempt, among all executions of this process."""
    entry: Entry | None = None
    started_at: float | None = None
    ended_at: float | None = None
    has_requested: bool = False
    """Whether an attempt has sent an HTTP request."""
    is_cancelled: bool = False
    lost_cpu_seconds: float = 0.0
    answer: Answer | None = None
    refusal: Refusal | None = None
    """Why it ended without having started, if that was no one's wish."""
    trace: RunTrace | None = None
    """Its spans, if its request is traced; those of a run from before a restart are not."""
    kept: KeptOrder | None = None
    """In place of `order`, for many that have it in common."""
    on_end: Callable[[Run], None] | None = None
    """For an execution of something larger, which is told of the end and puts it on record."""
    on_sleep: Callable[[], None] | None = None
    """Likewise, each time that it gives its slot back."""
    stored: asyncio.Future[None] | None = None
    """When it is on disk; None if it need not be before it starts."""
    recorded: asyncio.Future[None] | None = None
    """When its end is on disk; None as long as it has not ended, or as nobody waits for that."""
    ended: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    journal: Journal = field(init=False)

    def __post_init__(self) -> None:
        self.journal = Journal(AttemptLog(self.attempts + 1))

    @property
    def size(self) -> int:
        """The bytes that are kept for it until it has ended."""
        return len(self.order) + len(self.data)

    @property
    def http_grants(self) -> list[HttpGrant]:
        """What it may reach, as its order says once that is here."""
        if not self.has_grants or not self.is_loaded:
            return []
        if self.kept is not None:
            return self.kept.http_grants
        order = msgspec.json.decode(self.order, type=_GrantingOrder)
        return [HttpGrant(**grant) for grant in order.grants.http]

    @property
    def is_start_noted(self) -> bool:
        """Whether each attempt is on record before it begins: after a crash nobody could know what it had done."""
        return self.is_durable and (self.has_grants or self.tenant.document.repeat_lost == "never")

    @property
    def is_asleep(self) -> bool:
        """Whether it runs and holds no slot."""
        return self.entry is not None and self.entry.is_waiting

    @property
    def culprit(self) -> Culprit:
        """What is remembered of it when its worker dies."""
        return Culprit(self.tenant.name, self.statement)

    @property
    def why_not_repeated(self) -> str | None:
        """Why it is not begun anew, by its tenant's rule; None: it is."""
        rule = self.tenant.document.repeat_lost
        if rule == "never":
            return "its tenant has no lost run repeated (repeat_lost)"
        if rule == "safe" and self.has_requested:
            return "it had sent HTTP requests, so it was not repeated"
        return f"that was attempt {self.attempts}" if self.attempts - self.spared >= ATTEMPTS else None

    def spare(self) -> None:
        """Not to count an attempt that was lost because of another run; that it was is not believed without end."""
        self.spared = min(self.spared + 1, MOST_SPARED)


def cancelled_answer(why: str = "cancelled") -> Answer:
    """The answer of a run that was cancelled."""
    return _failed(Status.CANCELLED, ExecutionCancelled(why))


def lost_answer(why: str, after: str) -> Answer:
    """The answer of a run whose worker died, and that is not repeated because of what comes `after`."""
    return _failed(Status.RUNTIME_FAILED, GuestLostError(f"{why}; {after}", trap="worker"))


def overdue_answer(limit: float) -> Answer:
    """The answer of a run that its worker did not end in time."""
    error = TimeLimitError(f"out of time ({limit:g} s), and its worker process did not end it", limit=limit, used=limit)
    return _failed(Status.TIMED_OUT, error)


def unstored_answer(why: object) -> Answer:
    """The answer of a run that could not be stored, and did not start."""
    return _failed(Status.RUNTIME_FAILED, WasmexecError(f"the run could not be stored, and has not started: {why}"))


def _failed(status: Status, error: WasmexecError) -> Answer:
    return answer_of(Result(status=status, error=error))
