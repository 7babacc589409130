"""What a step run has in its process in place of workers and of a run store: the front, which has both."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ...errors import GuestLostError, WasmexecError
from ...result import LogRecord, Result, Usage
from ...rows.block import RowBlock
from ...rows.json_text import decode, encode
from ...status import Status
from ...store.bounds import StoreBounds
from ...store.chunks import encode_chunks
from ...store.codec import clean, error_json, to_json
from ...store.errors import StoreError, StoreLimitError
from ...store.records import Advance, Checkpoint, RowError, RunHandle
from ...workers.answers import result_of, unpack_answer
from ...workers.messages import NO_INPUT, BadMessage, Kind, pack
from ...workers.order import Order
from ...workers.results import ResultCodec, pack_error
from .messages import SOME_BYTES, ChunkHead, Conditions, End, FailedRow, Job, LogLine, TooLarge, tell

if TYPE_CHECKING:
    from ...recording import Recorder
    from ...step.running.engine import Wishes
    from ...workers.local import Done
    from ...workers.pipes import Outbox

_BOUNDS = StoreBounds()
_LINE_BYTES = 64


class RemoteEngine:
    """Executions by the front: each is asked for in a frame, and answered in one."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._backend: RemoteBackend | None = None

    @property
    def image(self) -> Path:
        """The front knows which."""
        return Path()

    def backend(self, order: Order, wishes: Wishes) -> Callable[[Done], RemoteBackend]:
        """What executes the rows of a run."""
        return lambda done: self._begin(order, done)

    def once(
        self, order: Order, wishes: Wishes, data: bytes | None, ended: Callable[[Result | BaseException], None]
    ) -> Callable[[], None]:
        """Execute once; what cancels it."""
        backend = self._begin(order, lambda index, outcome: ended(outcome))
        backend.start(0, data)
        return backend.cancel

    def answered(self, index: int, head: bytes, body: bytes) -> None:
        """The front has an answer."""
        if self._backend is None:
            raise BadMessage("an answer to nothing")
        self._backend.answered(index, head, body)

    def _begin(self, order: Order, done: Done) -> RemoteBackend:
        conditions = Conditions(encode(dict(order.local_variables)), list(order.extra_inputs))
        self._outbox.write(pack(Kind.ORDER, body=tell(conditions)))
        self._backend = RemoteBackend(self._outbox, order, done)
        return self._backend


class RemoteBackend:
    """Executions of one order; `done` is called once for each, on the thread that reads what the front says."""

    def __init__(self, outbox: Outbox, order: Order, done: Done) -> None:
        self._outbox = outbox
        self._done = done
        self._codec = ResultCodec(order.limits, order.output.prepared)
        self._lock = threading.Lock()
        self._live: set[int] = set()

    def start(self, index: int, data: bytes | None) -> None:
        """Have the statement run on an input."""
        with self._lock:
            self._live.add(index)
        self._outbox.write(pack(Kind.RUN, index, NO_INPUT if data is None else b"", data or b""))

    def cancel(self) -> None:
        """End what is under way, with status 303."""
        self._outbox.write(pack(Kind.CANCEL))

    def close(self) -> None:
        """End the process that takes long rows."""
        self._codec.close()

    def answered(self, index: int, head: bytes, body: bytes) -> None:
        """Hand over a result.

        SECURITY: the texts come from a worker that ran guests of others, too.
        """
        with self._lock:
            if index not in self._live:
                raise BadMessage(f"an answer to execution {index}, which is not under way")
            self._live.discard(index)
        try:
            result = result_of(unpack_answer(head, body), self._codec)
        except BadMessage as lie:
            text = f"the worker process that ran it sent {lie}"
            result = Result(status=Status.RUNTIME_FAILED, error=GuestLostError(text, trap="worker"))
        self._done(index, result)


class RemoteStore:
    """The run store as a run sees it: what it says goes to the front, which begins runs and ends them."""

    def __init__(self, outbox: Outbox, job: Job) -> None:
        self._outbox = outbox
        self._replies: queue.SimpleQueue[TooLarge] = queue.SimpleQueue()
        version = job.checkpoint_version
        checkpoint = Checkpoint(
            step=job.name, value=decode(job.checkpoint, half_pairs=True), version=version,
            cause="run" if version else "never",
        )  # fmt: skip
        self._handle = RunHandle(run_id=job.run_id, step=job.name, checkpoint=checkpoint, started_at=datetime.now(UTC))

    def refused(self, reply: TooLarge) -> None:
        """The run cannot end as it was said."""
        self._replies.put(reply)

    def begin_run(self, step: str, **_about: object) -> RunHandle:
        """The run that the front has begun."""
        return self._handle

    def append_output(self, run: RunHandle, rows: RowBlock, *, source_rows: Sequence[int] | None = None) -> None:
        """Hand over accepted rows.

        Raises:
            StoreLimitError: they are too many for one call.
        """
        for chunk in encode_chunks(rows, None, source_rows, _BOUNDS):
            sources = chunk.sources or b""
            packed = None if chunk.sources is None else len(sources)
            head = ChunkHead(chunk.rows, chunk.size, len(chunk.data), chunk.source_size, packed)
            self._outbox.write(pack(Kind.OUTPUT, 0, tell(head), chunk.data + sources))

    def append_logs(self, run: RunHandle, records: Iterable[LogRecord | tuple[int, LogRecord]]) -> None:
        """Hand over lines of the log."""
        lines: list[LogLine] = []
        size = 0
        for item in records:
            row, record = item if isinstance(item, tuple) else (None, item)
            message = clean(record.message, _BOUNDS.log_message_bytes)
            size += len(message.encode()) + _LINE_BYTES
            lines.append(LogLine(row, record.time, record.level, message))
            if size >= SOME_BYTES:
                self._outbox.write(pack(Kind.LOGS, body=tell(lines)))
                lines, size = [], 0
        if lines:
            self._outbox.write(pack(Kind.LOGS, body=tell(lines)))

    def append_row_errors(self, run: RunHandle, errors: Iterable[RowError]) -> None:
        """Hand over input rows that failed."""
        rows: list[FailedRow] = []
        size = 0
        for item in errors:
            text = error_json(item.error, _BOUNDS.error_bytes)
            size += len(text) + _LINE_BYTES
            rows.append(FailedRow(item.row, int(item.status), decode(text.encode())))
            if size >= SOME_BYTES:
                self._outbox.write(pack(Kind.FAILURES, body=tell(rows)))
                rows, size = [], 0
        if rows:
            self._outbox.write(pack(Kind.FAILURES, body=tell(rows)))

    def finish(
        self, run: RunHandle, *, status: Status, usage: Usage | None = None, error: WasmexecError | None = None,
        rows_in: int = 0, rows_out: int = 0, rows_failed: int = 0, executions: int = 1, log_dropped: int = 0,
        warnings: Sequence[str] = (), local_variables: Mapping[str, Any] | None = None, advance: Advance | None = None,
    ) -> NoReturn:  # fmt: skip
        """Say how the run ends, and wait for what the front makes of that; usage and executions it knows itself.

        Raises:
            StoreLimitError: something of it is too large; the run goes on.
        """
        end = End(
            status=int(status), error=None if error is None else encode(pack_error(error)), rows_in=rows_in,
            rows_out=rows_out, rows_failed=rows_failed, log_dropped=log_dropped,
            warnings=[clean(text, _BOUNDS.warning_bytes) for text in warnings[: _BOUNDS.warnings]],
            local_variables=None if local_variables is None else _text(
                dict(local_variables), "local variables", _BOUNDS.local_variables_bytes
            ),
            advance=None if advance is None else _text(advance.value, "the checkpoint", _BOUNDS.checkpoint_bytes),
        )  # fmt: skip
        self._outbox.write(pack(Kind.END, body=tell(end)))
        # If it is stored, the front ends this process.
        reply = self._replies.get()
        raise StoreLimitError(reply.what, limit=reply.limit, used=reply.used)

    def give_up(self, run: RunHandle, reason: str) -> None:
        """The front finds out by itself."""

    def record(self, run: RunHandle) -> Recorder:
        """Raises: StoreError: runs of steps are not recorded here."""
        raise StoreError("runs of steps are not recorded by a server")


def _text(value: object, what: str, limit: int) -> bytes:
    return to_json(value, what, limit).encode()
