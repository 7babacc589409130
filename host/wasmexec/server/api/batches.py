"""Batches of runs over HTTP: NDJSON both ways."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct

from ..documents import RunDocument, RunRequest
from ..http.operations import UNBUFFERED, Operation, Route, Streamed, route
from ..http.request import decode_body
from ..runs.admission import run_of
from ..streaming.batch import Batch, Item, lines_of
from ..tenants.keys import KeyRecord, Scope
from .access import refuse_idempotency

if TYPE_CHECKING:
    from ..config import ServerConfig
    from ..http.request import Request
    from ..runs.run import Run
    from ..runs.runs import Runs
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
        self, config: ServerConfig, access: Access, directory: Directory, runs: Runs, streams: Streams, image: str
    ) -> None:
        self._config = config
        self._access = access
        self._directory = directory
        self._runs = runs
        self._streams = streams
        self._image = image

    def routes(self) -> tuple[Route, ...]:
        """Paths and operations."""
        return (
            route("/v1/runs:batch", POST=Operation(
                handler=self.post_batch, scope=Scope.RUN, body=BatchItem, answers={200: BatchAnswer}, problems=(415,),
                media_type=NDJSON.decode(), body_media_type=NDJSON.decode(), is_body_optional=True,
            )),
        )  # fmt: skip

    async def post_batch(self, request: Request) -> Streamed:
        """Run many statements: a line asks for each, and a line answers it as soon as it has ended."""
        tenant, key = self._access.tenant(request, Scope.RUN)
        refuse_idempotency(request)
        self._runs.refuse_if_full(0)
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

    def _admit(self, tenant: Tenant, key: KeyRecord, is_counted: bool, item: Item, line: bytes) -> Run:
        """Raises: ProblemError: as POST /v1/runs."""
        asked = decode_body(line, _decoder)
        item.id = asked.id
        self._directory.take_rate(tenant, key.id, 0 if is_counted else len(line))
        return run_of(tenant, key.id, asked, self._image, is_durable=False)
