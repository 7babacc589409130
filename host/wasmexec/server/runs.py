"""`Runs`: every run that has not ended; what runs next, what becomes of one whose worker died, what is recorded.

All of it on the event loop. A run is in exactly one place: it waits, it is an entry of a worker, or it has ended.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from functools import partial
from typing import TYPE_CHECKING

from ..errors import WasmexecError
from ..workers.answers import Answer
from .fifo import Fifo
from .problems import ProblemError
from .quotas import Dimension
from .records import EndedRun, StoredRun
from .run import ATTEMPTS, Phase, Run, cancelled_answer, lost_answer, overdue_answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .config import ServerConfig
    from .fleet import Entry, Fleet
    from .storage import Storage
    from .tenants import Tenant

GROW_SECONDS = 0.25
"""How often what runs have used so far is charged to their tenants."""
PROBE_SECONDS = 2.0
_FIRST_PROBE_SECONDS = 0.05
"""How often it is looked whether the first worker is there."""
READY_SECONDS = 5.0
_PROBE_WALL_SECONDS = 60.0
_PROBE_ORDER = (
    b'{"image":"","statement":"return []","schema":null,"mode":"strict","extra_inputs":[],"checkpoint":null,'
    b'"local_variables":{},"limits":{},"grants":{"http":[],"ca_file":null,"proxy":null},"secrets":{}}'
)
_log = logging.getLogger(__name__)


class Runs:
    """See the module. `fleet` and `storage` are set once they are there, before anything is asked."""

    fleet: Fleet
    storage: Storage

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._queue = Fifo()
        self._live: dict[str, Run] = {}
        self._numbers = itertools.count(1)
        self._by_number: dict[int, Run] = {}
        self._probes: set[int] = set()
        self._size = 0
        self._is_draining = False
        self.probed_at: float | None = None
        self.refused = 0

    # What is asked.

    def submit(self, run: Run) -> None:
        """Have a run wait for its turn, which may be now.

        Raises:
            ProblemError: 429, 503: there is no room for it.
        """
        self.refuse_if_full(run.tenant, run.size)
        self._admit(run)
        self._dispatch()

    def refuse_if_full(self, tenant: Tenant, size: int) -> None:
        """Return if one more run may wait.

        Raises:
            ProblemError: 429, 503.
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
        if self._size + size > most:
            raise ProblemError(
                503, "server.max_queued_bytes", f"orders and inputs of {self._size:,} bytes are waiting; with this one "
                f"they would be more than {most:,}", value=most, used=self._size, asked=size, changed_by="operator",
                headers={"Retry-After": "1"},
            )  # fmt: skip
        tenant.refuse_more(time.time())

    async def accept(self, run: Run) -> None:
        """Store a durable run and have it wait: once this returns it can be acknowledged.

        Raises:
            ProblemError: as `submit`.
            StoreError: it is not stored; nothing runs.
        """
        self.refuse_if_full(run.tenant, run.size)
        # It holds its place while it is stored.
        self._admit(run, is_waiting=False)
        try:
            await asyncio.shield(self.storage.add_run(StoredRun(
                run.id, run.tenant.name, run.key_id, run.created_at, False, 0, run.order, run.data,
                run.limits.wall_seconds, run.has_grants,
            )))  # fmt: skip
        except WasmexecError:
            self._leave(run)
            raise
        # A client that has gone meanwhile changes nothing: it is stored.
        self._enqueue(run)

    def cancel(self, run: Run) -> None:
        """End a run with status 303, wherever it is; one that has ended stays as it is."""
        if run.phase is Phase.ENDED or run.is_cancelled:
            return
        run.is_cancelled = True
        if run.phase is Phase.QUEUED:
            self._queue.remove(run)
            self._end(run, cancelled_answer())
        elif run.entry is not None:
            self.fleet.stop(run.entry)

    def find(self, run_id: str, tenant: str) -> Run | None:
        """A run of a tenant that has not ended, or whose end is not on disk yet."""
        run = self._live.get(run_id)
        return run if run is not None and run.tenant.name == tenant else None

    def why_waiting(self, run: Run) -> tuple[str, int]:
        """The rule by which a queued run waits, and how many are before it."""
        return self._queue.why_waiting(run)

    @property
    def is_ready(self) -> bool:
        """Whether a probe went through all of it a moment ago."""
        return (
            not self._is_draining and self.probed_at is not None and time.monotonic() - self.probed_at < READY_SECONDS
        )

    @property
    def queued(self) -> int:
        """Runs that wait."""
        return len(self._queue)

    # How it begins and ends.

    def restore(self, stored: Iterable[StoredRun], tenants: Mapping[str, Tenant]) -> None:
        """Go on with the runs that another process of this server had accepted and not ended."""
        for item in stored:
            tenant = tenants[item.tenant]
            run = Run(
                id=item.id, tenant=tenant, key_id=item.key_id, order=item.order, data=item.input,
                limits=tenant.ceiling.limits, has_grants=item.has_grants, is_durable=True, created_at=item.created_at,
                attempts=item.attempts, has_requested=item.may_have_effects,
            )  # fmt: skip
            self._admit(run, is_waiting=False)
            if run.has_requested:
                self._end(run, lost_answer("the server was ended while it ran", has_requested=True))
            else:
                self._enqueue(run)

    def start_probing(self) -> None:
        """See again and again whether a statement gets through."""
        process = self.fleet.any()
        soon = process is None and self.probed_at is None
        asyncio.get_running_loop().call_later(_FIRST_PROBE_SECONDS if soon else PROBE_SECONDS, self.start_probing)
        if process is None or self._probes:
            return
        number = next(self._numbers)
        self._probes.add(number)
        self.fleet.give(self.fleet.hold(process, number, _PROBE_WALL_SECONDS), _PROBE_ORDER, b"null")

    def start_charging(self) -> None:
        """Charge what runs have used so far, again and again: a budget is not overrun by what still runs."""
        asyncio.get_running_loop().call_later(GROW_SECONDS, self.start_charging)
        for run in self._by_number.values():
            if run.entry is not None and run.id in run.tenant.account:
                run.tenant.account.grow(run.id, {Dimension.CPU_SECONDS: run.entry.cpu_seconds})

    async def drain(self, seconds: float) -> None:
        """Admit nothing more and let what runs end; what has not by then is cancelled, or left for the next start."""
        self._is_draining = True
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
        for run in self._by_number.values():
            assert run.phase is Phase.RUNNING, f"{run.id} has a number and does not run"
            assert run.id in run.tenant.running, f"{run.id} is not among its tenant's"
        assert self._size == sum(run.size for run in self._live.values() if run.phase is not Phase.ENDED), "bytes"

    # What the fleet tells.

    def answered(self, entry: Entry, answer: Answer) -> None:
        """An execution has ended."""
        if entry.number in self._probes:
            self._probes.discard(entry.number)
            if answer.status.succeeded:
                self.probed_at = time.monotonic()
            return
        run = self._by_number.pop(entry.number)
        run.entry = None
        self._end(run, answer)

    def lost(self, entry: Entry, why: str, *, is_overdue: bool) -> None:
        """The worker of an execution is gone: the run is repeated if nobody can have seen anything of it."""
        if entry.number in self._probes:
            self._probes.discard(entry.number)
            return
        run = self._by_number.pop(entry.number)
        run.entry = None
        run.lost_cpu_seconds += entry.cpu_seconds
        if run.is_cancelled:
            self._end(run, cancelled_answer())
        elif is_overdue:
            self._end(run, overdue_answer(run.limits.wall_seconds))
        elif run.may_be_repeated and run.attempts < ATTEMPTS:
            _log.warning("%s is repeated: %s", run.id, why)
            run.tenant.running.pop(run.id, None)
            self._enqueue(run, first=True)
        else:
            self._end(run, lost_answer(why, has_requested=run.has_requested))

    def requested(self, number: int) -> None:
        """An execution is about to send its first HTTP request."""
        run = self._by_number.get(number)
        if run is not None:
            run.has_requested = True

    def has_room(self) -> None:
        """There may be a free slot."""
        self._dispatch()

    # From place to place.

    def _admit(self, run: Run, *, is_waiting: bool = True) -> None:
        self._live[run.id] = run
        self._size += run.size
        run.tenant.queued[run.id] = run
        run.tenant.account.reserve(run.id, run.tenant.estimate, time.time())
        if is_waiting:
            self._queue.add(run)

    def _enqueue(self, run: Run, *, first: bool = False) -> None:
        """Have it wait, unless it was cancelled meanwhile."""
        if run.phase is Phase.ENDED:
            return
        run.phase = Phase.QUEUED
        run.tenant.queued[run.id] = run
        self._queue.add(run, first=first)
        self._dispatch()

    def _dispatch(self) -> None:
        while len(self._queue) and not self._is_draining and (process := self.fleet.free()) is not None:
            run = self._queue.next()
            if run is None:
                return
            run.attempts += 1
            run.number = next(self._numbers)
            run.phase = Phase.RUNNING
            run.started_at = run.started_at or time.time()
            run.tenant.queued.pop(run.id, None)
            run.tenant.running[run.id] = run
            run.entry = self.fleet.hold(process, run.number, run.limits.wall_seconds)
            self._by_number[run.number] = run
            if run.is_durable and run.has_grants:
                # Before it can send anything: after a crash nobody would know whether it had.
                noted = self.storage.note_start(run.id, run.attempts, may_have_effects=True)
                noted.add_done_callback(partial(self._give, run, run.number))
            else:
                self.fleet.give(run.entry, run.order, run.data)

    def _give(self, run: Run, number: int, noted: asyncio.Future[None]) -> None:
        """Hand over a run whose start has been noted, if it has still the slot that was held for it."""
        if self._by_number.get(number) is not run or run.entry is None:
            return
        if noted.exception() is None and not run.is_cancelled:
            self.fleet.give(run.entry, run.order, run.data)
            return
        entry, run.entry = run.entry, None
        del self._by_number[number]
        if run.is_cancelled:
            self._end(run, cancelled_answer())
        else:
            self._end(run, lost_answer(f"its start could not be stored: {noted.exception()}", has_requested=False))
        self.fleet.release(entry)

    def _end(self, run: Run, answer: Answer) -> None:
        """It has ended, once: record it, and tell whoever waits."""
        run.phase = Phase.ENDED
        run.answer = answer
        run.ended_at = time.time()
        used = answer.usage.cpu_seconds + run.lost_cpu_seconds
        self._size -= run.size
        tenant = run.tenant
        tenant.queued.pop(run.id, None)
        tenant.running.pop(run.id, None)
        tenant.account.settle(run.id, {Dimension.CPU_SECONDS: used}, time.time())
        tenant.learn(used)
        recorded = self.storage.end_run(EndedRun(
            id=run.id, tenant=tenant.name, key_id=run.key_id, created_at=run.created_at, started_at=run.started_at,
            ended_at=run.ended_at, attempts=run.attempts, wall_seconds=run.limits.wall_seconds,
            has_grants=run.has_grants, lost_cpu_seconds=run.lost_cpu_seconds, answer=answer,
            is_new=not run.is_durable, keep_rows=run.is_durable,
        ))  # fmt: skip
        # Until it is on disk it is found here.
        recorded.add_done_callback(lambda done: self._recorded(run, done))
        if not run.ended.done():
            run.ended.set_result(answer)

    def _recorded(self, run: Run, done: asyncio.Future[None]) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            _log.error("the end of %s is not on record: %s", run.id, error)
        self._live.pop(run.id, None)

    def _leave(self, run: Run) -> None:
        """It was never accepted."""
        if run.phase is Phase.ENDED:
            return
        self._live.pop(run.id, None)
        self._size -= run.size
        run.tenant.queued.pop(run.id, None)
        run.tenant.account.settle(run.id, {}, time.time())
