"""Usage over HTTP: what runs have used, by the hour, tenant, project and key."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from ..http.operations import Answered, Operation, Route, Streamed, json_answer, route
from ..problems import ProblemError
from ..storage.tables import COUNTS
from ..storage.usage import UsageFilter, UsagePlace
from ..tenants.keys import Scope

if TYPE_CHECKING:
    from ..http.request import Request
    from ..storage.storage import Storage
    from .access import Access

_DAY = 86_400
_HOUR = 3600
_PAGE = 2000
"""Lines that are read at once."""
_MEDIA_TYPES = {"json": "application/json", "csv": "text/csv", "ndjson": "application/x-ndjson"}
_COLUMNS = ("hour", "tenant", "project", "key_id", *COUNTS)
_Time = Annotated[datetime, Meta(tz=True)]


class UsageQuery(Struct, forbid_unknown_fields=True):
    """Hours that begin from `since` on and before `until`; without `since`, of so many days up to now.

    `key` and `project` are of whom; `project` "" is that of keys without one. `format` comes before what Accept says.
    """

    days: Annotated[int, Meta(ge=1, le=3660)] = 31
    since: _Time | None = None
    until: _Time | None = None
    key: Annotated[str, Meta(max_length=40)] | None = None
    project: Annotated[str, Meta(max_length=63)] | None = None
    format: Literal["json", "csv", "ndjson"] | None = None


class AllUsageQuery(UsageQuery, forbid_unknown_fields=True):
    """As `UsageQuery`, of one tenant or, without `tenant`, of all."""

    tenant: Annotated[str, Meta(max_length=63)] | None = None


class UsageTotal(Struct):
    """Runs that have ended, and what they have used; times in whole microseconds, `gb_us` of a memory of 1 GB."""

    runs: int
    failed: int
    cpu_us: int
    wall_us: int
    gb_us: int
    http_requests: int
    http_bytes_sent: int
    http_bytes_received: int
    output_bytes: int
    row_count: int
    log_count: int
    log_bytes: int


class UsageHour(UsageTotal):
    """The same for the runs that ended in one hour."""

    hour: int
    """Its beginning, in seconds of the epoch."""


class UsageDocument(Struct):
    """What a tenant's runs have used; hours in which none ended are left out."""

    tenant: str | None
    since: str
    until: str
    total: UsageTotal
    hours: list[UsageHour]


class UsageApi:
    """The handlers."""

    def __init__(self, access: Access, storage: Storage) -> None:
        self._access = access
        self._storage = storage

    def routes(self) -> tuple[Route, ...]:
        """Paths and operations."""
        return (
            route("/v1/usage", GET=Operation(
                handler=self.get_usage, scope=Scope.READ, query=UsageQuery, answers={200: UsageDocument},
                problems=(406,), headers={"Accept": ", ".join(_MEDIA_TYPES.values())},
                other_media_types=(_MEDIA_TYPES["csv"], _MEDIA_TYPES["ndjson"]),
            )),
            route("/v1/admin/usage", GET=Operation(
                handler=self.get_all_usage, scope=Scope.ADMIN, query=AllUsageQuery, answers={200: UsageDocument},
                problems=(406,), headers={"Accept": ", ".join(_MEDIA_TYPES.values())},
                other_media_types=(_MEDIA_TYPES["csv"], _MEDIA_TYPES["ndjson"]),
            )),
        )  # fmt: skip

    async def get_usage(self, request: Request) -> Answered | Streamed:
        """What the tenant's runs have used: a document by the hour, or lines by hour, project and key."""
        tenant, _ = self._access.tenant(request, Scope.READ)
        return await self._told(request, request.query(UsageQuery), tenant.name)

    async def get_all_usage(self, request: Request) -> Answered | Streamed:
        """What the runs of one tenant or of all have used: a document by the hour, or lines by hour and key."""
        self._access.operator(request)
        query = request.query(AllUsageQuery)
        return await self._told(request, query, query.tenant)

    async def _told(self, request: Request, query: UsageQuery, tenant: str | None) -> Answered | Streamed:
        now = time.time()
        since = now - query.days * _DAY if query.since is None else query.since.timestamp()
        until = now + _HOUR if query.until is None else query.until.timestamp()
        asked = UsageFilter(tenant, since, until, query.key, query.project)
        kind = query.format or _accepted(request.header(b"accept"))
        if kind == "json":
            hours = await self._storage.usage.hours(asked)
            return json_answer(200, UsageDocument(
                tenant=tenant, since=_time(since), until=_time(until),
                total=UsageTotal(**{name: sum(hour[name] for hour in hours) for name in COUNTS}),
                hours=[UsageHour(**hour) for hour in hours],
            ))  # fmt: skip
        # What cannot be read at all is a problem, not half an answer.
        first = await self._storage.usage.lines(asked, None, _PAGE)
        return Streamed(200, self._lines(asked, first, kind), media_type=_MEDIA_TYPES[kind].encode())

    async def _lines(self, asked: UsageFilter, page: list[dict[str, Any]], kind: str) -> AsyncIterator[bytes]:
        if kind == "csv":
            yield _csv([_COLUMNS])
        while page:
            lines = [{**line, "hour": _time(line["hour"])} for line in page]
            if kind == "csv":
                yield _csv([tuple(line[name] for name in _COLUMNS) for line in lines])
            else:
                yield msgspec.json.Encoder().encode_lines(lines)
            last = page[-1]
            place = UsagePlace(last["hour"], last["tenant"], last["project"], last["key_id"])
            page = await self._storage.usage.lines(asked, place, _PAGE) if len(page) == _PAGE else []


def _accepted(accept: str | None) -> str:
    """Which form is asked for; JSON unless another is named. Raises: ProblemError: 406."""
    named = [part.split(";")[0].strip().lower() for part in (accept or "*/*").split(",")]
    for kind, media_type in _MEDIA_TYPES.items():
        if media_type in named:
            return kind
    if any(name in ("*/*", "application/*", "") for name in named):
        return "json"
    if "text/*" in named:
        return "csv"
    raise ProblemError(
        406, "accept", f"usage is there as {', '.join(_MEDIA_TYPES.values())}", asked=accept, changed_by="nobody"
    )


def _csv(rows: Sequence[tuple[object, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
