"""What is stored of a run: as it waits, as it starts, as it has ended, and the answer to a request that has a key."""

from __future__ import annotations

from typing import NamedTuple

from ...workers.answers import Answer


class SavedAccount(NamedTuple):
    """How the budgets of a tenant, project or key stand: `spent` is JSON that `storage.accounts` packs and reads."""

    owner: str
    owner_id: str
    spent: str


class KeptAnswer(NamedTuple):
    """The answer to the first request with an Idempotency-Key; `digest` is that of the request.

    `body` is None if its run has been deleted.
    """

    tenant: str
    key: str
    digest: bytes
    run_id: str
    created_at: float
    status: int
    body: bytes | None


class NewRun(NamedTuple):
    """A run that is accepted, with the answer that says so if its request has a key."""

    id: str
    tenant: str
    key_id: str
    created_at: float
    order: bytes
    input: bytes
    wall_seconds: float
    has_grants: bool
    kind: str
    answer: KeptAnswer | None


class StoredRun(NamedTuple):
    """A run that was accepted and has not ended, as a restarted server finds it; `size` is that of order and input."""

    id: str
    tenant: str
    key_id: str
    created_at: float
    may_have_effects: bool
    attempts: int
    size: int
    wall_seconds: float
    has_grants: bool
    kind: str | None


class StartedRun(NamedTuple):
    """An attempt that begins."""

    id: str
    attempts: int
    may_have_effects: bool
    started_at: float


class EndedRun(NamedTuple):
    """A run at its end, to be recorded; `is_new` if nothing of it is stored yet."""

    id: str
    tenant: str
    key_id: str
    created_at: float
    started_at: float | None
    ended_at: float
    attempts: int
    wall_seconds: float
    has_grants: bool
    kind: str
    lost_cpu_seconds: float
    """What attempts have used that went down with their worker."""
    answer: Answer
    is_new: bool
    keep_rows: bool
    project: str | None
    accounts: tuple[SavedAccount, ...]
    """Those that were charged for it, with it."""
    kept: KeptAnswer | None
    """The answer over HTTP, if that is the only one and its request has a key."""
    recorded_order: bytes | None = None
    """What is needed beside its recording to replay it; None if it has none."""
