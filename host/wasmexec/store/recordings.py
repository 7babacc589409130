"""Recordings: what a run was given, part by part, compressed, each with its hash."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, insert, select, update

from ..errors import ConfigError
from ..recording.exchange import HttpExchange
from .bounds import StoreBounds
from .codec import from_json_object, pack, sha256, to_json, unpack
from .errors import RecordingNotFoundError, RunStateError, StoreBusyError, StoreError, StoreLimitError, StoreLostError
from .records import RecordedPart, Recording
from .runs import lock_running
from .tables import recorded_parts, recordings

_KIND = re.compile(r"[a-z0-9_]{1,40}")
_BUFFERED_BYTES = 1024 * 1024
_BUFFERED_PARTS = 256
_READ_PARTS = 64
_META_BYTES = 16 * 1024 * 1024
_EXCHANGE = "http"
_EXCHANGE_META = (
    "method", "url", "request_headers", "status", "reason", "http_version", "response_headers", "response_chunks",
    "error", "started", "seconds", "index", "extra",
)  # fmt: skip


class Recorder:
    """Takes the parts of one run's recording; thread-safe. `RunStore.finish` stores the last of them and seals it.

    Parts are compressed at once, buffered, and written in batches.
    """

    def __init__(
        self, run_id: int, bounds: StoreBounds, write: Callable[[], AbstractContextManager[Connection]]
    ) -> None:
        self.run_id = run_id
        self.lock = threading.RLock()
        self._bounds = bounds
        self._write = write
        self._pending: list[dict[str, object]] = []
        self._pending_bytes = 0
        self._parts = 0
        self._payload_bytes = 0
        self._stored_bytes = 0
        self._incomplete_reason = ""
        self._is_closed = False

    def add(self, kind: str, payload: bytes, *, execution: int = 0, meta: Mapping[str, Any] | None = None) -> bool:
        """Append one part; False once the recording is incomplete: a bound was reached, the store out of reach.

        Raises:
            ConfigError: the kind is not [a-z0-9_]{1,40}, or `meta` is not JSON.
            RunStateError: the run has ended.
        """
        if not _KIND.fullmatch(kind):
            raise ConfigError(f"recording: the kind must be 1 to 40 of a-z, 0-9 and _, not {kind!r}")
        with self.lock:
            if self._is_closed:
                raise RunStateError(self.run_id, "ended", "running")
            if self._incomplete_reason:
                return False
            try:
                text = to_json(dict(meta or {}), "meta", _META_BYTES)
            except StoreLimitError as error:
                return self._give_up(f"part {self._parts + 1} ({kind}): {error.message}")
            size = len(payload) + len(text)
            if size > self._bounds.recording_part_bytes:
                limit = self._bounds.recording_part_bytes
                return self._give_up(f"part {self._parts + 1} ({kind}) has {size:,} bytes, at most {limit:,}")
            if self._payload_bytes + size > self._bounds.recording_bytes:
                return self._give_up(f"it is larger than {self._bounds.recording_bytes:,} bytes")
            self._append(kind, payload, execution, text)
            if self._pending_bytes >= _BUFFERED_BYTES or len(self._pending) >= _BUFFERED_PARTS:
                try:
                    self.flush()
                except (StoreBusyError, StoreLostError) as error:
                    # Whoever gives the parts of an execution gives no more of them then: it would lack its end.
                    return self._give_up(f"after part {self._parts}: {error.message}")
            return True

    def add_exchange(self, exchange: HttpExchange) -> bool:
        """Append one HTTP exchange; False as in `add`."""
        meta: dict[str, Any] = {name: getattr(exchange, name) for name in _EXCHANGE_META}
        meta["request_bytes"] = len(exchange.request_body)
        payload = exchange.request_body + exchange.response_body
        return self.add(_EXCHANGE, payload, execution=exchange.execution, meta=meta)

    def flush(self) -> None:
        """Write what is buffered."""
        with self.lock:
            if self._is_closed or not self._pending:
                return
            with self._write() as connection:
                lock_running(connection, self.run_id)
                self.store(connection, seal=False)
            self.settle()

    def store(self, connection: Connection, *, seal: bool) -> None:
        """Write what is buffered in the caller's transaction, who holds `lock` and calls `settle` after its commit."""
        if self._pending:
            connection.execute(insert(recorded_parts), self._pending)
        connection.execute(
            update(recordings)
            .where(recordings.c.run_id == self.run_id)
            .values(
                is_sealed=int(seal),
                incomplete_reason=self._incomplete_reason,
                parts=self._parts,
                payload_bytes=self._payload_bytes,
                stored_bytes=self._stored_bytes,
            )
        )

    def settle(self, *, close: bool = False) -> None:
        """Forget what the committed transaction has stored."""
        self._pending = []
        self._pending_bytes = 0
        self._is_closed = self._is_closed or close

    def _append(self, kind: str, payload: bytes, execution: int, meta: str) -> None:
        data = pack(payload)
        self._parts += 1
        self._payload_bytes += len(payload) + len(meta)
        self._stored_bytes += len(data) + len(meta)
        self._pending_bytes += len(data) + len(meta)
        self._pending.append(
            {
                "run_id": self.run_id,
                "seq": self._parts,
                "kind": kind,
                "execution": execution,
                "meta": meta,
                "payload_bytes": len(payload),
                "sha256": sha256(payload),
                "data": data,
            }
        )

    def _give_up(self, reason: str) -> bool:
        self._incomplete_reason = reason
        return False


def start(connection: Connection, run_id: int, meta: Mapping[str, Any] | None, bounds: StoreBounds) -> None:
    """Raises: ConfigError: the run is being recorded already, or `meta` is not JSON."""
    lock_running(connection, run_id)
    if connection.execute(select(recordings.c.run_id).where(recordings.c.run_id == run_id)).scalar() is not None:
        raise ConfigError(f"run {run_id} is being recorded already")
    text = to_json(dict(meta or {}), "the recording's meta", bounds.attributes_bytes)
    counts = dict.fromkeys(("is_sealed", "parts", "payload_bytes", "stored_bytes"), 0)
    connection.execute(insert(recordings).values({"run_id": run_id, "meta": text, "incomplete_reason": "", **counts}))


def get(connection: Connection, run_id: int) -> Recording:
    """Raises: RecordingNotFoundError."""
    row = connection.execute(select(recordings).where(recordings.c.run_id == run_id)).one_or_none()
    if row is None:
        raise RecordingNotFoundError(run_id)
    reason = row.incomplete_reason or ("" if row.is_sealed else "the run was not finished")
    return Recording(
        run_id=run_id,
        is_complete=not reason,
        incomplete_reason=reason,
        meta=from_json_object(row.meta, f"the recording of run {run_id}"),
        parts=row.parts,
        payload_bytes=row.payload_bytes,
        stored_bytes=row.stored_bytes,
    )


def next_parts(
    connection: Connection, run_id: int, after: int, kinds: Collection[str], execution: int | None
) -> list[RecordedPart]:
    """Parts behind number `after` that match, as many as are small together, at least one; none at the end.

    Raises:
        StoreError: damaged.
    """
    query = select(recorded_parts.c.seq, recorded_parts.c.payload_bytes).where(
        recorded_parts.c.run_id == run_id, recorded_parts.c.seq > after
    )
    if kinds:
        query = query.where(recorded_parts.c.kind.in_(list(kinds)))
    if execution is not None:
        query = query.where(recorded_parts.c.execution == execution)
    found = connection.execute(query.order_by(recorded_parts.c.seq).limit(_READ_PARTS)).all()
    sizes = accumulate(row.payload_bytes for row in found)
    wanted = [row.seq for row, size in zip(found, sizes, strict=True) if size <= _BUFFERED_BYTES] or [
        row.seq for row in found[:1]
    ]
    whole = select(recorded_parts).where(recorded_parts.c.run_id == run_id, recorded_parts.c.seq.in_(wanted))
    return [_part(row) for row in connection.execute(whole.order_by(recorded_parts.c.seq))] if wanted else []


def _part(row: Any) -> RecordedPart:
    what = f"part {row.seq} of the recording of run {row.run_id}"
    payload = unpack(row.data, row.payload_bytes, what)
    if sha256(payload) != row.sha256:
        raise StoreError(f"{what} is damaged: its content has another hash")
    return RecordedPart(
        seq=row.seq, kind=row.kind, execution=row.execution, meta=from_json_object(row.meta, what), payload=payload
    )
