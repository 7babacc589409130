"""The operator's view of the server itself over HTTP: its worker processes, a rolling restart, draining."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from ..http.operations import Answered, Operation, Route, json_answer, route
from ..runs.worker import WorkerFigures
from ..storage.audit import audit
from ..tenants.keys import OPERATOR, Scope

if TYPE_CHECKING:
    from ..http.request import Request
    from ..runs.runs import Runs
    from ..storage.storage import Storage
    from ..tenants.keys import KeyRecord
    from .access import Access


class WorkersDocument(Struct):
    """The worker processes, and what became of earlier ones since the start of the server."""

    workers: list[WorkerFigures]
    slots: int
    starts: int
    deaths: int
    recycled: int
    is_restarting: bool


class DrainDocument(Struct):
    """What is still there when the server begins to drain."""

    executing: int
    asleep: int
    drain_seconds: float


class WorkersApi:
    """The handlers; `stop` has the server drain and end, as SIGTERM does."""

    def __init__(
        self, access: Access, storage: Storage, runs: Runs, drain_seconds: float, stop: Callable[[], None]
    ) -> None:
        self._access = access
        self._storage = storage
        self._runs = runs
        self._drain_seconds = drain_seconds
        self._stop = stop

    def routes(self) -> tuple[Route, ...]:
        """Paths and operations."""
        return (
            route("/v1/admin/workers", GET=Operation(
                handler=self.get_workers, scope=Scope.ADMIN, answers={200: WorkersDocument},
            )),
            route("/v1/admin/workers:restart", POST=Operation(
                handler=self.post_restart, scope=Scope.ADMIN, answers={202: WorkersDocument},
            )),
            route("/v1/admin/drain", POST=Operation(
                handler=self.post_drain, scope=Scope.ADMIN, answers={202: DrainDocument},
            )),
        )  # fmt: skip

    async def get_workers(self, request: Request) -> Answered:
        """The worker processes."""
        self._access.operator(request)
        return json_answer(200, self._document())

    async def post_restart(self, request: Request) -> Answered:
        """Replace every worker process, one after the other, without losing a run.

        The replacement has answered a probe before the old one gets no more runs, and that ends once its runs have.
        """
        await self._note(self._access.operator(request), "workers.restart")
        self._runs.fleet.restart()
        return json_answer(202, self._document())

    async def post_drain(self, request: Request) -> Answered:
        """End the server as SIGTERM does: no new runs, running ones may end, accepted ones go on at the next start."""
        await self._note(self._access.operator(request), "server.drain")
        fleet = self._runs.fleet
        document = DrainDocument(fleet.executing, fleet.asleep, self._drain_seconds)
        self._stop()
        return json_answer(202, document)

    async def _note(self, key: KeyRecord, action: str) -> None:
        """Put it on the audit log, before it is done."""
        await self._storage.write(lambda connection: audit(connection, key.actor, OPERATOR, action, "server", {}))

    def _document(self) -> WorkersDocument:
        fleet = self._runs.fleet
        return WorkersDocument(
            workers=fleet.figures(), slots=fleet.slots, starts=fleet.starts,
            deaths=fleet.deaths, recycled=fleet.recycled, is_restarting=fleet.is_restarting,
        )  # fmt: skip
