"""Recordings of runs over HTTP: have one, and run again from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ...workers.answers import NONE
from ..documents import ReplayRequest, RunDocument
from ..http.operations import Answered, Operation, Route, route
from ..http.preferences import preferences
from ..http.request import decode_body
from ..problems import ProblemError
from ..runs.admission import recorded_order, replay_of
from ..runs.repeats import key_of
from ..storage.attachments import ORDER, RECORDING
from ..tenants.keys import Scope
from .runs import PREFER, REPEATED

if TYPE_CHECKING:
    from ..http.request import Request
    from ..runs.run import Run
    from ..runs.runs import Runs
    from ..storage.storage import Storage
    from .access import Access
    from .runs import RunsApi

_decoder = msgspec.json.Decoder(ReplayRequest)


class RecordingsApi:
    """The handlers; `image` is the manifest that statements run in."""

    def __init__(self, access: Access, storage: Storage, runs: Runs, found: RunsApi, image: str) -> None:
        self._access = access
        self._storage = storage
        self._runs = runs
        self._found = found
        self._image = image

    def routes(self) -> tuple[Route, ...]:
        """Paths and operations."""
        return (
            route("/v1/runs/{id}/recording", GET=Operation(
                handler=self.get_recording, scope=Scope.READ, answers={200: dict[str, Any]}, problems=(409, 410),
            )),
            route("/v1/runs/{id}:replay", POST=Operation(
                handler=self.post_replay, scope=Scope.RUN, body=ReplayRequest,
                answers={200: RunDocument, 202: RunDocument}, problems=(409, 410, 422), is_body_optional=True,
                headers={"Prefer": PREFER, "Idempotency-Key": REPEATED},
            )),
        )  # fmt: skip

    async def get_recording(self, request: Request) -> Answered:
        """What decided a recorded run: its inputs, clock, randomness and every answer that it had."""
        _, recording = await self._recording(request, Scope.READ)
        return Answered(200, recording)

    async def post_replay(self, request: Request) -> Answered:
        """Run again from a recording, without network: `replay` of the new run says what is different."""
        tenant, key = self._access.tenant(request, Scope.RUN)
        repeated = request.header(b"idempotency-key")
        wished = preferences(request.header(b"prefer"))
        self._runs.refuse_if_full(0, is_durable=wished.is_durable)
        body = await self._access.large_body(request)
        trace = self._runs.watch.run_asked(request)

        async def make() -> Run:
            asked = decode_body(body or b"{}", _decoder)
            order, recording = await self._recording(request, Scope.RUN)
            return replay_of(
                tenant, key.id, asked, order, recording, self._image, is_durable=wished.is_durable, trace=trace
            )

        if repeated is not None:
            of = f"replay {request.parts['id']}"
            request_key = await key_of(repeated, tenant.name, body, is_durable=wished.is_durable, of=of)
            return await self._found.once(request, request_key, make, is_durable=wished.is_durable)
        run = await make()
        request.run_id = run.id
        return await self._found.start(run, request, wished)

    async def _recording(self, request: Request, scope: Scope) -> tuple[bytes, bytes]:
        """What is needed to replay a run, and its recording.

        Raises:
            ProblemError: 404, 409, 410.
        """
        run, _ = await self._found.find(request, scope)
        if run is not None and run.answer is None:
            raise ProblemError(
                409, "run.ended", "the run has not ended, so it has no recording yet", headers={"Retry-After": "1"},
                retry_after_seconds=1,
            )  # fmt: skip
        if run is not None and run.answer is not None and run.answer.recording != NONE:
            return recorded_order(run.order), run.answer.recording
        found = await self._storage.attachments.find(request.parts["id"], ORDER, RECORDING)
        if len(found) != 2:
            text = 'the run has no recording: ask for one with "record": true; its warnings say if one was too long'
            raise ProblemError(410, "run.recorded", text, changed_by="tenant")
        return found[ORDER], found[RECORDING]
