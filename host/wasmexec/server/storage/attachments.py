"""What runs have beside their rows: recordings, what is needed to replay them, and reports of replays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, ScalarSelect, delete, insert, select

from ...workers.answers import NONE
from ..vault.places import kept_place
from .tables import attachments, runs

if TYPE_CHECKING:
    from ..runs.records import EndedRun
    from .kept import KeptVault
    from .transactions import Transactions

RECORDING = "recording"
ORDER = "order"
REPLAY = "replay"


def add_attachments(connection: Connection, run: EndedRun, kept: KeptVault) -> None:
    """Store those of a run, sealed, in the transaction that ends it."""
    answer = run.answer
    found = {REPLAY: answer.replay}
    if run.recorded_order is not None:
        found |= {RECORDING: answer.recording, ORDER: run.recorded_order}
    rows = [
        {"run_id": run.id, "name": name, "data": kept.seal(data, kept_place(run.tenant, run.id, name))}
        for name, data in found.items()
        if data != NONE
    ]
    if rows:
        connection.execute(insert(attachments), rows)


def drop_attachments(connection: Connection, run_ids: Sequence[str]) -> None:
    """Delete those of runs."""
    connection.execute(delete(attachments).where(attachments.c.run_id.in_(run_ids)))


def report_of_run() -> ScalarSelect[Any]:
    """A column beside those of `runs`: the report, if the run is a replay."""
    query = select(attachments.c.data).where(attachments.c.run_id == runs.c.id, attachments.c.name == REPLAY)
    return query.correlate(runs).scalar_subquery()


class AttachmentStorage:
    """Rows of attachments."""

    def __init__(self, storage: Transactions) -> None:
        self._storage = storage

    async def find(self, run_id: str, *names: str) -> dict[str, bytes]:
        """Those of a run that there are, by name.

        Raises:
            SealError: one was changed, or is another run's.
        """

        def work(connection: Connection) -> dict[str, bytes]:
            found = connection.execute(
                select(attachments.c.name, attachments.c.data, runs.c.tenant)
                .join(runs, runs.c.id == attachments.c.run_id)
                .where(attachments.c.run_id == run_id, attachments.c.name.in_(names))
            ).all()
            opened = self._storage.kept.open
            return {row.name: opened(bytes(row.data), kept_place(row.tenant, run_id, row.name)) for row in found}

        return await self._storage.read(work)
