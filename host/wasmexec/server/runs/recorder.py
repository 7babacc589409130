"""`Recorder`: the ends of runs on their way to the store, and how many of a tenant's are there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ...workers.answers import NONE
from ..problems import ProblemError
from ..quotas.refusals import check_count
from ..storage.accounts import saved
from .admission import recorded_order
from .documents import ended_document
from .records import EndedRun, KeptAnswer
from .stored_counts import StoredCounts

if TYPE_CHECKING:
    from ..config import ServerConfig
    from ..storage.storage import Storage
    from ..tenants.directory import Tenant
    from .run import Run

_RECORD_AGAIN_SECONDS = 1.0
_DELETE_SECONDS = 2.0
"""For which a request to delete a run waits until its end is on record."""
_log = logging.getLogger(__name__)


class Recorder:
    """Records the end of each run once; `recorded` is told when it is on disk."""

    def __init__(self, config: ServerConfig, storage: Storage, recorded: Callable[[Run], None]) -> None:
        self._config = config
        self._storage = storage
        self._tell = recorded
        self._ending: dict[str, Run] = {}
        """Runs that have ended, and whose end is not on disk yet."""
        self.counts = StoredCounts(storage)

    async def know(self, tenant: Tenant) -> None:
        """Have the number of runs on record known, if the tenant has a rule about it. Raises: StoreError."""
        if tenant.document.max_stored_runs is not None:
            await self.counts.know(tenant.name)

    def record(self, run: Run) -> None:
        """Have the end of a run stored, with the answer to its request if that has a key and waited for it."""
        assert run.answer is not None
        assert run.ended_at is not None
        self._ending[run.id] = run
        kept = None
        if run.request_key is not None and not run.is_durable and run.refusal is None:
            kept = KeptAnswer(*run.request_key, run.id, run.created_at, 200, ended_document(run))
        ended = EndedRun(
            id=run.id, tenant=run.tenant.name, key_id=run.key_id, created_at=run.created_at, started_at=run.started_at,
            ended_at=run.ended_at, attempts=run.attempts, wall_seconds=run.limits.wall_seconds,
            has_grants=run.has_grants, kind=run.statement, lost_cpu_seconds=run.lost_cpu_seconds, answer=run.answer,
            is_new=not run.is_durable, keep_rows=run.is_durable, project=run.tenant.projects.get(run.key_id),
            accounts=tuple(saved(account, run.ended_at) for account in run.tenant.accounts(run.key_id)), kept=kept,
            recorded_order=None if run.answer.recording == NONE else recorded_order(run.order),
        )  # fmt: skip
        if run.recorded is None and (run.is_durable or kept is not None):
            run.recorded = asyncio.get_running_loop().create_future()
        self._storage.runs.end(ended, partial(self._recorded, run))

    def ending_of(self, tenant: Tenant) -> Iterator[Run]:
        """The runs of a tenant that have ended, and whose end is not on disk yet."""
        return (run for run in self._ending.values() if run.tenant is tenant)

    def refuse_full(self, tenant: Tenant) -> None:
        """Return if the tenant may have one more run on record, those included that have not ended.

        Raises:
            ProblemError: 409.
        """
        most = tenant.document.max_stored_runs
        if most is None:
            return
        ending = sum(1 for _ in self.ending_of(tenant))
        used = self.counts[tenant.name] + ending + len(tenant.queued) + len(tenant.running)
        refusal = check_count("stored_runs", range(used), most, status=409)
        if refusal is not None:
            raise ProblemError.of(refusal)

    def refuse_without_store(self, *, is_durable: bool) -> None:
        """Return if a run can be taken that need not be stored now, or, if it `is_durable`, that must be.

        Raises:
            ProblemError: 503: the store does not answer, and for a run that must be stored, or not for a moment.
        """
        writer, config = self._storage.writer, self._config
        away, waiting = writer.away_seconds, writer.waiting_bytes
        value: float
        used: float
        if waiting > config.max_unstored_bytes:
            rule, value, used = "server.max_unstored_bytes", config.max_unstored_bytes, waiting
        elif away and (is_durable or away > config.store_away_seconds):
            rule, value, used = "server.store_away_seconds", 0 if is_durable else config.store_away_seconds, away
        else:
            return
        raise ProblemError(
            503, rule, f"the store has not answered for {away:.1f} s, and {waiting:,} bytes are to be stored; nothing "
            "was accepted", value=value, used=used, changed_by="operator", headers={"Retry-After": "2"},
            retry_after_seconds=2,
        )  # fmt: skip

    async def delete(self, run_id: str, tenant: str) -> bool:
        """Delete a run that has ended, once it is on record; whether there was one. Raises: StoreError."""
        run = self._ending.get(run_id)
        if run is not None and run.tenant.name == tenant:
            run.recorded = run.recorded or asyncio.get_running_loop().create_future()
            await asyncio.wait([run.recorded], timeout=_DELETE_SECONDS)
        return bool(await self._storage.runs.delete(run_id, tenant, self.note_deleted))

    def note_deleted(self, deleted: Mapping[str, int]) -> None:
        """So many runs of tenants are on record no more."""
        for tenant, count in deleted.items():
            self.counts.add(tenant, -count)

    def _recorded(self, run: Run, result: Any, error: Exception | None) -> None:
        if error is not None:
            _log.error("the end of %s is not on record yet: %s", run.id, error)
            asyncio.get_running_loop().call_later(_RECORD_AGAIN_SECONDS, self.record, run)
            return
        self._ending.pop(run.id, None)
        self._tell(run)
        self.counts.add(run.tenant.name, 1)
        if run.recorded is not None and not run.recorded.done():
            run.recorded.set_result(None)
