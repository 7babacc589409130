"""What the front believes of the process of a step run, which has parsed what a tenant sent."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from tests.server import lying_step_process
from tests.server.lying_step_process import LIES

from wasmexec import Limits
from wasmexec._wall.wall import Mode
from wasmexec.server.config import ServerConfig
from wasmexec.server.documents import GrantsDocument, TenantRequest
from wasmexec.server.runs.recorder import Recorder
from wasmexec.server.runs.runs import Runs
from wasmexec.server.steps.attempt import Attempt, AttemptLost
from wasmexec.server.steps.enclosure import StepEnclosure
from wasmexec.server.steps.messages import Conditions, GrantTold, Job, Plan, SecretTold
from wasmexec.server.steps.plans import allowed_by, pack_order
from wasmexec.server.steps.step_run import StepRun
from wasmexec.server.storage.step_runs import Ending, StoredStepRun
from wasmexec.server.storage.storage import Storage
from wasmexec.server.tenants.directory import Tenant
from wasmexec.server.watching.watch import Watch
from wasmexec.workers.messages import BadMessage

GRANT = GrantTold("api.example.com", [443], ["GET"], ["https"], False)


def make_tenant() -> Tenant:
    grants = GrantsDocument(http=["GET https://api.example.com"])
    return Tenant(TenantRequest(name="acme", grants=grants), Limits(), 100)


class Attempts:
    """Attempts on one store, each with a process that says what it is told to."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._what = ""
        module = lying_step_process.__name__
        command = property(lambda _: [sys.executable, "-m", module, self._what])
        monkeypatch.setattr(StepEnclosure, "command", command)
        self.storage = Storage(str(folder / "store.sqlite3"), folder / "keys", asyncio.get_running_loop())
        self.runs = Runs(ServerConfig(), Watch())
        fleet: Any = SimpleNamespace(slots=0, keep=lambda order, grants: None, forget=lambda order: None)
        self.runs.fleet, self.runs.storage = fleet, self.storage
        self.runs.recorder = Recorder(ServerConfig(), self.storage, self.runs.drop)
        self.tenant = make_tenant()
        self.runs.know(self.tenant)

    async def end(self, what: str) -> Ending:
        """How a run ends whose process says this."""
        self._what = what
        record = StoredStepRun(
            id=f"stp_{what}", tenant="acme", step="a", version=1, key_id="k", project=None, state="queued",
            created_at=time.time(), started_at=None, ended_at=None, attempts=0, may_have_effects=0, store_run=None,
            status=None, error=None,
        )  # fmt: skip
        plan = Plan(statement="return []", concurrency=4)
        run = StepRun(record=record, tenant=self.tenant)
        stored = self.storage.step_runs
        await stored.add(record, b"{}")
        handle = await stored.begin(record, b"{}", processing="bulk", may_have_effects=False)
        run.begin(plan, handle, has_grants=False)
        job = Job(name="a", document=b"{}", run_id=handle.run_id)
        allowed = allowed_by(self.tenant, "k", plan)
        attempt = Attempt(
            run, handle, allowed, job, runs=self.runs, storage=stored, image="x",
            share=lambda: 1, enclosure=StepEnclosure(Mode.OFF, "x"), secrets={},
        )  # fmt: skip
        try:
            attempt.start()
            async with asyncio.timeout(30):
                return await attempt.end()
        finally:
            await attempt.close()
            assert self.tenant.queued == {}, what


def test_a_process_that_breaks_the_rules_is_ended_and_one_that_keeps_to_them_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        attempts = Attempts(tmp_path, monkeypatch)
        await attempts.storage.steps.prepare()
        for what in LIES:
            if what == "the truth":
                ending = await attempts.end(what)
                assert (ending.status, ending.rows_out) == (200, 1)
                assert ending.advance is not None
                assert ending.advance.value == {"n": 2**65}
                continue
            with pytest.raises(AttemptLost) as lost:
                await attempts.end(what)
            assert str(lost.value).startswith("died" if what == "nothing" else "was ended: it sent "), what
        await attempts.storage.close()

    asyncio.run(work())


def test_limits_grants_and_secrets_of_an_order_are_the_fronts() -> None:
    tenant = make_tenant()
    plan = Plan(
        statement="return []",
        grants=[GRANT],
        limits={"wall_seconds": 3},
        secrets={"Key": SecretTold(["a.example.com"])},
    )
    allowed = allowed_by(tenant, "k", plan)

    def packed(variables: bytes) -> dict[str, Any]:
        order = pack_order(tenant, plan, allowed, Conditions(variables, [b"[1]"]), {"Key": "v"}, b"7", "image")
        found: dict[str, Any] = msgspec.json.decode(order)
        return found

    order = packed(b'{"a":1}')
    assert [grant["host"] for grant in order["grants"]["http"]] == ["api.example.com"]
    assert (order["limits"]["wall_seconds"], order["checkpoint"], order["local_variables"]) == (3, 7, {"a": 1})
    assert order["secrets"] == {"Key": ["v", ["a.example.com"], []]}
    for lie in (b'{},"grants":{"http":[]}', b'{"a":1}}', b"[]", b"", b'"\xff"', b"{" * 10_000):
        with pytest.raises(BadMessage):
            packed(lie)
