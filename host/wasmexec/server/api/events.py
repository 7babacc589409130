"""Live runs over HTTP: their states and the lines of their logs as server-sent events."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

from ..documents import LogDocument, RunDocument
from ..http.operations import UNBUFFERED, Answered, Operation, Route, Streamed, route
from ..runs.documents import live_document, recorded_document
from ..runs.run import Phase
from ..streaming.events import MEDIA_TYPE, Position
from ..streaming.follow import Told, ended_events, follow
from ..streaming.journal import AttemptLog
from ..tenants.keys import Scope

if TYPE_CHECKING:
    from ..http.request import Request
    from ..runs.run import Run
    from ..runs.runs import Runs
    from ..storage.storage import Storage
    from ..streaming.streams import Streams
    from .access import Access
    from .runs import RunsApi

_RESUMED = {"Last-Event-ID": "the id of the last event that was read: it goes on behind it"}


class EventsApi:
    """The handlers."""

    def __init__(self, access: Access, storage: Storage, runs: Runs, found: RunsApi, streams: Streams) -> None:
        self._access = access
        self._storage = storage
        self._runs = runs
        self._found = found
        self._streams = streams

    def routes(self) -> tuple[Route, ...]:
        """Paths and operations."""
        return (
            route("/v1/runs/{id}/events", GET=Operation(
                handler=self.get_events, scope=Scope.READ, answers={200: RunDocument, 204: None},
                media_type=MEDIA_TYPE.decode(), headers=_RESUMED,
            )),
            route("/v1/runs/{id}/logs", GET=Operation(
                handler=self.get_logs, scope=Scope.READ, answers={200: list[LogDocument], 204: None},
                problems=(409, 410),
                other_media_types=(MEDIA_TYPE.decode(),),
                headers={"Accept": f"{MEDIA_TYPE.decode()}: the lines as they come, also of a live run", **_RESUMED},
            )),
        )  # fmt: skip

    async def get_events(self, request: Request) -> Answered | Streamed:
        """The states of a run and the lines of its log, as they come and until it has ended."""
        return await self._events(request, with_states=True)

    async def get_logs(self, request: Request) -> Answered | Streamed:
        """The log of a run: a JSON array once it has ended, or server-sent events as they come."""
        if MEDIA_TYPE.decode() in (request.header(b"accept") or "").lower():
            return await self._events(request, with_states=False)
        return await self._found.payload(request, "logs")

    async def _events(self, request: Request, *, with_states: bool) -> Answered | Streamed:
        tenant, _ = self._access.tenant(request, Scope.READ)
        run, record = await self._found.find(request, Scope.READ)
        position = Position.parse(request.header(b"last-event-id"))
        if run is not None and run.phase is not Phase.ENDED:
            stream = self._streams.open(tenant, run.journal.wake)
            pieces = follow(run, stream, position, self, with_states=with_states)
        else:
            found = ended_events(*await self._ended(run, record), position, with_state=with_states)
            first = next(found, None)
            if first is None:
                # An EventSource asks again after the end, and is told by this to stop.
                return Answered(204, b"")
            stream = self._streams.open(tenant, lambda: None)
            pieces = _each(chain((first,), found))
        return Streamed(200, pieces, UNBUFFERED, MEDIA_TYPE, lambda: self._streams.end(stream))

    async def _ended(self, run: Run | None, record: dict[str, Any] | None) -> tuple[AttemptLog, float | None, bytes]:
        """The log, the start and the document of a run that has ended."""
        if run is not None:
            return run.journal.log, run.started_at, live_document(run)
        assert record is not None
        logs = await self._storage.runs.payload(record["id"], "logs")
        return AttemptLog(max(1, record["attempts"]), logs or b"[]"), record["started_at"], recorded_document(record)

    async def settle(self, run: Run) -> None:
        """Return once the end of a run is on disk."""
        await self._runs.settle(run)

    def tell(self, run: Run) -> Told:
        """A run as it is now, for the readers of its events."""
        waiting = self._runs.why_waiting(run, time.monotonic())
        return Told(live_document(run, waiting), None if waiting is None else (waiting.rule, waiting.position))


async def _each(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
