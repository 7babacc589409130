"""`StepRuns`: every run of a step that has not ended: which begins next, what becomes of it, what is recorded.

All of it on the event loop. Each run that is under way has a process of its own, which reads its inputs, and a flow of
executions among all others.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from ..._wall.wall import Mode
from ...errors import ConfigError, ExecutionCancelled, GuestLostError, TimeLimitError, WasmexecError
from ...rows.json_text import encode
from ...secret import Secret
from ...status import Status
from ...store.errors import RunStateError, StoreError, StoreLimitError, StoreLostError
from ..problems import ProblemError
from ..quotas.refusals import check_count
from ..runs.admission import opened_secrets
from ..runs.costs import MICROSECONDS
from ..runs.run import ATTEMPTS
from ..storage.accounts import saved
from ..storage.step_runs import Charge
from ..vault.places import SealError
from .attempt import Attempt, AttemptLost
from .enclosure import StepEnclosure
from .messages import Job, Plan
from .plans import Allowed, allowed_by
from .process import CANCEL_SECONDS
from .step_run import SILENT_SECONDS, StepRun, StepRunRequest, job_limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...store.records import RunHandle
    from ..config import ServerConfig
    from ..runs.records import KeptAnswer
    from ..runs.runs import Runs
    from ..storage.step_runs import Ending, StoredStepRun
    from ..storage.steps import StoredStep
    from ..storage.storage import Storage
    from ..tenants.directory import Tenant

CHARGE_SECONDS: Final = 1.0
"""How often what runs have used so far is charged to their tenants, and put on record."""
LARGEST_SHARE: Final = 0.75
"""Part of the processes that one tenant may have: they are not taken back for others."""
_STORE_AGAIN_SECONDS = 1.0
_log = logging.getLogger(__name__)
_decoder = msgspec.json.Decoder(StepRunRequest)
_T = TypeVar("_T")


class StepRuns:
    """See the module."""

    def __init__(self, config: ServerConfig, storage: Storage, runs: Runs, image: str) -> None:
        self._most = config.step_processes
        self._most_bytes = config.max_queued_bytes
        self._stored = storage.step_runs
        self._stored.keep = config.keep_step_runs
        self._forget = storage.runs.forget
        self._steps = storage.steps
        self._runs = runs
        self._image = image
        self.enclosure = StepEnclosure(Mode(config.wall), image)
        self._live: dict[str, StepRun] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._is_stopping = False
        self._ticker = asyncio.get_running_loop().call_later(CHARGE_SECONDS, self._tick)

    async def accept(self, run: StepRun, body: bytes, kept: KeptAnswer | None = None) -> None:
        """Store a run and have it wait: once this returns it can be acknowledged.

        `kept` is the answer to its request, stored with it if that has a key.

        Raises:
            ProblemError: 429, 503: there is no room for it, or no budget.
            StoreError: it is not stored; nothing runs.
        """
        tenant = run.tenant
        self._runs.refuse_if_full(0)
        tenant.refuse_inactive(is_durable=True)
        refusal = check_count("step_runs", self.of_tenant(tenant), tenant.max_queued)
        if refusal is not None:
            raise ProblemError.of(refusal)
        used = sum(other.size for other in self._live.values())
        if used + len(body) > self._most_bytes:
            raise ProblemError(
                503, "server.max_queued_bytes", f"what runs of steps were asked with has {used:,} bytes; with this one "
                f"it would be more than {self._most_bytes:,}", value=self._most_bytes, used=used, asked=len(body),
                changed_by="operator", headers={"Retry-After": "1"},
            )  # fmt: skip
        # Before it is stored: as many as are asked for at once are no more than may be.
        self._live[run.id] = run
        run.size = len(body)
        try:
            await self._stored.add(run.record, body, kept)
        except BaseException as error:
            del self._live[run.id]
            if isinstance(error, StoreLostError):
                # It may be there all the same.
                self._forget(run.id)
            raise
        run.is_stored = True
        self._dispatch()

    def of_tenant(self, tenant: Tenant) -> list[StepRun]:
        """The runs of a tenant's steps that have not ended."""
        return [run for run in self._live.values() if run.tenant is tenant]

    def find(self, run_id: str, tenant: str, step: str) -> StepRun | None:
        """A run that has not ended."""
        run = self._live.get(run_id)
        return run if run is not None and (run.tenant.name, run.record.step) == (tenant, step) else None

    def cancel(self, run: StepRun) -> None:
        """End a run with status 303, wherever it is."""
        if run.is_cancelled:
            return
        run.is_cancelled = True
        if run.id not in self._tasks:
            self._tasks[run.id] = asyncio.create_task(self._run(run))
        elif run.process is not None:
            run.process.cancel()
            if run.flow is not None:
                run.flow.cancel()

    def waits_behind(self, run: StepRun) -> int | None:
        """How many of its tenant are before one that waits; None if it does not wait for a process."""
        mine = [other for other in self._live.values() if other.tenant is run.tenant and other.id not in self._tasks]
        return mine.index(run) if run in mine else None

    async def restore(self, tenants: Mapping[str, Tenant]) -> int:
        """Go on with the runs that another process had accepted and not ended; how many those are.

        What it had begun has delivered nothing: it begins anew, unless it may have sent HTTP requests.
        """
        stored = self._stored.unfinished()
        for record in stored:
            if record.state == "running":
                reason = "the server was ended while it ran"
                why_not = _why_not_anew(tenants[record.tenant], bool(record.may_have_effects), 0)
                is_over = why_not is not None
                if is_over:
                    reason += f"; {why_not}"
                await self._stored.abandon(record, reason, Charge(), is_over=is_over)
                if is_over:
                    continue
            run = StepRun(record=record, tenant=tenants[record.tenant], attempts=record.attempts, is_stored=True)
            self._live[run.id] = run
        self._dispatch()
        return len(stored)

    async def stop(self) -> None:
        """Begin nothing more. What may be begun anew is left to the next start; what may have sent requests ends."""
        self._is_stopping = True
        self._ticker.cancel()
        for run in tuple(self._live.values()):
            if run.process is not None and run.has_grants:
                self.cancel(run)
            elif run.process is not None:
                run.process.kill()
        tasks = list(self._tasks.values())
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_SECONDS + 1.0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Which is next.

    def _dispatch(self) -> None:
        """Begin what is next: of the tenant with the fewest under way the oldest."""
        while not self._is_stopping and len(self._tasks) < self._most:
            under_way: dict[str, int] = {}
            for run_id in self._tasks:
                name = self._live[run_id].tenant.name
                under_way[name] = under_way.get(name, 0) + 1
            largest = max(1, int(LARGEST_SHARE * self._most))
            waiting = [
                run
                for run in self._live.values()
                if run.is_stored and run.id not in self._tasks and under_way.get(run.tenant.name, 0) < largest
            ]
            run = min(waiting, key=lambda item: under_way.get(item.tenant.name, 0), default=None)
            if run is None:
                return
            self._tasks[run.id] = asyncio.create_task(self._run(run))

    def _tick(self) -> None:
        """Charge what runs have used, and end those whose process says nothing any more."""
        self._ticker = asyncio.get_running_loop().call_later(CHARGE_SECONDS, self._tick)
        for run in self._live.values():
            if run.process is None:
                continue
            self._charge(run)
            charge = _charge_of(run)
            if charge.counts:
                self._stored.charge(run.record, charge)
            if run.is_silent:
                run.process.kill()

    def _charge(self, run: StepRun) -> None:
        """Have the tenant pay for the process, in its budgets and in its turns."""
        before = run.process_us
        run.note_process()
        if run.process_us > before:
            self._runs.charge(run.tenant, (run.process_us - before) / MICROSECONDS)

    def _share(self, tenant: Tenant) -> int:
        """How many executions of one flow of a tenant may be there that do not sleep.

        All of its flows together leave a quarter of the slots to the single runs of others, which start at once.
        """
        flows = sum(run.tenant is tenant and run.flow is not None for run in self._live.values())
        return max(1, self._runs.largest_share // max(1, flows))

    # How it goes on.

    async def _run(self, run: StepRun) -> None:
        """Attempt after attempt, until one ends or nobody may try again."""
        try:
            await self._stored_surely(self._steps.prepare)
            while not self._is_stopping and not await self._attempt(run):
                pass
        except ProblemError as problem:
            await self._give_up(run, Status.CONFIG_REFUSED, str(problem))
        except WasmexecError as error:
            await self._give_up(run, Status.RUNTIME_FAILED, error.message)
        except Exception:
            _log.exception("step run %s", run.id)
            await self._give_up(run, Status.RUNTIME_FAILED, "the server is at fault")
        finally:
            self._live.pop(run.id, None)
            self._tasks.pop(run.id, None)
            if not run.ended.done():
                run.ended.set_result(None)
            self._dispatch()

    async def _attempt(self, run: StepRun) -> bool:
        """Whether it was the last.

        Raises:
            ProblemError: it may not begin.
        """
        if run.is_cancelled:
            await self._refuse(run.record, Status.CANCELLED, "cancelled")
            return True
        attempt = await self._begin(run)
        handle = attempt.handle
        try:
            attempt.start()
            while True:
                ending = await attempt.end()
                if self._is_stopping and ending.status is Status.CANCELLED:
                    ending = ending._replace(error=ExecutionCancelled("cancelled: the server was stopped"))
                refused = await self._finish(run, handle, ending)
                if refused is None:
                    return True
                attempt.refuse(refused)
        except (AttemptLost, StoreError) as loss:
            why = f"the process that read its inputs {loss}"
        finally:
            self._charge(run)
            await attempt.close()
        return await self._lost(run, handle, why)

    async def _begin(self, run: StepRun) -> Attempt:
        """An attempt that the store knows of; what the run was asked with is kept by it alone, until it has started.

        Raises:
            ProblemError: it may not begin.
            ConfigError: its version is gone.
        """
        record = run.record
        step = await self._stored_surely(lambda: self._steps.version(record.tenant, record.step, record.version))
        if step is None:
            raise ConfigError(f"version {record.version} of the step is not there any more")
        plan = msgspec.json.decode(step.plan, type=Plan)
        allowed = allowed_by(run.tenant, record.key_id, plan)
        has_grants = bool(allowed.grants.http_grants)
        request = _decoder.decode(await self._stored_surely(lambda: self._stored.request(record)))
        secrets: dict[str, str | Secret] = {**request.secrets}
        secrets |= opened_secrets(run.tenant, request.secrets, request.stored_secrets)
        handle = await self._stored_surely(lambda: self._stored.begin(
            record, step.document, processing=plan.processing, may_have_effects=has_grants
        ))  # fmt: skip
        run.begin(plan, handle, has_grants=has_grants)
        return Attempt(
            run, handle, allowed, _job(step, handle, request, allowed, secrets), secrets=secrets, runs=self._runs,
            storage=self._stored, image=self._image, share=partial(self._share, run.tenant), enclosure=self.enclosure,
        )  # fmt: skip

    async def _lost(self, run: StepRun, handle: RunHandle, why: str) -> bool:
        """It has delivered nothing, so it begins anew, unless it may have sent requests. Whether it is over."""
        has_requested = run.flow is not None and run.flow.has_requested
        if run.is_cancelled:
            text = "cancelled: the server was stopped" if self._is_stopping else "cancelled"
            ending = run.failed(Status.CANCELLED, ExecutionCancelled(text))
        elif self._is_stopping and not has_requested:
            # The next start finds it.
            return True
        elif run.is_silent:
            text = f"{why}: it had said nothing for {SILENT_SECONDS:g} s"
            ending = run.failed(Status.TIMED_OUT, TimeLimitError(text, limit=SILENT_SECONDS, used=SILENT_SECONDS))
        elif (why_not := _why_not_anew(run.tenant, has_requested, run.attempts)) is not None:
            ending = run.failed(Status.RUNTIME_FAILED, GuestLostError(f"{why}; {why_not}", trap="worker"))
        else:
            _log.warning("step run %s begins anew: %s", run.id, why)
            record, charge = run.record._replace(store_run=handle.run_id), _charge_of(run)
            await self._stored_surely(lambda: self._stored.abandon(record, why, charge, is_over=False))
            run.handle = None
            return False
        await self._finish(run, handle, ending)
        return True

    async def _finish(self, run: StepRun, handle: RunHandle, ending: Ending) -> StoreLimitError | None:
        """Put an end on record, however long the store is away; what is too large for it."""
        charge = _charge_of(run)
        try:
            return await self._stored_surely(lambda: self._stored.end(run.record, handle, ending, charge))
        except RunStateError as error:
            # Somebody has ended it by hand.
            await self._refuse(run.record, Status.RUNTIME_FAILED, error.message)
            return None

    async def _give_up(self, run: StepRun, status: Status, why: str) -> None:
        """End one that cannot go on, whether it has begun or not."""
        if run.handle is None:
            await self._refuse(run.record, status, why)
            return
        record, charge = run.record._replace(store_run=run.handle.run_id), _charge_of(run)
        await self._stored_surely(lambda: self._stored.abandon(record, why, charge, is_over=True))

    async def _refuse(self, record: StoredStepRun, status: Status, why: str) -> None:
        """End one that has nothing in the run store."""
        error = encode({"type": _TYPES.get(status, "WasmexecError"), "message": why}).decode()
        await self._stored_surely(lambda: self._stored.refuse(record, status, error))

    async def _stored_surely(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Have something stored or read, again and again for as long as the store is away.

        Raises:
            RunStateError: it is not what can be done now.
            SealError: what was read does not open.
        """
        while True:
            try:
                return await work()
            except (RunStateError, SealError):
                raise
            except StoreError as error:
                _log.error("the store: %s", error)
                await asyncio.sleep(_STORE_AGAIN_SECONDS)


_TYPES: Final = {Status.CANCELLED: "ExecutionCancelled", Status.CONFIG_REFUSED: "ConfigError"}


def _why_not_anew(tenant: Tenant, has_requested: bool, attempts: int) -> str | None:
    """Why a run that was lost is not begun anew, by its tenant's rule; None: it is."""
    rule = tenant.document.repeat_lost
    if rule == "never":
        return "its tenant has no lost run repeated (repeat_lost)"
    if rule == "safe" and has_requested:
        return "it may have sent HTTP requests, so it was not begun anew"
    return f"that was attempt {attempts}" if attempts >= ATTEMPTS else None


def _charge_of(run: StepRun) -> Charge:
    """What a run has used since this was asked last."""
    now, tenant = time.time(), run.tenant
    return Charge(run.new_costs(), tuple(saved(account, now) for account in tenant.accounts(run.record.key_id)))


def _job(
    step: StoredStep, handle: RunHandle, request: StepRunRequest, allowed: Allowed, secrets: Mapping[str, str | Secret]
) -> Job:
    return Job(
        name=step.name, document=step.document, run_id=handle.run_id, input_data=_input(request.input_data),
        extra_inputs=[_input(data) for data in request.extra_inputs],
        local_variables=msgspec.json.encode(request.local_variables),
        secrets={name: item if isinstance(item, str) else item.value for name, item in secrets.items()},
        limits=job_limits(allowed.limits), checkpoint=encode(handle.checkpoint.value, half_pairs=True),
        checkpoint_version=handle.checkpoint.version,
    )  # fmt: skip


def _input(text: msgspec.Raw) -> bytes | None:
    data = bytes(text)
    return None if data == b"null" else data
