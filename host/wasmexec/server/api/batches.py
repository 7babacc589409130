"""Batches of runs over HTTP: NDJSON both ways."""

from __future__ import annotations

import secrets
import time
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct

from ..documents import RunDocument, RunRequest
from ..http.operations import UNBUFFERED, Answered, Operation, Route, Streamed, route
from ..http.request import decode_body
from ..runs.admission import run_of
from ..runs.records import KeptAnswer
from ..runs.repeats import First, Key, key_of
from ..streaming.batch import Batch, Item, lines_of
from ..streaming.collected import Collected, CollectedBatch
from ..tenants.keys import KeyRecord, Scope
from .runs import REPEATED

if TYPE_CHECKING:
    from ..config import ServerConfig
    from ..http.request import Request
    from ..runs.repeats import Repeats
    from ..runs.run import Run
    from ..runs.runs import Runs
    from ..storage.storage import Storage
    from ..streaming.streams import Streams
    from ..tenants.directory import Directory, Tenant
    from .access import Access

NDJSON = b"application/x-ndjson"


class BatchItem(RunRequest, forbid_unknown_fields=True):
    """One line of the body of POST /v1/runs:batch; `id` is the client's name for it, and comes back."""

    id: Annotated[str, Meta(max_length=200)] | None = None


class BatchAnswer(Struct):
    """One line of the answer: the `index` of the line that it is about, from 0, and its run or why there is none."""

    index: int
    id: str | None
    run: RunDocument | None = None
    problem: dict[str, Any] | None = None


_decoder = msgspec.json.Decoder(BatchItem)


class BatchesApi:
    """The handlers; `image` is the manifest that statements run in."""

    def __init__(
        self, config: ServerConfig, access: Access, directory: Directory, storage: Storage, runs: Runs,
        streams: Streams, repeats: Repeats, image: str,
    ) -> None:  # fmt: skip
        self._config = config
        self._access = access
        self._directory = directory
        self._runs = runs
        self._streams = streams
        self._repeats = repeats
        self._kept = storage.request_keys
        self._collected = Collected()
        self._image = image

    def routes(self) -> tuple[Route, ...]:
        """Paths and operations."""
        return (
            route("/v1/runs:batch", POST=Operation(
                handler=self.post_batch, scope=Scope.RUN, body=BatchItem, answers={200: BatchAnswer},
                problems=(410, 415, 422), media_type=NDJSON.decode(), body_media_type=NDJSON.decode(),
                is_body_optional=True, headers={"Idempotency-Key": REPEATED},
            )),
        )  # fmt: skip

    async def post_batch(self, request: Request) -> Answered | Streamed:
        """Run many statements: a line asks for each, and a line answers it as soon as it has ended."""
        tenant, key = self._access.tenant(request, Scope.RUN)
        repeated = request.header(b"idempotency-key")
        self._runs.refuse_if_full(0)
        if repeated is not None:
            body = await self._access.large_body(request)
            request_key = await key_of(repeated, tenant.name, body, is_durable=False, of="batch")
            kept = await self._repeats.answer(request_key, lambda: self._first(tenant, key, request_key, body))
            return Answered(200, kept.body or b"", media_type=NDJSON)
        # What it announces was counted at once, and what it does not is counted line by line.
        is_counted = request.announced_bytes is not None
        batch = Batch(partial(self._admit, tenant, key, is_counted), self._runs)
        pieces = request.pieces(self._config.body_seconds)
        stream = self._streams.open(tenant, batch.wind_up)
        batch.begin(lines_of(pieces, self._config.max_body_bytes))

        def end() -> None:
            self._streams.end(stream)
            batch.close()

        # What is left of a body that is not read to its end is not another request.
        return Streamed(200, batch.answers(), {**UNBUFFERED, "Connection": "close"}, NDJSON, end)

    async def _first(self, tenant: Tenant, key: KeyRecord, request_key: Key, body: bytes) -> First:
        """The first request with its key: its runs go on though the client hangs up, and its answer is kept whole.

        Raises:
            ProblemError: 429: the tenant has too many streams.
        """
        began_at = time.time()
        batch = CollectedBatch(tenant.name, partial(self._admit, tenant, key, True), self._runs, self._collected)
        # The server ends after it: what has not begun by then is refused, line by line.
        stream = self._streams.open(tenant, _nothing)
        try:
            answer = await batch.answer(body, self._config.max_body_bytes)
        finally:
            self._streams.end(stream)
        kept = KeptAnswer(*request_key, f"batch_{secrets.token_urlsafe(18)}", began_at, 200, answer)
        if self._directory.tenants.get(tenant.name) is not tenant:
            # SECURITY: it was deleted meanwhile, and nobody who has its name later is to find the answer.
            return First(kept, None)
        return First(kept, self._kept.keep(kept))

    def _admit(self, tenant: Tenant, key: KeyRecord, is_counted: bool, item: Item, line: bytes) -> Run:
        """Raises: ProblemError: as POST /v1/runs."""
        asked = decode_body(line, _decoder)
        item.id = asked.id
        self._directory.take_rate(tenant, key.id, 0 if is_counted else len(line))
        return run_of(tenant, key.id, asked, self._image, is_durable=False)


def _nothing() -> None:
    """What a batch does when the server is about to stop whose answer is kept: its lines are answered all the same."""
