"""How rows of runs are written, many at a time: accepted, started, ended with their usage, forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, bindparam, delete, insert, update

from ...workers.files import whole
from ..runs.costs import costs_of
from ..runs.records import EndedRun, NewRun, StartedRun
from ..vault.places import input_place, kept_place, order_place
from .accounts import AccountRows
from .attachments import add_attachments
from .idempotency import KeyRows
from .prepared import Prepared, bound, upsert
from .tables import COSTS, COUNTS, runs, step_runs
from .usage import UsagePlace, UsageRows, hour_of

if TYPE_CHECKING:
    from .kept import KeptVault

_WAITING = ("id", "tenant", "key_id", "created_at", "order", "input", "wall_seconds", "has_grants", "kind", "state",
            "may_have_effects", "attempts")  # fmt: skip
_ALL = tuple(column.name for column in runs.c)
_in_order = itemgetter(*_ALL)
_CHANGED = tuple(name for name in _ALL if name not in ("id", "tenant", "key_id", "created_at", "kind"))


class NewRuns:
    """Runs that wait; what they are to do is sealed."""

    place = 0

    def __init__(self, engine: Engine, kept: KeptVault) -> None:
        self._vault = kept.vault
        self._insert = Prepared(insert(runs).values(bound(_WAITING)), _WAITING, engine)
        self._keys = KeyRows(engine, kept)

    def store(self, connection: Connection, rows: Sequence[NewRun]) -> None:
        """Insert them, with the keys of their requests."""
        self._insert.execute(connection, [
            (row.id, row.tenant, row.key_id, row.created_at,
             self._vault.seal(row.order, order_place(row.tenant, row.id)),
             self._vault.seal(row.input, input_place(row.tenant, row.id)),
             row.wall_seconds, int(row.has_grants), row.kind, "queued", 0, 0)
            for row in rows
        ])  # fmt: skip
        self._keys.store(connection, [row.answer for row in rows if row.answer is not None])

    def store_again(self, connection: Connection, row: NewRun) -> None:
        """Insert one."""
        self.store(connection, [row])


class StartedRuns:
    """Attempts that begin."""

    place = 1

    def __init__(self, engine: Engine) -> None:
        names = ("attempts", "may_have_effects", "started_at", "run_id")
        changed = update(runs).where(runs.c.id == bindparam("run_id")).values(bound(names[:3]))
        self._update = Prepared(changed, names, engine)

    def store(self, connection: Connection, rows: Sequence[StartedRun]) -> None:
        """Note them."""
        self._update.execute(
            connection, [(row.attempts, int(row.may_have_effects), row.started_at, row.id) for row in rows]
        )

    def store_again(self, connection: Connection, row: StartedRun) -> None:
        """Note one."""
        self.store(connection, [row])


class EndedRuns:
    """Runs at their end, each recorded once with its usage, in one transaction; what is kept of them is sealed."""

    place = 2

    def __init__(self, engine: Engine, kept: KeptVault) -> None:
        self._kept = kept
        self._insert = Prepared(insert(runs).values(bound(_ALL)), _ALL, engine)
        absent = upsert(runs, engine).values(bound(_ALL)).on_conflict_do_nothing()
        self._insert_absent = Prepared(absent, _ALL, engine)
        waiting = update(runs).where(runs.c.id == bindparam("run_id"), runs.c.state != bindparam("unchanged"))
        self._update = Prepared(waiting.values(bound(_CHANGED)), (*_CHANGED, "run_id", "unchanged"), engine)
        self._usage = UsageRows(engine)
        self._keys = KeyRows(engine, kept)
        self._accounts = AccountRows(engine)

    def store(self, connection: Connection, rows: Sequence[EndedRun]) -> None:
        """Record them.

        Raises:
            LookupError: one of them was recorded before, or was never stored.
        """
        values = [self._values(row) for row in rows]
        new = [_in_order(value) for row, value in zip(rows, values, strict=True) if row.is_new]
        if new:
            self._insert.execute(connection, new)
        waiting = [_changes(row, value) for row, value in zip(rows, values, strict=True) if not row.is_new]
        if waiting and self._update.execute(connection, waiting) != len(waiting):
            raise LookupError("a run that has ended, or was never stored, ends")
        self._account(connection, rows, values)

    def store_again(self, connection: Connection, row: EndedRun) -> None:
        """Record one, unless it is recorded."""
        values = self._values(row)
        if row.is_new:
            changed = self._insert_absent.execute(connection, [_in_order(values)])
        else:
            changed = self._update.execute(connection, [_changes(row, values)])
        if changed == 1:
            self._account(connection, [row], [values])

    def _account(self, connection: Connection, rows: Sequence[EndedRun], values: Sequence[dict[str, Any]]) -> None:
        sums: dict[UsagePlace, list[int]] = {}
        for row, value in zip(rows, values, strict=True):
            place = UsagePlace(hour_of(row.ended_at), row.tenant, row.project or "", row.key_id)
            total = sums.setdefault(place, [0] * len(COUNTS))
            total[0] += 1
            total[1] += not row.answer.status.succeeded
            for number, name in enumerate(COSTS, 2):
                total[number] += value[name]
        self._usage.add(connection, sums)
        self._accounts.store(connection, [account for row in rows for account in row.accounts])
        self._keys.store(connection, [row.kept for row in rows if row.kept is not None])
        for row in rows:
            if row.keep_rows:
                add_attachments(connection, row, self._kept)

    def _values(self, run: EndedRun) -> dict[str, Any]:
        """By the columns."""
        answer, used = run.answer, run.answer.usage
        kept = {"error": answer.error, "warnings": answer.warnings}
        if run.keep_rows:
            kept |= {"rows": whole(answer.rows), "logs": answer.logs}
        return {
            "id": run.id, "tenant": run.tenant, "key_id": run.key_id, "state": "ended",
            "may_have_effects": int(used.http_requests > 0), "created_at": run.created_at,
            "started_at": run.started_at, "ended_at": run.ended_at, "attempts": run.attempts, "order": None,
            "input": None, "wall_seconds": run.wall_seconds, "has_grants": int(run.has_grants), "kind": run.kind,
            "status": int(answer.status),
            **costs_of(answer, run.lost_cpu_seconds), "peak_memory_bytes": used.peak_memory_bytes,
            "log_dropped": answer.log_dropped, "project": run.project, "rows": None, "logs": None,
            **{name: self._kept.seal(data, kept_place(run.tenant, run.id, name)) for name, data in kept.items()},
        }  # fmt: skip


class ForgottenRuns:
    """Runs, of steps or by themselves, that were not acknowledged, for nobody knew whether they were stored."""

    place = 3

    def __init__(self, engine: Engine, kept: KeptVault) -> None:
        gone = delete(runs).where(runs.c.id == bindparam("run_id"))
        self._delete = Prepared(gone, ("run_id",), engine)
        gone = delete(step_runs).where(step_runs.c.id == bindparam("run_id"))
        self._delete_of_steps = Prepared(gone, ("run_id",), engine)
        self._keys = KeyRows(engine, kept)

    def store(self, connection: Connection, rows: Sequence[str]) -> None:
        """Delete them, and the keys of their requests."""
        ids = [(run_id,) for run_id in rows]
        self._delete.execute(connection, ids)
        self._delete_of_steps.execute(connection, ids)
        self._keys.forget(connection, rows)

    def store_again(self, connection: Connection, row: str) -> None:
        """Delete one."""
        self.store(connection, [row])


def _changes(row: EndedRun, values: dict[str, Any]) -> tuple[Any, ...]:
    return (*(values[name] for name in _CHANGED), row.id, "ended")
