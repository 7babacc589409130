"""What is stored of a run: as it waits, and as it has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ...workers.answers import Answer


class SavedAccount(NamedTuple):
    """How the budgets of a tenant, project or key stand: `spent` is JSON that `storage.accounts` packs and reads."""

    owner: str
    owner_id: str
    spent: str


class StoredRun(NamedTuple):
    """A run that was accepted and has not ended, as a restarted server finds it."""

    id: str
    tenant: str
    key_id: str
    created_at: float
    may_have_effects: bool
    attempts: int
    order: bytes
    input: bytes
    wall_seconds: float
    has_grants: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRun:
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
    lost_cpu_seconds: float
    """What attempts have used that went down with their worker."""
    answer: Answer
    is_new: bool
    keep_rows: bool
    project: str | None
    accounts: tuple[SavedAccount, ...]
    """Those that were charged for it, with it."""
