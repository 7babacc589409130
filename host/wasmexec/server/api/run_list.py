"""Runs of the past over HTTP: list them, newest first, and delete them."""

from __future__ import annotations

import base64
import binascii
import heapq
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from ..documents import RunDocument
from ..http.operations import Answered, Operation
from ..problems import ProblemError, not_found
from ..runs.documents import live_document, recorded_document
from ..storage.runs import Place, RunFilter
from ..tenants.keys import Scope

if TYPE_CHECKING:
    from ..http.request import Request
    from ..runs.run import Run
    from ..runs.runs import Runs
    from ..storage.storage import Storage
    from .access import Access

_Time = Annotated[datetime, Meta(tz=True, description="A time of RFC 3339, with its zone")]


class RunsQuery(Struct, forbid_unknown_fields=True):
    """Which runs, and how many of them at most; `cursor` is the `next` of the answer before."""

    state: Literal["queued", "running", "ended"] | None = None
    status: Annotated[int, Meta(ge=100, le=999)] | None = None
    created_after: _Time | None = None
    created_before: _Time | None = None
    cursor: Annotated[str, Meta(max_length=200)] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class RunPage(Struct):
    """Runs, the newest first; `next` is the cursor of those after them, null if there are none."""

    runs: list[RunDocument]
    next: str | None


class RunListApi:
    """The handlers."""

    def __init__(self, access: Access, storage: Storage, runs: Runs) -> None:
        self._access = access
        self._storage = storage
        self._runs = runs

    @property
    def listing(self) -> Operation:
        """GET /v1/runs."""
        return Operation(
            handler=self.get_runs, scope=Scope.READ, query=RunsQuery, answers={200: RunPage},
        )  # fmt: skip

    @property
    def deletion(self) -> Operation:
        """DELETE /v1/runs/{id}."""
        return Operation(handler=self.delete_run, scope=Scope.RUN, answers={204: None}, problems=(409,))

    async def get_runs(self, request: Request) -> Answered:
        """The tenant's runs, newest first, those included that have not ended; why one waits is told of it alone."""
        tenant, _ = self._access.tenant(request, Scope.READ)
        query = request.query(RunsQuery)
        asked = RunFilter(
            status=query.status, created_after=_seconds(query.created_after),
            created_before=_seconds(query.created_before), before=_place(query.cursor),
        )  # fmt: skip
        # Looked at first: one that ends meanwhile is in both, and its record is the newer.
        found = (run for run in self._runs.of_tenant(tenant) if _is_asked(run, query.state, asked))
        live = heapq.nlargest(query.limit + 1, found, _place_of)
        records = []
        if query.state in (None, "ended"):
            records = await self._storage.runs.ended(tenant.name, asked, query.limit + 1)
        texts = {_place_of(run): live_document(run) for run in live}
        texts |= {Place(record["created_at"], record["id"]): recorded_document(record) for record in records}
        places = sorted(texts, reverse=True)
        more = len(places) > query.limit
        places = places[: query.limit]
        following = msgspec.json.encode(_cursor(places[-1]) if more else None)
        page = b",".join(texts[place] for place in places)
        return Answered(200, b'{"runs":[' + page + b'],"next":' + following + b"}")

    async def delete_run(self, request: Request) -> Answered:
        """Delete a run that has ended, with its rows and its log; its usage stays on record."""
        tenant, _ = self._access.tenant(request, Scope.RUN)
        run_id = request.parts["id"]
        if await self._runs.recorder.delete(run_id, tenant.name):
            return Answered(204, b"")
        if self._runs.find(run_id, tenant.name) is None and (
            await self._storage.runs.find(run_id, tenant.name) is None
        ):
            raise not_found()
        raise ProblemError(
            409, "run.ended", "a run can be deleted once it has ended and is on record; cancel it first",
            headers={"Retry-After": "1"}, retry_after_seconds=1, changed_by="tenant",
        )  # fmt: skip


def _is_asked(run: Run, state: str | None, asked: RunFilter) -> bool:
    """Whether a live run is one of those that are asked for; an execution of something larger is none of its own."""
    if run.on_end is not None:
        return False
    if state is not None and run.phase.value != state:
        return False
    if asked.status is not None and (run.answer is None or run.answer.status != asked.status):
        return False
    if asked.created_after is not None and run.created_at <= asked.created_after:
        return False
    if asked.created_before is not None and run.created_at >= asked.created_before:
        return False
    return asked.before is None or _place_of(run) < asked.before


def _place_of(run: Run) -> Place:
    return Place(run.created_at, run.id)


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def _place(cursor: str | None) -> Place | None:
    """Raises: ProblemError: 400: it is none that an answer had."""
    if cursor is None:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=Place)
    except (binascii.Error, msgspec.DecodeError, UnicodeError, ValueError):
        raise ProblemError(400, "cursor", "the cursor is not the next of an answer", changed_by="nobody") from None
