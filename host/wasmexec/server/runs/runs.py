"""`Runs`: every run that has not ended; what runs next, what becomes of one whose worker died, what is recorded.

All of it on the event loop. A run is in exactly one place: it waits, it is an entry of a worker, or it has ended.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import os
import time
from functools import partial
from typing import TYPE_CHECKING

from ...errors import WasmexecError
from ...store.errors import StoreBusyError, StoreError, StoreLostError
from ...workers.answers import Answer
from ...workers.files import LongText, whole
from ..problems import ProblemError
from ..quotas.refusals import Owner
from ..scheduling.fair_queue import State, TenantRules, Waiting
from ..scheduling.scheduler import Scheduler
from ..streaming.journal import LiveLogs
from .costs import charges_of, costs_of
from .documents import live_document
from .records import KeptAnswer, NewRun, StartedRun
from .run import Phase, Run, cancelled_answer, lost_answer, overdue_answer, unstored_answer
from .suspects import Suspects

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from ..config import ServerConfig
    from ..storage.storage import Storage
    from ..tenants.directory import Tenant
    from ..watching.watch import Watch
    from .fleet import Fleet
    from .recorder import Recorder
    from .worker import Entry, Process

GROW_SECONDS = 0.25
"""How often what runs have used so far is charged to their tenants."""
PROBE_SECONDS = 2.0
_FIRST_LOOK_SECONDS = 0.05
_LOOK_SECONDS = 0.25
"""How often it is looked which workers are to be asked, new ones at once."""
READY_SECONDS = 5.0
_PROBE_WALL_SECONDS = 60.0
_SETTLE_SECONDS = 2.0
_NO_BOUND = 10**9
_PROBE_ORDER = (
    b'{"image":"","statement":"return []","schema":null,"mode":"strict","extra_inputs":[],"checkpoint":null,'
    b'"local_variables":{},"limits":{},"grants":{"http":[],"ca_file":null,"proxy":null},"secrets":{}}'
)
_log = logging.getLogger(__name__)


class Runs:
    """See the module. `fleet`, `storage` and `recorder` are set once they are there, before anything is asked."""

    fleet: Fleet
    storage: Storage
    recorder: Recorder

    def __init__(self, config: ServerConfig, watch: Watch) -> None:
        self._config = config
        self.watch = watch
        self._scheduler = Scheduler(slots=0, cores=os.cpu_count() or 1)
        self._live: dict[str, Run] = {}
        self._numbers = itertools.count(1)
        self._by_number: dict[int, Run] = {}
        self._probes: dict[int, Process] = {}
        self._suspects = Suspects()
        self._size = self._receiving = 0
        self._held: dict[str, Run] = {}
        """Durable runs that need the store to start, and wait until it is there again; to the scheduler they sleep."""
        self.restored = asyncio.Event()
        """Whether all that another process had accepted is known."""
        self.accepted: set[str] = set()
        """Until then: what this one has accepted."""
        self._logs = LiveLogs(config.max_live_log_bytes)
        self._is_draining = False
        self.probed_at: float | None = None

    # What is asked.

    def know(self, tenant: Tenant) -> None:
        """Schedule the runs of a tenant by its rules from now on."""
        self._scheduler.set_tenant(tenant.name, tenant.rules)
        self._dispatch()

    def forget(self, tenant: Tenant) -> None:
        """Schedule nothing of a tenant that has no runs, until it is known again."""
        self._scheduler.remove_tenant(tenant.name)
        self.recorder.counts.forget(tenant.name)

    def submit(self, run: Run) -> None:
        """Have a run wait for its turn, which may be now.

        Raises:
            ProblemError: 429, 503: there is no room for it, or it cannot start in time.
        """
        self.refuse_if_full(run.size)
        if run.on_end is None:
            # An execution of something larger is not on record by itself.
            self.recorder.refuse_full(run.tenant)
        self._suspects.refuse(run)
        run.tenant.refuse_inactive(is_durable=False)
        self._admit(run)
        self._dispatch()

    def refuse_if_full(self, size: int, *, is_durable: bool = False) -> None:
        """Return if the server takes one more run of this size.

        Raises:
            ProblemError: 503.
        """
        if self._is_draining:
            raise ProblemError(
                503,
                "server.draining",
                "the server is about to stop",
                headers={"Retry-After": "5"},
                changed_by="operator",
            )
        most = self._config.max_queued_bytes
        held = self._size + self._receiving
        if held + size > most:
            raise ProblemError(
                503, "server.max_queued_bytes", f"orders and inputs of {held:,} bytes are waiting; with this one "
                f"they would be more than {most:,}", value=most, used=held, asked=size, changed_by="operator",
                headers={"Retry-After": "1"},
            )  # fmt: skip
        self.recorder.refuse_without_store(is_durable=is_durable)

    def note_receiving(self, size: int) -> None:
        """So many bytes more, or less, of bodies are kept that no run has yet.

        Raises:
            ProblemError: 503: there is no room for them.
        """
        if size > 0:
            self.refuse_if_full(size)
        self._receiving += size

    async def accept(self, run: Run) -> KeptAnswer | None:
        """Store a durable run and have it wait: once this returns it can be acknowledged.

        The answer is what was stored for the key of its request, if that had one.

        Raises:
            ProblemError: as `submit`.
            StoreError: it is not stored; nothing runs.
        """
        self.refuse_if_full(run.size, is_durable=True)
        self.recorder.refuse_full(run.tenant)
        self._suspects.refuse(run)
        run.tenant.refuse_inactive(is_durable=True)
        self._admit(run)
        if not self.restored.is_set():
            self.accepted.add(run.id)
        kept = None
        if run.request_key is not None:
            kept = KeptAnswer(*run.request_key, run.id, run.created_at, 202, live_document(run))
        run.stored = self.storage.runs.add(NewRun(
            run.id, run.tenant.name, run.key_id, run.created_at, run.order, whole(run.data), run.limits.wall_seconds,
            run.has_grants, run.statement, kept,
        ))  # fmt: skip
        # It may get its slot meanwhile, and is handed over once it is stored.
        self._dispatch()
        try:
            await asyncio.shield(run.stored)
        except WasmexecError as error:
            self._withdraw(run, unstored_answer(error))
            if isinstance(error, StoreLostError):
                # It may be there all the same.
                self.storage.runs.forget(run.id)
            raise
        return kept

    @property
    def largest_share(self) -> int:
        """How many slots one tenant may hold while others wait."""
        return self._scheduler.largest_share

    def charge(self, tenant: Tenant, cpu_seconds: float) -> None:
        """Have a tenant pay, in its turns, for what was done for it beside its runs."""
        self._scheduler.charge(tenant.name, cpu_seconds)

    def cancel(self, run: Run) -> None:
        """End a run with status 303, wherever it is; one that has ended stays as it is."""
        if run.phase is Phase.ENDED or run.is_cancelled:
            return
        run.is_cancelled = True
        if run.phase is Phase.QUEUED:
            self._end(run, cancelled_answer())
        elif run.entry is not None:
            self.fleet.stop(run.entry)

    async def settle(self, run: Run) -> None:
        """Return once the end of a durable run is on disk: after a crash it would run again, whatever had been told.

        A store that is away is not waited for.
        """
        if run.is_durable and run.recorded is not None and not run.recorded.done():
            await asyncio.wait([run.recorded], timeout=_SETTLE_SECONDS)

    def find(self, run_id: str, tenant: str) -> Run | None:
        """A run of a tenant that has not ended, or whose end is not on disk yet."""
        run = self._live.get(run_id)
        return run if run is not None and run.tenant.name == tenant else None

    def why_waiting(self, run: Run, now: float) -> Waiting | None:
        """What holds a run back, on the clock of `time.monotonic`; None if it does not wait."""
        suspected = self._suspects.why_waiting(run)
        if suspected is not None:
            return suspected
        if run.id in self._held:
            message = "the store does not answer, and the run needs it to start"
            rule, owner = "server.store_away", Owner.SERVER
            return Waiting(rule=rule, owner=owner, message=message, value=None, position=1, expected_start=None)
        return self._scheduler.why_waiting(run.id, now) if run.phase is Phase.QUEUED else None

    def of_tenant(self, tenant: Tenant) -> Iterable[Run]:
        """The runs of a tenant that have not ended, or whose end is not on disk yet."""
        live = itertools.chain(tenant.queued.values(), tenant.running.values(), self.recorder.ending_of(tenant))
        return (run for run in live if isinstance(run, Run) and run.tenant is tenant)

    def drop(self, run: Run) -> None:
        """Its end is on disk: it is found there."""
        self._live.pop(run.id, None)

    @property
    def size(self) -> int:
        """The bytes that are kept for runs that have not ended."""
        return self._size

    @property
    def is_ready(self) -> bool:
        """Whether a probe went through all of it a moment ago."""
        if self._is_draining or self.storage.writer.away_seconds:
            return False
        return self.probed_at is not None and time.monotonic() - self.probed_at < READY_SECONDS

    # How it begins and ends.

    def take_up(self, tenants: Collection[Tenant], restored: Sequence[Run]) -> None:
        """Go on with runs of these tenants that another process had accepted, whatever the rules are now."""
        for tenant in tenants:
            self._scheduler.set_tenant(tenant.name, TenantRules(max_queued=_NO_BOUND, max_wait_seconds=_NO_BOUND))
        for run in restored:
            self._admit(run, is_admitted=True)
            had_started = run.has_requested or run.attempts > 0
            if had_started and run.why_not_repeated is not None:
                self._end(run, lost_answer("the server was ended while it ran", run.why_not_repeated))
        for tenant in tenants:
            self._scheduler.set_tenant(tenant.name, tenant.rules)
        self._dispatch()

    def start_probing(self) -> None:
        """See again and again whether a statement gets through each of the workers."""
        seconds = _FIRST_LOOK_SECONDS if self.probed_at is None else _LOOK_SECONDS
        asyncio.get_running_loop().call_later(seconds, self.start_probing)
        for process in self.fleet.unprobed(PROBE_SECONDS):
            number = next(self._numbers)
            self._probes[number] = process
            process.begin_probe()
            self.fleet.give(self.fleet.hold(process, number, _PROBE_WALL_SECONDS), _PROBE_ORDER, b"null")

    def start_charging(self) -> None:
        """Again and again: charge what runs have used so far, and end those that have waited for too long."""
        asyncio.get_running_loop().call_later(GROW_SECONDS, self.start_charging)
        for run_id, refusal in self._scheduler.overdue(time.monotonic()):
            run = self._live[run_id]
            run.refusal = refusal
            if run.is_durable:
                # Nobody is told over HTTP.
                self.watch.refused(refusal.rule)
            self._end(run, cancelled_answer(refusal.message))
        for run in self._by_number.values():
            if run.entry is not None:
                run.tenant.grow(run, run.lost_cpu_seconds + run.entry.cpu_seconds)

    async def drain(self, seconds: float) -> None:
        """Admit nothing more and let what runs end; what has not by then is cancelled, or left for the next start."""
        self._is_draining = True
        # Nobody else starts any more.
        for run in self._by_number.values():
            if run.entry is not None and run.entry.has_asked:
                self.fleet.go_on(run.entry)
        until = time.monotonic() + seconds
        while self._by_number and time.monotonic() < until:
            await asyncio.sleep(0.02)
        for run in tuple(self._live.values()):
            # A durable one that nobody outside has seen anything of is run again after the next start.
            if not run.is_durable:
                self.cancel(run)
        until = time.monotonic() + 3.0
        while any(not run.is_durable for run in self._live.values()) and time.monotonic() < until:
            await asyncio.sleep(0.01)

    def check(self) -> None:
        """Prove that every run is in one place, and that nothing is held for runs that have ended.

        Raises:
            AssertionError: it is not so.
        """
        self.fleet.check()
        self._scheduler.check()
        for run in self._by_number.values():
            assert run.phase is Phase.RUNNING, f"{run.id} has a number and does not run"
            assert run.id in run.tenant.running, f"{run.id} is not among its tenant's"
        for account in {account for run in self._by_number.values() for account in run.tenant.accounts(run.key_id)}:
            account.check()
        assert self._size == sum(run.size for run in self._live.values() if run.phase is not Phase.ENDED), "bytes"
        assert self._logs.size == sum(run.journal.log.size for run in self._live.values()), "bytes of logs"

    # What the fleet tells.

    def answered(self, entry: Entry, answer: Answer) -> None:
        """An execution has ended."""
        if entry.number in self._probes:
            process = self._probes.pop(entry.number)
            if answer.status.succeeded:
                self.probed_at = time.monotonic()
                self.fleet.prove(process)
            else:
                process.end_probe(succeeded=False)
            return
        run = self._by_number.pop(entry.number)
        run.entry = None
        self._suspects.note_end(entry, run)
        self._end(run, answer)

    def died(self, entries: Sequence[Entry], overdue: Entry | None) -> None:
        """A worker process is gone with these; each of them is lost in a moment."""
        there = {entry: run for entry in entries if (run := self._by_number.get(entry.number)) is not None}
        self._suspects.note_death(there, overdue)

    def lost(self, entry: Entry, why: str, *, is_overdue: bool) -> None:
        """The worker of an execution is gone: the run is repeated if its tenant's rule allows that."""
        if self._probes.pop(entry.number, None) is not None:
            return
        run = self._by_number.pop(entry.number)
        run.entry = None
        run.lost_cpu_seconds += entry.cpu_seconds
        self.watch.attempt_lost(run)
        if run.is_cancelled:
            self._end(run, cancelled_answer())
        elif is_overdue:
            self._end(run, overdue_answer(run.limits.wall_seconds))
        elif self._suspects.is_condemned(run):
            self._end(run, lost_answer(why, "its statement was there at each of several such deaths, at last alone"))
        else:
            self._begin_anew(run, entry, why)

    def requested(self, number: int) -> None:
        """An execution is about to send its first HTTP request."""
        run = self._by_number.get(number)
        if run is not None:
            run.has_requested = True

    def moved(self, entry: Entry) -> None:
        """An execution has used some processor time, has gone to sleep, or has woken.

        One that wakes while there is room in its worker goes on at once, and is queued for the slot that it takes: as
        long as it has none, nobody else of its tenant starts.
        """
        run = self._by_number.get(entry.number)
        if run is None:
            return
        run.journal.note_asleep(entry.is_waiting)
        state = self._scheduler.state(run.id)
        if state is State.ASLEEP and not entry.is_waiting:
            self._scheduler.wake(run.id)
        elif state is State.EXECUTING and entry.is_waiting:
            self._scheduler.sleep(run.id, entry.cpu_seconds)
            if run.on_sleep is not None:
                run.on_sleep()
        elif state is State.EXECUTING:
            self._scheduler.report(run.id, entry.cpu_seconds)

    def woken(self, entry: Entry) -> None:
        """An execution has something to do again: it is queued for its slot, in front of the others of its tenant."""
        run = self._by_number.get(entry.number)
        state = None if run is None else self._scheduler.state(run.id)
        if run is not None and state is State.ASLEEP and not self._is_draining:
            self._scheduler.wake(run.id)
        elif state is not State.QUEUED or self._is_draining:
            self.fleet.go_on(entry)

    def logged(self, entry: Entry, lines: list[bytes]) -> None:
        """The log of an execution has more lines."""
        run = self._by_number.get(entry.number)
        if run is not None:
            self._logs.add(run.journal, lines)

    def has_room(self) -> None:
        """There may be a free slot."""
        self._dispatch()

    # From place to place.

    def _begin_anew(self, run: Run, entry: Entry, why: str) -> None:
        if self._suspects.is_bystander(run):
            run.spare()
        if run.why_not_repeated is not None:
            self._end(run, lost_answer(why, run.why_not_repeated))
            return
        _log.warning("%s is repeated: %s", run.id, why)
        self._logs.repeat(run.journal, run.attempts + 1)
        run.tenant.running.pop(run.id, None)
        run.tenant.queued[run.id] = run
        run.phase = Phase.QUEUED
        self._scheduler.repeat(run.id, entry.cpu_seconds)
        self.watch.run_waits(run)

    def _start_alone(self, run: Run) -> None:
        """Start a suspect in the process for these, or have it wait without a slot until that is free."""
        process = self.fleet.isolated()
        if process is None:
            self._suspects.waiting[run.id] = run
            self._scheduler.sleep(run.id, 0.0)
            return
        self._suspects.waiting.pop(run.id, None)
        self._start(run, process)

    def _wake_suspect(self) -> None:
        """Have the one that has waited longest ask for a slot, if its process is free."""
        if self._suspects.waiting and self.fleet.isolated() is not None:
            first = next(iter(self._suspects.waiting))
            if self._scheduler.state(first) is State.ASLEEP:
                self._scheduler.wake(first)

    def _admit(self, run: Run, *, is_admitted: bool = False) -> None:
        """Have a run wait, which may have been admitted by another process. Raises: ProblemError: 429, 503."""
        tenant, now = run.tenant, time.monotonic()
        cpu_seconds = self._scheduler.estimate(tenant.name, run.statement)
        tenant.reserve(run, cpu_seconds, time.time(), is_admitted=is_admitted)
        start_by = math.inf if run.max_wait_seconds is None else now + run.max_wait_seconds
        refusal = self._scheduler.submit(
            run.id, tenant=tenant.name, statement=run.statement, now=now, start_by=start_by
        )  # fmt: skip
        if refusal is not None:
            tenant.settle(run, {}, time.time())
            raise ProblemError.of(refusal)
        self._live[run.id] = run
        self.watch.run_waits(run)
        self._size += run.size
        tenant.queued[run.id] = run

    def _dispatch(self) -> None:
        """Start what is next as long as there are slots."""
        if self._is_draining:
            return
        if self._scheduler.slots != self.fleet.slots:
            self._scheduler.resize(slots=self.fleet.slots, cores=os.cpu_count() or 1)
        self._wake_suspect()
        while (start := self._scheduler.start_next()) is not None:
            run = self._live[start.run]
            if run.phase is Phase.RUNNING:
                # It has woken, and has its slot now; unless it sleeps again.
                if run.entry is not None and run.entry.has_asked:
                    self.fleet.go_on(run.entry)
                elif run.entry is not None and run.entry.is_waiting:
                    self._scheduler.sleep(run.id, run.entry.cpu_seconds)
                continue
            if self._suspects.has_to_be_alone(run):
                self._start_alone(run)
                continue
            process = self.fleet.free()
            if process is None:
                self._scheduler.repeat(run.id)
                return
            self._start(run, process)

    def _start(self, run: Run, process: Process) -> None:
        run.attempts += 1
        run.number = next(self._numbers)
        run.phase = Phase.RUNNING
        run.started_at = run.started_at or time.time()
        run.tenant.queued.pop(run.id, None)
        run.tenant.running[run.id] = run
        self.watch.run_started(run)
        run.entry = self.fleet.hold(process, run.number, run.limits.wall_seconds, run.http_grants)
        self._by_number[run.number] = run
        run.journal.wake()
        prepared = run.stored
        if run.is_durable and (not run.is_loaded or run.is_start_noted):
            prepared = asyncio.ensure_future(self._prepare(run))
        if prepared is None or (prepared.done() and prepared.exception() is None):
            self.fleet.give(run.entry, run.kept or run.order, run.data)
        else:
            prepared.add_done_callback(partial(self._give, run, run.number))

    async def _prepare(self, run: Run) -> None:
        """Do what needs the store before an attempt can begin. Raises: StoreError."""
        if run.stored is not None:
            await asyncio.shield(run.stored)
        if not run.is_loaded:
            found = await self.storage.runs.order(run.id)
            if run.phase is Phase.ENDED:
                return
            if found is None:
                raise StoreError("it is not there any more")
            run.order, run.data = found
            run.is_loaded = True
            self._size += run.size
            if run.entry is not None:
                run.entry.grants = run.http_grants
        if run.is_start_noted:
            # Before it can send anything: after a crash nobody would know whether it had.
            await self.storage.runs.note_start(StartedRun(run.id, run.attempts, run.has_grants, time.time()))

    def _give(self, run: Run, number: int, prepared: asyncio.Future[None]) -> None:
        """Hand over a run that is prepared, if it has still the slot that was held for it."""
        error = prepared.exception()
        if self._by_number.get(number) is not run or run.entry is None:
            return
        if error is None and not run.is_cancelled:
            self.fleet.give(run.entry, run.kept or run.order, run.data)
            return
        entry, run.entry = run.entry, None
        del self._by_number[number]
        is_stored = run.stored is None or (run.stored.done() and run.stored.exception() is None)
        if not is_stored:
            self._withdraw(run, unstored_answer(error))
        elif run.is_cancelled:
            self._end(run, cancelled_answer())
        elif isinstance(error, (StoreLostError, StoreBusyError)):
            self._hold(run)
        else:
            self._end(run, unstored_answer(error))
        self.fleet.release(entry)

    def _hold(self, run: Run) -> None:
        """Have a run that cannot start without the store wait for it, without a slot."""
        run.attempts -= 1
        run.phase = Phase.QUEUED
        run.tenant.running.pop(run.id, None)
        run.tenant.queued[run.id] = run
        self._scheduler.sleep(run.id, 0.0)
        self._held[run.id] = run

    def go_on(self) -> None:
        """The store is there again."""
        held, self._held = self._held, {}
        for run_id in held:
            self._scheduler.wake(run_id)
        self._dispatch()

    def _end(self, run: Run, answer: Answer) -> None:
        """It has ended, once: record it, and tell whoever waits."""
        run.phase = Phase.ENDED
        run.answer = answer = self._logs.end(run.journal, answer)
        run.ended_at = time.time()
        self._held.pop(run.id, None)
        if self._scheduler.state(run.id) is not None:
            self._scheduler.end(run.id, answer.usage.cpu_seconds, is_complete=answer.status.succeeded)
        self._size -= run.size
        if isinstance(run.data, LongText):
            run.data = b""
        tenant = run.tenant
        self._suspects.waiting.pop(run.id, None)
        tenant.queued.pop(run.id, None)
        tenant.running.pop(run.id, None)
        # SECURITY: charged and recorded in one step of the loop: what is on record is what budgets have counted.
        charges = charges_of(costs_of(answer, run.lost_cpu_seconds))
        tenant.settle(run, charges, run.ended_at)
        self.watch.run_ended(run)
        if run.on_end is None:
            self.recorder.record(run)
        else:
            self._live.pop(run.id, None)
            run.on_end(run)
        if not run.ended.done():
            run.ended.set_result(answer)

    def _withdraw(self, run: Run, answer: Answer) -> None:
        """It was never accepted."""
        if run.phase is Phase.ENDED:
            return
        self._live.pop(run.id, None)
        run.phase = Phase.ENDED
        run.answer = answer
        self._size -= run.size
        self._suspects.waiting.pop(run.id, None)
        self._scheduler.end(run.id)
        run.tenant.queued.pop(run.id, None)
        run.tenant.running.pop(run.id, None)
        run.tenant.settle(run, {}, time.time())
