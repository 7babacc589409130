"""The documents that tell of a run, put together from JSON texts that nobody here has read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from ...result import Usage
from ...workers.answers import NONE, Answer
from ..documents import time_text
from ..http.operations import Pieces
from ..scheduling.fair_queue import Waiting
from .costs import MICROSECONDS, costs_of
from .run import Phase, Run


def live_document(run: Run, waiting: Waiting | None = None) -> bytes:
    """A run that has not ended, or whose end is not on disk yet, and why it waits if it does."""
    head: dict[str, Any] = {
        "id": run.id, "state": run.phase.value, "attempts": run.attempts, "created_at": time_text(run.created_at),
        "started_at": time_text(run.started_at), "ended_at": time_text(run.ended_at),
    }  # fmt: skip
    if run.phase is Phase.RUNNING and run.entry is not None:
        head |= {"is_asleep": run.is_asleep, "cpu_seconds": run.entry.cpu_seconds}
    if waiting is not None:
        start = waiting.expected_start
        expected = None if start is None else time_text(time.time() + start - time.monotonic())
        head["waiting"] = {
            "rule": waiting.rule, "value": waiting.value, "detail": waiting.message, "changed_by": waiting.changed_by,
            "position": waiting.position, "expected_start": expected,
        }  # fmt: skip
    if run.answer is None:
        return _with(head, **run.effective)
    return _with(
        head | _figures(run.answer), error=run.answer.error, warnings=run.answer.warnings,
        usage=_usage(run.answer, run.lost_cpu_seconds), **run.effective, **_replay(run.answer.replay),
    )  # fmt: skip


def ended_document(run: Run) -> bytes:
    """A run that has ended, all of it, in memory."""
    body = ended_body(run)
    return body if isinstance(body, bytes) else body.whole()


def ended_body(run: Run) -> bytes | Pieces:
    """A run that has ended, all of it; long rows stay in their file."""
    answer = run.answer
    assert answer is not None
    head = {
        "id": run.id, "state": "ended", "attempts": run.attempts, "created_at": time_text(run.created_at),
        "started_at": time_text(run.started_at), "ended_at": time_text(run.ended_at),
        **_figures(answer),
    }  # fmt: skip
    # Long ones are put in where there are none.
    rows, long_rows = (answer.rows, None) if isinstance(answer.rows, bytes) else (b"", answer.rows)
    whole = _with(
        head, rows=rows, logs=answer.logs, error=answer.error, warnings=answer.warnings,
        usage=_usage(answer, run.lost_cpu_seconds), **run.effective, **_replay(answer.replay),
    )  # fmt: skip
    if long_rows is None:
        return whole
    place = whole.index(b',"rows":,') + len(b',"rows":')
    return Pieces([whole[:place], long_rows, whole[place:]])


def recorded_document(record: Mapping[str, Any]) -> bytes:
    """A run as it is on record."""
    head: dict[str, Any] = {
        "id": record["id"], "state": record["state"], "attempts": record["attempts"],
        "created_at": time_text(record["created_at"]), "started_at": time_text(record["started_at"]),
        "ended_at": time_text(record["ended_at"]),
    }  # fmt: skip
    if record["state"] != "ended":
        # Of a server that was ended; this one takes it up in a moment.
        return msgspec.json.encode(head)
    head |= {
        "status": record["status"], "row_count": record["row_count"],
        "log_count": record["log_count"], "log_dropped": record["log_dropped"], "has_rows": bool(record["has_rows"]),
        "usage": {
            "wall_seconds": record["wall_us"] / MICROSECONDS, "cpu_seconds": record["cpu_us"] / MICROSECONDS,
            # Older servers did not record them.
            "gb_seconds": (record["gb_us"] or 0) / MICROSECONDS, "log_bytes": record["log_bytes"] or 0,
            **{name: record[name] for name in Usage.__slots__ if name in record and not name.endswith("_seconds")},
        },
    }  # fmt: skip
    return _with(head, error=record["error"], warnings=record["warnings"], **_replay(record.get("replay") or NONE))


def _replay(report: bytes) -> dict[str, bytes]:
    return {} if report == NONE else {"replay": report}


def _figures(answer: Answer) -> dict[str, Any]:
    return {
        "status": int(answer.status), "row_count": answer.row_count, "log_count": answer.log_count,
        "log_dropped": answer.log_dropped,
    }  # fmt: skip


def _usage(answer: Answer, lost_cpu_seconds: float) -> bytes:
    used, costs = answer.usage.as_dict(), costs_of(answer, lost_cpu_seconds)
    used["cpu_seconds"] += lost_cpu_seconds
    used |= {"gb_seconds": costs["gb_us"] / MICROSECONDS, "log_bytes": costs["log_bytes"]}
    return msgspec.json.encode(used)


def _with(head: dict[str, Any], **texts: bytes) -> bytes:
    """An object with members that are JSON texts already."""
    pieces = [msgspec.json.encode(head)[:-1]]
    for name, text in texts.items():
        pieces += [b',"', name.encode(), b'":', text]
    pieces.append(b"}")
    return b"".join(pieces)
