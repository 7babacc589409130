"""The handlers of the HTTP API; `docs/serving.md` has it by example."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec

from .admission import decode_body, new_run
from .app import Answered, Route, route
from .bodies import Disconnected, Receive, Scope, header, read_body
from .documents import KeyRequest, TenantRequest
from .keys import KeyRecord, issue
from .keys import Scope as KeyScope
from .problems import ProblemError, not_found
from .run_documents import ended_document, live_document, recorded_document
from .tables import COUNTS

if TYPE_CHECKING:
    from .config import ServerConfig
    from .run import Run
    from .runs import Runs
    from .storage import Storage
    from .tenants import Directory, Tenant

_DAY = 86_400
_USAGE_DAYS = 31
_tenant_decoder = msgspec.json.Decoder(TenantRequest)
_key_decoder = msgspec.json.Decoder(KeyRequest)


class Api:
    """What the server answers; `image` is the manifest that statements run in."""

    def __init__(self, config: ServerConfig, storage: Storage, directory: Directory, runs: Runs, image: str) -> None:
        self._config = config
        self._storage = storage
        self._directory = directory
        self._runs = runs
        self._image = image

    def routes(self) -> tuple[Route, ...]:
        """Every path there is."""
        return (
            route("/v1/runs", POST=self.post_run),
            route("/v1/runs/{id}", GET=self.get_run),
            route("/v1/runs/{id}/rows", GET=self.get_rows),
            route("/v1/runs/{id}/logs", GET=self.get_logs),
            route("/v1/runs/{id}:cancel", POST=self.post_cancel),
            route("/v1/usage", GET=self.get_usage),
            route("/v1/quotas", GET=self.get_quotas),
            route("/v1/admin/tenants", POST=self.post_tenant),
            route("/v1/admin/tenants/{name}/keys", POST=self.post_key),
            route("/livez", GET=self.get_live),
            route("/readyz", GET=self.get_ready),
        )

    async def post_run(self, scope: Scope, receive: Receive, parts: Mapping[str, str]) -> Answered:
        """Run a statement: wait for its end, or be told where to look for it."""
        tenant, key = self._tenant(scope, KeyScope.RUN)
        headers = self._directory.take_rate(tenant)
        if header(scope, b"idempotency-key") is not None:
            raise ProblemError(400, "idempotency-key", "Idempotency-Key is not there yet; leave it out")
        is_durable = _prefers_async(header(scope, b"prefer"))
        self._runs.refuse_if_full(0)
        body = await read_body(scope, receive, self._config.max_body_bytes, self._config.body_seconds)
        run = new_run(tenant, key.id, body, self._image, is_durable=is_durable)
        del body
        if is_durable:
            await self._runs.accept(run)
            headers = {**headers, "Location": f"/v1/runs/{run.id}", "Preference-Applied": "respond-async"}
            return Answered(202, self._live(run), headers)
        self._runs.submit(run)
        await self._ended(run, receive)
        if run.refusal is not None:
            raise ProblemError.of(run.refusal)
        return Answered(200, ended_document(run), headers)

    async def get_run(self, scope: Scope, receive: Receive, parts: Mapping[str, str]) -> Answered:
        """How a run is, without its rows and logs."""
        run, record = await self._find(scope, parts["id"], KeyScope.READ)
        if run is not None:
            return Answered(200, self._live(run))
        assert record is not None
        return Answered(200, recorded_document(record))

    async def get_rows(self, scope: Scope, receive: Receive, parts: Mapping[str, str]) -> Answered:
        """The rows of a run that has ended, a JSON array."""
        return await self._payload(scope, parts["id"], "rows")

    async def get_logs(self, scope: Scope, receive: Receive, parts: Mapping[str, str]) -> Answered:
        """The log of a run that has ended, a JSON array."""
        return await self._payload(scope, parts["id"], "logs")

    async def post_cancel(self, scope: Scope, receive: Receive, parts: Mapping[str, str]) -> Answered:
        """End a run with status 303; one that has ended stays as it is."""
        run, record = await self._find(scope, parts["id"], KeyScope.RUN)
        if run is None:
            assert record is not None
            return Answered(200, recorded_document(record))
        self._runs.cancel(run)
        await asyncio.shield(run.ended)
        return Answered(200, self._live(run))

    async def get_usage(self, scope: Scope, receive: Receive, parts: Mapping[str, str]) -> Answered:
        """What the tenant's runs have used, by the hour."""
        tenant, _ = self._tenant(scope, KeyScope.READ)
        days = _days(scope)
        hours = await self._storage.usage(tenant.name, time.time() - days * _DAY)
        total = {name: sum(hour[name] for hour in hours) for name in COUNTS}
        return _json(200, {"tenant": tenant.name, "days": days, "total": total, "hours": hours})

    async def get_quotas(self, scope: Scope, receive: Receive, parts: Mapping[str, str]) -> Answered:
        """What the tenant may have, and what of it is taken now."""
        tenant, _ = self._tenant(scope, KeyScope.READ)
        limits = tenant.ceiling.limits
        budgets = [
            {
                "rule": f"budget.{spent.budget.dimension}.{spent.budget.window}", "limit": spent.budget.limit,
                "used": spent.used, "reserved": spent.reserved, "resets_at": spent.resets_at,
            }
            for spent in tenant.account.spent(time.time())
        ]  # fmt: skip
        document = tenant.document
        return _json(200, {
            "tenant": tenant.name, "weight": document.weight,
            "limits": {name: getattr(limits, name) for name in type(limits).__slots__},
            "grants": document.grants,
            "runs": {
                "queued": len(tenant.queued), "max_queued": tenant.max_queued, "executing": tenant.executing,
                "max_executing": document.max_executing, "asleep": len(tenant.running) - tenant.executing,
            },
            "requests_per_second": None if tenant.rate is None else tenant.rate.per_second,
            "requests_burst": None if tenant.rate is None else tenant.rate.burst,
            "budgets": budgets,
        })  # fmt: skip

    async def post_tenant(self, scope: Scope, receive: Receive, parts: Mapping[str, str]) -> Answered:
        """Make a tenant, or give one other rules."""
        self._directory.authorize(header(scope, b"authorization"), KeyScope.ADMIN)
        document = decode_body(await self._small_body(scope, receive), _tenant_decoder)
        is_new = document.name not in self._directory.tenants
        tenant = await self._directory.put_tenant(document)
        self._runs.know(tenant)
        return _json(201 if is_new else 200, tenant.document)

    async def post_key(self, scope: Scope, receive: Receive, parts: Mapping[str, str]) -> Answered:
        """Issue a key for a tenant; this answer is the only one that has it."""
        self._directory.authorize(header(scope, b"authorization"), KeyScope.ADMIN)
        request = decode_body(await self._small_body(scope, receive) or b"{}", _key_decoder)
        tenant = self._directory.tenants.get(parts["name"])
        if tenant is None:
            raise ProblemError(404, "tenant", f"there is no tenant {parts['name']}")
        if KeyScope.ADMIN in request.scopes:
            raise ProblemError(400, "key.scope", "a tenant's key cannot have the scope admin, which is the operator's")
        key, record = issue(
            tenant=tenant.name, name=request.name, scopes=request.scopes, now=time.time(),
            lifetime_seconds=request.lifetime_seconds,
        )  # fmt: skip
        await self._directory.put_key(record)
        return _json(201, {
            "id": record.id, "key": key.reveal(), "tenant": tenant.name, "name": record.name,
            "scopes": sorted(record.scopes), "expires_at": record.expires_at,
        })  # fmt: skip

    async def get_live(self, scope: Scope, receive: Receive, parts: Mapping[str, str]) -> Answered:
        """The loop of the server turns."""
        return _json(200, {"live": True})

    async def get_ready(self, scope: Scope, receive: Receive, parts: Mapping[str, str]) -> Answered:
        """Whether a probe run was answered in the last seconds."""
        fleet = self._runs.fleet
        state = {"ready": self._runs.is_ready, "workers": len(fleet.pids), "worker_deaths": fleet.deaths}
        return _json(200 if self._runs.is_ready else 503, state)

    def _tenant(self, scope: Scope, needed: KeyScope) -> tuple[Tenant, KeyRecord]:
        """The tenant who asks, and the key."""
        key = self._directory.authorize(header(scope, b"authorization"), needed)
        tenant = self._directory.tenants.get(key.tenant)
        if tenant is None:
            raise ProblemError(403, "key.tenant", "this key is the operator's; runs need a key of a tenant")
        return tenant, key

    async def _find(self, scope: Scope, run_id: str, needed: KeyScope) -> tuple[Run | None, dict[str, Any] | None]:
        """A run of who asks: a live one or its record.

        Raises:
            ProblemError: 404.
        """
        tenant, _ = self._tenant(scope, needed)
        run = self._runs.find(run_id, tenant.name)
        if run is not None:
            return run, None
        record = await self._storage.run(run_id, tenant.name)
        if record is None:
            raise not_found()
        return None, record

    async def _payload(self, scope: Scope, run_id: str, name: str) -> Answered:
        run, record = await self._find(scope, run_id, KeyScope.READ)
        if run is not None and run.answer is None:
            raise ProblemError(
                409, "run.ended", f"the run has not ended, so it has no {name} yet", headers={"Retry-After": "1"},
                retry_after_seconds=1,
            )  # fmt: skip
        if run is not None and run.answer is not None and run.is_durable:
            return Answered(200, run.answer.rows if name == "rows" else run.answer.logs)
        payload = None if record is None else await self._storage.payload(run_id, name)
        if payload is None:
            text = (
                f"the {name} of a synchronous run are in its answer only; ask with Prefer: respond-async to keep them"
            )
            raise ProblemError(410, "run.kept", text, changed_by="tenant")
        return Answered(200, payload)

    async def _small_body(self, scope: Scope, receive: Receive) -> bytes:
        return await read_body(scope, receive, min(self._config.max_body_bytes, 256 * 1024), self._config.body_seconds)

    async def _ended(self, run: Run, receive: Receive) -> None:
        """Wait for the end of a run; a client that hangs up cancels it.

        Raises:
            Disconnected: it did.
        """
        gone = asyncio.create_task(_until_gone(receive))
        gone.add_done_callback(lambda _: self._runs.cancel(run))
        try:
            await asyncio.shield(run.ended)
        finally:
            is_gone = gone.done()
            gone.cancel()
        if is_gone:
            raise Disconnected

    def _live(self, run: Run) -> bytes:
        """A run that is known to this process, and why it waits."""
        now = time.monotonic()
        waiting = self._runs.why_waiting(run, now)
        if waiting is None or waiting.expected_start is None:
            return live_document(run, waiting)
        return live_document(run, waiting, waiting.expected_start - now)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _prefers_async(prefer: str | None) -> bool:
    """Source: RFC 7240."""
    return any(part.strip().lower() == "respond-async" for part in (prefer or "").split(","))


def _days(scope: Scope) -> int:
    """Raises: ProblemError: 400."""
    given = parse_qs(scope["query_string"].decode("latin-1")).get("days", [str(_USAGE_DAYS)])[-1]
    if not given.isdecimal() or not 1 <= int(given[:6]) <= 3660:
        raise ProblemError(400, "query.days", "days must be a whole number from 1 to 3,660", asked=given[:80])
    return int(given)


def _json(status: int, content: object) -> Answered:
    return Answered(status, msgspec.json.encode(content))
