"""Runs of steps over HTTP: ask for one, look at it, have its rows, log and failed rows, cancel it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct

from ...rows.json_text import encode
from ..http.forms import JSON, NDJSON, input_of_lines, is_ndjson, lines_of_arrays, one_array, wants_lines
from ..http.operations import Answered, Operation, Route, Streamed, json_answer, route
from ..http.request import decode_body
from ..problems import ProblemError, not_found
from ..runs.admission import opened_secrets
from ..runs.records import KeptAnswer
from ..runs.repeats import First, key_of
from ..steps.documents import StepRunDocument, document_of
from ..steps.messages import Plan
from ..steps.plans import allowed_by
from ..steps.step_run import StepRun, StepRunRequest
from ..storage.step_runs import StoredStepRun
from ..tenants.keys import Scope
from .runs import REPEATED, ROW_FORMS

if TYPE_CHECKING:
    from ...store.records import RunRecord
    from ..http.request import Request
    from ..runs.repeats import Key, Repeats
    from ..steps.step_runs import StepRuns
    from ..storage.steps import StoredStep
    from ..storage.storage import Storage
    from ..tenants.directory import Tenant
    from .access import Access

_MOST_EXTRA_INPUTS = 98
_decoder = msgspec.json.Decoder(StepRunRequest)


class StepRunList(Struct):
    """Runs of a step, newest first; `next` is the cursor of the page behind this one."""

    runs: list[StepRunDocument]
    next: str | None


class PageQuery(Struct, forbid_unknown_fields=True):
    """Which page of a list."""

    cursor: Annotated[str, Meta(max_length=100)] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class LinesQuery(Struct, forbid_unknown_fields=True):
    """Which part: behind the one of this number."""

    after: Annotated[int, Meta(ge=0, le=2**62)] = 0
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1000


class LogLines(Struct):
    """Lines of the log in order; `next_after` asks for what follows."""

    records: list[dict[str, Any]]
    next_after: int | None


class FailedRows(Struct):
    """Input rows that failed, in order; `next_after` asks for what follows."""

    errors: list[dict[str, Any]]
    next_after: int | None


class StepRunsApi:
    """The handlers."""

    def __init__(self, access: Access, storage: Storage, step_runs: StepRuns, repeats: Repeats) -> None:
        self._access = access
        self._steps = storage.steps
        self._stored = storage.step_runs
        self._runs = step_runs
        self._repeats = repeats

    def routes(self) -> tuple[Route, ...]:
        """Paths and operations."""
        run = "/v1/steps/{name}/runs/{id}"
        return (
            route("/v1/steps/{name}/runs", POST=Operation(
                handler=self.post_run, scope=Scope.RUN, body=StepRunRequest, answers={202: StepRunDocument},
                problems=(410, 422), headers={"Idempotency-Key": REPEATED}, other_body_media_types=(NDJSON,),
                examples={"three rows": {"input_data": [{"n": 1}, {"n": 2}, {"n": 3}]}},
            ), GET=Operation(
                handler=self.get_runs, scope=Scope.READ, query=PageQuery, answers={200: StepRunList},
            )),
            route(run, GET=Operation(handler=self.get_run, scope=Scope.READ, answers={200: StepRunDocument})),
            route(run + "/rows", GET=Operation(
                handler=self.get_rows, scope=Scope.READ, answers={200: list[dict[str, Any]]}, problems=(406, 409),
                headers={"Accept": ROW_FORMS}, other_media_types=(NDJSON,),
            )),
            route(run + "/logs", GET=Operation(
                handler=self.get_logs, scope=Scope.READ, query=LinesQuery, answers={200: LogLines},
            )),
            route(run + "/errors", GET=Operation(
                handler=self.get_errors, scope=Scope.READ, query=LinesQuery, answers={200: FailedRows},
            )),
            route(run + ":cancel", POST=Operation(
                handler=self.post_cancel, scope=Scope.RUN, answers={200: StepRunDocument},
            )),
        )  # fmt: skip

    async def post_run(self, request: Request) -> Answered:
        """Run the present version of a step on inputs; acknowledged as soon as it is on disk.

        A body of lines is its input_data, a row in each.
        """
        tenant, key = self._access.tenant(request, Scope.RUN)
        repeated = request.header(b"idempotency-key")
        step = await self._steps.latest(tenant.name, request.parts["name"])
        if step is None:
            raise not_found()
        body = await self._access.large_body(request)
        if is_ndjson(request.header(b"content-type")):
            body = input_of_lines(body)
        if repeated is None:
            run = _new(tenant, key.id, step, body)
            await self._runs.accept(run, body)
            run_id = run.id
            told = msgspec.json.encode(document_of(run.record, None, run, self._runs.waits_behind(run)))
        else:
            request_key = await key_of(repeated, tenant.name, body, is_durable=True, of=f"step {step.name}")
            first = partial(self._first, tenant, key.id, step, body, request_key)
            kept = await self._repeats.answer(request_key, first)
            run_id, told = kept.run_id, kept.body or b""
        return Answered(202, told, {"Location": f"/v1/steps/{step.name}/runs/{run_id}"})

    async def _first(self, tenant: Tenant, key_id: str, step: StoredStep, body: bytes, request_key: Key) -> First:
        """The first request with its key, whose answer is stored with its run.

        Raises:
            ProblemError: it is refused.
            StoreError: it is not stored.
        """
        run = _new(tenant, key_id, step, body)
        told = msgspec.json.encode(document_of(run.record, None, run))
        kept = KeptAnswer(*request_key, run.id, run.record.created_at, 202, told)
        await self._runs.accept(run, body, kept)
        return First(kept, None)

    async def get_runs(self, request: Request) -> Answered:
        """Runs of a step, newest first."""
        tenant, _ = self._access.tenant(request, Scope.READ)
        query = request.query(PageQuery)
        if await self._steps.latest(tenant.name, request.parts["name"]) is None:
            raise not_found()
        found = await self._stored.page(
            tenant.name, request.parts["name"], before=_place(query.cursor), limit=query.limit + 1
        )
        last = found[query.limit - 1][0] if len(found) > query.limit else None
        documents = [self._document(tenant, record, stored) for record, stored in found[: query.limit]]
        return json_answer(200, StepRunList(documents, None if last is None else f"{last.created_at!r}~{last.id}"))

    async def get_run(self, request: Request) -> Answered:
        """How a run is: its state, its counts, its error."""
        tenant, _ = self._access.tenant(request, Scope.READ)
        record, stored = await self._find(tenant, request)
        return Answered(200, encode(msgspec.to_builtins(self._document(tenant, record, stored))))

    async def get_rows(self, request: Request) -> Answered | Streamed:
        """The rows that a run has delivered, a JSON array or a line for each."""
        tenant, _ = self._access.tenant(request, Scope.READ)
        record, stored = await self._find(tenant, request)
        if record.state != "ended":
            raise ProblemError(
                409, "run.ended", "the run has not ended, so it has delivered nothing yet", retry_after_seconds=1,
                headers={"Retry-After": "1"},
            )  # fmt: skip
        are_lines = wants_lines(request.header(b"accept"))
        media_type = (NDJSON if are_lines else JSON).encode()
        if stored is None or stored.status is None or not stored.status.succeeded:
            return Answered(200, b"" if are_lines else b"[]", media_type=media_type)
        form = lines_of_arrays if are_lines else one_array
        # What cannot be read at all is a problem, not half an answer.
        rows = await _begun(self._stored.rows(stored.step, stored.run_id))
        return Streamed(200, form(rows), media_type=media_type)

    async def get_logs(self, request: Request) -> Answered:
        """The log of a run, as far as it has got."""
        tenant, _ = self._access.tenant(request, Scope.READ)
        query = request.query(LinesQuery)
        _, stored = await self._find(tenant, request)
        if stored is None:
            return json_answer(200, LogLines([], None))
        page = await self._stored.logs(stored.step, stored.run_id, query.after, query.limit)
        lines = [{**item.as_dict(), "row": item.execution} for item in page.records]
        for line in lines:
            del line["execution"]
        return json_answer(200, LogLines(lines, page.next_after))

    async def get_errors(self, request: Request) -> Answered:
        """The input rows of a run that failed, with their errors."""
        tenant, _ = self._access.tenant(request, Scope.READ)
        query = request.query(LinesQuery)
        _, stored = await self._find(tenant, request)
        if stored is None:
            return json_answer(200, FailedRows([], None))
        page = await self._stored.failures(stored.step, stored.run_id, query.after, query.limit)
        return json_answer(200, FailedRows([item.as_dict() for item in page.errors], page.next_after))

    async def post_cancel(self, request: Request) -> Answered:
        """End a run with status 303; one that has ended stays as it is."""
        tenant, _ = self._access.tenant(request, Scope.RUN, is_free=True)
        live = self._runs.find(request.parts["id"], tenant.name, request.parts["name"])
        if live is not None:
            self._runs.cancel(live)
            await asyncio.shield(live.ended)
        record, stored = await self._find(tenant, request)
        return Answered(200, encode(msgspec.to_builtins(self._document(tenant, record, stored))))

    async def _find(self, tenant: Tenant, request: Request) -> tuple[StoredStepRun, RunRecord | None]:
        """Raises: ProblemError: 404."""
        found = await self._stored.find(tenant.name, request.parts["name"], request.parts["id"])
        if found is None:
            raise not_found()
        return found

    def _document(self, tenant: Tenant, record: StoredStepRun, stored: RunRecord | None) -> StepRunDocument:
        live = self._runs.find(record.id, tenant.name, record.step) if record.state != "ended" else None
        return document_of(record, stored, live, None if live is None else self._runs.waits_behind(live))


def _new(tenant: Tenant, key_id: str, step: StoredStep, body: bytes) -> StepRun:
    """The run of a step that a body asks for.

    Raises:
        ProblemError: 400: the body, or something that the step asks for, is refused.
    """
    plan = msgspec.json.decode(step.plan, type=Plan)
    allowed_by(tenant, key_id, plan)
    _check(decode_body(body, _decoder), plan, tenant)
    record = StoredStepRun(
        id=f"stp_{secrets.token_urlsafe(18)}", tenant=tenant.name, step=step.name, version=step.version,
        key_id=key_id, project=tenant.projects.get(key_id), state="queued", created_at=time.time(),
        started_at=None, ended_at=None, attempts=0, may_have_effects=0, store_run=None, status=None, error=None,
    )  # fmt: skip
    return StepRun(record=record, tenant=tenant)


def _check(asked: StepRunRequest, plan: Plan, tenant: Tenant) -> None:
    """What can be said before it runs.

    Raises:
        ProblemError: 400: a secret has no value, or is none of the step's; there are too many inputs.
    """
    opened_secrets(tenant, asked.secrets, asked.stored_secrets)
    for name in plan.secrets:
        if not asked.secrets.get(name) and name not in asked.stored_secrets:
            raise ProblemError(400, "secrets", f"secret {name}: it has no value", changed_by="tenant")
    for name in (*asked.secrets, *asked.stored_secrets):
        if name not in plan.secrets:
            raise ProblemError(400, "secrets", f"secret {name:.80}: the step has no such secret", changed_by="tenant")
    if len(asked.extra_inputs) > _MOST_EXTRA_INPUTS:
        raise ProblemError(
            400, "extra_inputs", f"there are {len(asked.extra_inputs):,} further inputs", value=_MOST_EXTRA_INPUTS,
            asked=len(asked.extra_inputs), changed_by="nobody",
        )  # fmt: skip


async def _begun(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces, of which the first has been read."""
    first = await anext(pieces, None)

    async def every() -> AsyncIterator[bytes]:
        if first is not None:
            yield first
        async for piece in pieces:
            yield piece

    return every()


def _place(cursor: str | None) -> tuple[float, str] | None:
    """Raises: ProblemError: 400: it is no cursor of ours."""
    if cursor is None:
        return None
    moment, _, run_id = cursor.partition("~")
    try:
        return float(moment), run_id
    except ValueError:
        raise ProblemError(400, "query", "the cursor is not one of this list", changed_by="nobody") from None
