"""Runs whose request is long: its envelope is read here, and its input goes to a worker as a part of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from ...workers.files import LONG_BYTES, LongText, MemoryFile
from ..documents import RunRequest
from ..http.request import decode_body
from .admission import new_run, run_of

if TYPE_CHECKING:
    from ..reading.reader import ArrivingBody
    from ..tenants.directory import Tenant
    from ..watching.run_trace import RunTrace
    from .run import Run

_NOTHING: Final = b"null"
_decoder = msgspec.json.Decoder(RunRequest)


async def new_long_run(
    arriving: ArrivingBody, tenant: Tenant, key_id: str, body: MemoryFile, image: str, *, trace: RunTrace | None
) -> Run:
    """The synchronous run that a long body asks for.

    Raises:
        ProblemError: 400: as `admission.new_run`. 503: it could not be read.
    """
    found = await arriving.find(body)
    if found.size <= LONG_BYTES:
        # It is long by its other members, which the front has anyway.
        return new_run(tenant, key_id, body.read(0, body.size), image, is_durable=False, trace=trace)
    end = found.start + found.size
    envelope = body.read(0, found.start) + _NOTHING + body.read(end, body.size - end)
    text = LongText(body, found.start, found.size)
    request = decode_body(envelope, _decoder)
    return run_of(tenant, key_id, request, image, is_durable=False, trace=trace, long_input=text)
