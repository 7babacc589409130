"""Runs over HTTP: ask for one, look at it, have its rows and log, cancel it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ...workers.files import MemoryFile
from ..documents import RunDocument, RunRequest
from ..http.bodies import Disconnected
from ..http.forms import NDJSON, lines_of_rows, wants_lines
from ..http.operations import Answered, Operation, Pieces, Route, route
from ..http.preferences import MOST_WAIT_SECONDS, Preferences, preferences
from ..http.spool import Spool
from ..problems import ProblemError, not_found
from ..reading.place import levels
from ..runs.admission import new_run
from ..runs.documents import ended_body, ended_document, live_document, recorded_document
from ..runs.long_bodies import new_long_run
from ..runs.records import KeptAnswer
from ..runs.repeats import First, key_of
from ..tenants.keys import Scope
from .run_list import RunListApi

if TYPE_CHECKING:
    from ..http.request import Request
    from ..reading.reader import BodyReader
    from ..runs.repeats import Key, Repeats
    from ..runs.run import Run
    from ..runs.runs import Runs
    from ..storage.storage import Storage
    from ..tenants.directory import Tenant
    from ..watching.run_trace import RunTrace
    from .access import Access

_EXAMPLES = {
    "rows and a log": {"statement": "log.info('hello')\nreturn INPUT_DATA", "input_data": [{"a": 1}]},
    "a schema and limits": {
        "statement": "return [{'total': sum(row['n'] for row in INPUT_DATA)}]", "input_data": [{"n": 1}, {"n": 2}],
        "output_schema": {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]},
        "limits": {"wall_seconds": 5, "cpu_seconds": 1},
    },
}  # fmt: skip
_ANSWER_HEADERS = {
    "RateLimit": "What is left of the rate of requests, where the tenant has one",
    "RateLimit-Policy": "The rate of requests, where the tenant has one",
    "Location": "With 202: where the run is found",
    "Preference-Applied": "With 202: respond-async",
}
PREFER = (
    "respond-async: answer 202 as soon as the run is on disk; wait=N: likewise, but with 200 and all of it if it ends "
    f"within N seconds, at most {MOST_WAIT_SECONDS:.0f}; detach: a synchronous run is not cancelled if the client goes"
)
ROW_FORMS = f"{NDJSON}: a line for each row"
REPEATED = "the same request with the same key gets the answer to the first one, for a day"


class RunsApi:
    """The handlers; `image` is the manifest that statements run in."""

    def __init__(
        self, access: Access, storage: Storage, runs: Runs, repeats: Repeats, image: str, reader: BodyReader
    ) -> None:  # fmt: skip
        self._access = access
        self._storage = storage
        self._runs = runs
        self._image = image
        self._repeats = repeats
        self._reader = reader
        self._list = RunListApi(access, storage, runs)

    def routes(self) -> tuple[Route, ...]:
        """Paths and operations."""
        return (
            route("/v1/runs", GET=self._list.listing, POST=Operation(
                handler=self.post_run, scope=Scope.RUN, body=RunRequest,
                answers={200: RunDocument, 202: RunDocument}, problems=(409, 410, 422),
                headers={"Prefer": PREFER, "Idempotency-Key": REPEATED},
                examples=_EXAMPLES, answer_headers=_ANSWER_HEADERS,
            )),
            route("/v1/runs/{id}", DELETE=self._list.deletion, GET=Operation(
                handler=self.get_run, scope=Scope.READ, answers={200: RunDocument},
            )),
            route("/v1/runs/{id}/rows", GET=Operation(
                handler=self.get_rows, scope=Scope.READ, answers={200: list[Any]}, problems=(406, 409, 410),
                headers={"Accept": ROW_FORMS}, other_media_types=(NDJSON,),
            )),
            route("/v1/runs/{id}:cancel", POST=Operation(
                handler=self.post_cancel, scope=Scope.RUN, answers={200: RunDocument},
            )),
        )  # fmt: skip

    async def post_run(self, request: Request) -> Answered:
        """Run a statement: wait for its end, or be told where to look for it."""
        tenant, key = self._access.tenant(request, Scope.RUN)
        repeated = request.header(b"idempotency-key")
        wished = preferences(request.header(b"prefer"))
        is_durable = wished.is_durable
        self._runs.refuse_if_full(0, is_durable=is_durable)
        # The store has a durable one, and the answer to one with a key, as a whole.
        if repeated is None and not is_durable and request.may_be_long:
            if self._reader.most_levels is None:
                self._reader.most_levels = levels()
            run = await self._long_run(tenant, key.id, request)
            request.run_id = run.id
            return await self.start(run, request, wished)
        body = await self._access.large_body(request)
        trace = self._runs.watch.run_asked(request)
        if repeated is not None:
            make = partial(self._made, tenant, key.id, body, is_durable, trace)
            request_key = await key_of(repeated, tenant.name, body, is_durable=is_durable)
            return await self.once(request, request_key, make, is_durable=is_durable)
        run = new_run(tenant, key.id, body, self._image, is_durable=is_durable, trace=trace)
        request.run_id = run.id
        del body
        return await self.start(run, request, wished)

    async def _long_run(self, tenant: Tenant, key_id: str, request: Request) -> Run:
        """The synchronous run of a body that may be long. Raises: as `post_run`."""
        # It gets ready while the body comes.
        self._reader.start()
        arriving = self._reader.arriving()
        with Spool(self._runs.note_receiving, arriving.note) as spool:
            body = await self._access.long_body(request, spool)
            trace = self._runs.watch.run_asked(request)
            if isinstance(body, MemoryFile):
                return await new_long_run(arriving, tenant, key_id, body, self._image, trace=trace)
            return new_run(tenant, key_id, body, self._image, is_durable=False, trace=trace)

    async def _made(self, tenant: Tenant, key_id: str, body: bytes, is_durable: bool, trace: RunTrace | None) -> Run:
        """Raises: ProblemError: the body is refused."""
        return new_run(tenant, key_id, body, self._image, is_durable=is_durable, trace=trace)

    async def once(
        self, request: Request, request_key: Key, make: Callable[[], Awaitable[Run]], *, is_durable: bool
    ) -> Answered:
        """The answer to the first request with this key, for which `make` makes the run if this is the first.

        Raises:
            ProblemError: it is refused.
            StoreError: nobody can tell whether it is the first.
        """
        kept = await self._repeats.answer(request_key, lambda: self._first(request_key, make, is_durable=is_durable))
        request.run_id = kept.run_id
        return _kept(kept)

    async def start(self, run: Run, request: Request, wished: Preferences) -> Answered:
        """Have a run wait for its turn, and its client for what it wishes.

        Raises:
            ProblemError: 429, 503: it is refused.
            StoreError: it cannot be stored.
            Disconnected: the client has gone.
        """
        if wished.is_durable:
            await self._runs.accept(run)
            return await self._accepted(run, request, wished)
        self._runs.submit(run)
        await self._ended(run, request, is_detached=wished.detach)
        if run.refusal is not None:
            raise ProblemError.of(run.refusal)
        applied = {"Preference-Applied": "detach"} if wished.detach else {}
        return Answered(200, ended_body(run), applied)

    async def _accepted(self, run: Run, request: Request, wished: Preferences) -> Answered:
        """The answer to who has asked for a durable run: all of it if it ends as soon as that, else where it is.

        Raises:
            Disconnected: the client has gone; the run goes on.
        """
        headers = {"Location": f"/v1/runs/{run.id}"}
        if wished.wait_seconds is None:
            return Answered(202, self._live(run), {**headers, "Preference-Applied": "respond-async"})
        gone = asyncio.create_task(request.until_gone())
        try:
            waited: list[asyncio.Future[Any]] = [run.ended, gone]
            await asyncio.wait(waited, timeout=wished.wait_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            is_gone = gone.done()
            gone.cancel()
        if is_gone and not run.ended.done():
            raise Disconnected
        headers["Preference-Applied"] = f"wait={wished.wait_seconds:.0f}"
        if not run.ended.done():
            return Answered(202, self._live(run), headers)
        await self._runs.settle(run)
        return Answered(200, ended_body(run), headers)

    async def _first(self, request_key: Key, make: Callable[[], Awaitable[Run]], *, is_durable: bool) -> First:
        """The first request with its key: its run goes on though the client hangs up, who may come back with the key.

        Raises:
            ProblemError: it is refused.
        """
        run = await make()
        run.request_key = request_key
        if is_durable:
            kept = await self._runs.accept(run)
            assert kept is not None
            return First(kept, None)
        self._runs.submit(run)
        await asyncio.shield(run.ended)
        if run.refusal is not None:
            raise ProblemError.of(run.refusal)
        return First(KeptAnswer(*request_key, run.id, run.created_at, 200, ended_document(run)), run.recorded)

    async def get_run(self, request: Request) -> Answered:
        """How a run is, without its rows and logs."""
        run, record = await self.find(request, Scope.READ)
        if run is not None:
            return Answered(200, self._live(run))
        assert record is not None
        return Answered(200, recorded_document(record))

    async def get_rows(self, request: Request) -> Answered:
        """The rows of a run that has ended, a JSON array or a line for each."""
        are_lines = wants_lines(request.header(b"accept"))
        found = await self.payload(request, "rows")
        if not are_lines:
            return found
        lines = await asyncio.get_running_loop().run_in_executor(None, _lines, found.body)
        return Answered(200, lines, media_type=NDJSON.encode())

    async def post_cancel(self, request: Request) -> Answered:
        """End a run with status 303; one that has ended stays as it is."""
        run, record = await self.find(request, Scope.RUN, is_free=True)
        if run is None:
            assert record is not None
            return Answered(200, recorded_document(record))
        self._runs.cancel(run)
        await asyncio.shield(run.ended)
        await self._runs.settle(run)
        return Answered(200, self._live(run))

    async def find(
        self, request: Request, scope: Scope, *, is_free: bool = False
    ) -> tuple[Run | None, dict[str, Any] | None]:
        """A run of who asks: a live one or its record.

        Raises:
            ProblemError: 404.
        """
        tenant, _ = self._access.tenant(request, scope, is_free=is_free)
        run_id = request.run_id = request.parts["id"]
        run = self._runs.find(run_id, tenant.name)
        if run is not None:
            await self._runs.settle(run)
            return run, None
        record = await self._storage.runs.find(run_id, tenant.name)
        if record is not None and record["state"] != "ended":
            # Another process had accepted it, and this one is about to know it.
            await self._runs.restored.wait()
            run = self._runs.find(run_id, tenant.name)
            record = None if run is not None else await self._storage.runs.find(run_id, tenant.name)
        if run is None and record is None:
            raise not_found()
        return run, record

    async def payload(self, request: Request, name: str) -> Answered:
        """The rows or the log of a run that has ended, a JSON array.

        Raises:
            ProblemError: 404, 409, 410.
        """
        run, record = await self.find(request, Scope.READ)
        if run is not None and run.answer is None:
            raise ProblemError(
                409, "run.ended", f"the run has not ended, so it has no {name} yet", headers={"Retry-After": "1"},
                retry_after_seconds=1,
            )  # fmt: skip
        if run is not None and run.answer is not None and run.is_durable:
            return Answered(200, Pieces([run.answer.rows]) if name == "rows" else run.answer.logs)
        payload = None if record is None else await self._storage.runs.payload(request.parts["id"], name)
        if payload is None:
            text = (
                f"the {name} of a synchronous run are in its answer only; ask with Prefer: respond-async to keep them"
            )
            raise ProblemError(410, "run.kept", text, changed_by="tenant")
        return Answered(200, payload)

    async def _ended(self, run: Run, request: Request, *, is_detached: bool) -> None:
        """Wait for the end of a run; a client that hangs up cancels it unless the run is detached.

        Raises:
            Disconnected: it did.
        """
        is_gone = False

        def hang_up() -> None:
            nonlocal is_gone
            is_gone = True
            self._runs.cancel(run)

        forget: Callable[[], object] = _nothing if is_detached else request.when_gone(hang_up)
        try:
            await run.ended
        finally:
            forget()
        if is_gone:
            raise Disconnected

    def _live(self, run: Run) -> bytes:
        """A run that is known to this process, and why it waits."""
        return live_document(run, self._runs.why_waiting(run, time.monotonic()))


def _kept(answer: KeptAnswer) -> Answered:
    """The answer over HTTP to each request with the same key."""
    headers = {}
    if answer.status == 202:
        headers = {"Location": f"/v1/runs/{answer.run_id}", "Preference-Applied": "respond-async"}
    return Answered(answer.status, answer.body or b"", headers)


def _lines(array: bytes | Pieces) -> bytes:
    return lines_of_rows(array if isinstance(array, bytes) else array.whole())


def _nothing() -> None:
    """Ends watching what nobody watches."""
