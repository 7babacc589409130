"""`Attempt`: one run of a step with its process, from the job to the end that the store agrees to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...result import LEVELS, LogRecord
from ...rows.json_text import decode
from ...status import Status
from ...store.chunks import Chunk
from ...store.errors import StoreLimitError
from ...store.records import Advance, RowError, RunHandle
from ...workers.answers import Answer, pack_answer
from ...workers.files import whole
from ...workers.messages import NO_INPUT, BadMessage, Frame, Kind, pack
from ...workers.results import read_error, read_status
from ..storage.step_runs import Ending
from .flow import Flow, FlowOrder
from .messages import ChunkHead, Conditions, End, FailedRow, LogLine, ProgressTold, TooLarge, rooms_for_run, tell, told
from .plans import Allowed, kind, pack_order
from .process import StepProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...secret import Secret
    from ..runs.runs import Runs
    from ..storage.step_runs import StepRunStorage
    from .enclosure import StepEnclosure
    from .messages import Job
    from .step_run import StepRun

MOST_ENDS: Final = 3
"""So often a process may say how its run ends: again if something of it was too large."""


class AttemptLost(Exception):
    """The process has ended, or broke the rules; the text says how."""


class Attempt:
    """See the module; `run` has begun. Start it, and close it."""

    def __init__(
        self, run: StepRun, handle: RunHandle, allowed: Allowed, job: Job, *, secrets: Mapping[str, str | Secret],
        runs: Runs, storage: StepRunStorage, image: str, share: Callable[[], int], enclosure: StepEnclosure,
    ) -> None:  # fmt: skip
        self.handle = handle
        self._run = run
        self._allowed = allowed
        self._job: Job | None = job
        self._checkpoint = job.checkpoint
        self._secrets = secrets
        self._runs = runs
        self._storage = storage
        self._image = image
        self._share = share
        self._enclosure = enclosure
        self._ends = 0

    def start(self) -> None:
        """Start the process, which has the inputs from now on.

        Raises:
            AttemptLost: the system starts no more processes.
        """
        assert self._job is not None
        job, self._job = self._job, None
        try:
            self._process = self._run.process = StepProcess(
                self._enclosure, rooms_for_run(self._allowed.limits), job
            )  # fmt: skip
        except OSError as error:
            raise AttemptLost(f"could not be started: {error.strerror}") from None
        if self._run.is_cancelled:
            self._process.cancel()

    async def close(self) -> None:
        """End the process, and all executions."""
        if self._run.flow is not None:
            await self._run.flow.close()
        process, self._run.process = self._run.process, None
        if process is not None:
            await process.close()

    async def end(self) -> Ending:
        """How the run ends, as its process says, or its output that is too long.

        Raises:
            AttemptLost: nobody can know.
            StoreError: the store failed, or is out of reach.
        """
        try:
            while (frame := await self._process.next()) is not None:
                self._run.note_heard()
                if frame.kind is Kind.END:
                    return self._ending(told(frame.body, End))
                refused = await self._take(frame)
                if refused is not None:
                    return self._run.failed(Status.OUTPUT_REFUSED, refused)
        except BadMessage as lie:
            raise AttemptLost(f"was ended: it sent {lie}") from None
        code = self._process.exit_code(0.0)
        how = "closed its output" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"
        raise AttemptLost(f"died ({how})")

    def refuse(self, error: StoreLimitError) -> None:
        """Tell the process that its run cannot end so: it says once more how it does."""
        told_so = TooLarge(what=error.what, limit=error.limit, used=error.used)
        self._process.tell(pack(Kind.REFUSED, body=tell(told_so)))

    async def _take(self, frame: Frame) -> StoreLimitError | None:
        """Raises: BadMessage: it is not what the process may say now."""
        flow = self._run.flow
        if frame.kind is Kind.RUN:
            if flow is None or frame.fields not in (b"", NO_INPUT):
                raise BadMessage("an input before the order, or a strange one")
            flow.add(frame.execution, frame.body or NO_INPUT)
        elif frame.kind is Kind.ORDER:
            if flow is not None:
                raise BadMessage("a second order")
            self._run.flow = self._flow(told(frame.body, Conditions))
        elif frame.kind is Kind.CANCEL and flow is not None:
            flow.cancel()
        elif frame.kind is Kind.PROGRESS:
            self._run.progress = told(frame.body, ProgressTold)
        elif frame.kind is Kind.OUTPUT:
            return await self._storage.append_chunk(self.handle, _chunk(frame))
        elif frame.kind is Kind.LOGS:
            await self._storage.append_logs(self.handle, [_record(line) for line in told(frame.body, list[LogLine])])
        elif frame.kind is Kind.FAILURES:
            rows = told(frame.body, list[FailedRow])
            failures = [RowError(row=row.row, status=read_status(row.status), error=row.error) for row in rows]
            await self._storage.append_failures(self.handle, failures)
        return None

    def _flow(self, conditions: Conditions) -> Flow:
        run, plan = self._run, self._run.plan
        packed = pack_order(
            run.tenant, plan, self._allowed, conditions, self._secrets, self._checkpoint, self._image
        )  # fmt: skip
        order = FlowOrder(
            tenant=run.tenant, key_id=run.record.key_id, order=packed, kind=kind(plan), limits=self._allowed.limits,
            http_grants=list(self._allowed.grants.http_grants), concurrency=plan.concurrency,
        )  # fmt: skip
        flow = Flow(self._runs, order, self._answered, untaken=lambda: self._process.unsent_bytes, share=self._share)
        self._process.on_taken = flow.go_on
        if run.is_cancelled:
            flow.cancel()
        return flow

    def _answered(self, index: int, answer: Answer) -> None:
        self._run.note_heard()
        self._process.tell(pack(Kind.ANSWER, index, *pack_answer(answer._replace(rows=whole(answer.rows)))))

    def _ending(self, end: End) -> Ending:
        """Raises: BadMessage: it makes no sense."""
        self._ends += 1
        status = read_status(end.status)
        error = None if end.error is None else read_error(_decoded(end.error))
        if (error is None) is not status.succeeded or self._ends > MOST_ENDS:
            raise BadMessage("an end that is none")
        if end.advance is not None and not status.succeeded:
            raise BadMessage("a checkpoint of a run that failed")
        variables = None if end.local_variables is None else _decoded(end.local_variables)
        if variables is not None and not isinstance(variables, dict):
            raise BadMessage("local variables that are none")
        run = self._run
        run.note_process()
        return Ending(
            status, error, run.usage, executions=0 if run.flow is None else run.flow.executions, rows_in=end.rows_in,
            rows_out=end.rows_out, rows_failed=end.rows_failed, log_dropped=end.log_dropped,
            warnings=tuple(end.warnings), local_variables=variables,
            advance=None if end.advance is None else Advance(_decoded(end.advance)),
        )  # fmt: skip


def _chunk(frame: Frame) -> Chunk:
    """Raises: BadMessage: it has other lengths than it tells."""
    head: ChunkHead = told(frame.fields, ChunkHead)
    if head.packed + (head.sources_packed or 0) != len(frame.body) or (head.sources is None) is not (
        head.sources_packed is None
    ):
        raise BadMessage("a chunk of another length than it tells")
    sources = None if head.sources_packed is None else frame.body[head.packed :]
    return Chunk(head.rows, head.size, frame.body[: head.packed], head.sources, sources)


def _record(line: LogLine) -> LogRecord | tuple[int, LogRecord]:
    """Raises: BadMessage: there is no such level."""
    if line.level not in LEVELS:
        raise BadMessage("a log record that is none")
    record = LogRecord(line.time, line.level, line.message)
    return record if line.row is None else (line.row, record)


def _decoded(text: bytes) -> Any:
    """Raises: BadMessage: it is no JSON."""
    try:
        return decode(text, half_pairs=True)
    except ValueError as error:
        raise BadMessage(f"a text that is no JSON: {str(error)[:200]}") from None
