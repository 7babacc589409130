"""Compares a replay with its recording: the requests, the rows, the log."""

from __future__ import annotations

import difflib
import hashlib
from collections import deque
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from ..replay import Kind, ReplayReport, RequestDifference, RowDifference
from ..rows.json_text import decode, encode

if TYPE_CHECKING:
    from ..recording import Recording
    from ..recording.exchange import HttpExchange
    from ..result import LogRecord, Result
    from .script import Script

MAX_ROW_DIFFERENCES = 1000
MAX_ALIGNED_ROWS = 1000
"""Rows that are compared as an edit of each other; beyond that each is compared with the one at its own index."""
MAX_SHOWN_BYTES = 10_000


def rows_json(rows: Sequence[Any]) -> bytes:
    """Rows as the bytes that recordings keep and replays are compared with."""
    return encode(rows, may_have_nan=False)


def log_sha256(records: Sequence[LogRecord]) -> str:
    """The hash of a log: times, levels and messages."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(encode([record.time, record.level, record.message]) + b"\n")
    return digest.hexdigest()


def make_report(
    recording: Recording,
    result: Result,
    replayed: bytes,
    script: Script,
    statement: str,
    image: str,
    from_recording: tuple[str, ...],
) -> ReplayReport:
    """Compare a replay with its recording; `replayed` are its rows as a recording would keep them: without secrets."""
    are_identical = None
    rows: list[RowDifference] = []
    if recording.rows is not None:
        are_identical = replayed == recording.rows
        if not are_identical:
            recorded = decode(recording.rows)
            # Earlier versions spelt some numbers differently.
            are_identical = replayed == rows_json(recorded)
            rows = [] if are_identical else row_differences(recorded, decode(replayed))
    return ReplayReport(
        requests=tuple(request_differences(recording.exchanges, script)),
        rows=tuple(rows[:MAX_ROW_DIFFERENCES]),
        row_difference_count=len(rows),
        are_rows_identical=are_identical,
        is_log_identical=log_sha256(result.logs) == recording.log_sha256 if recording.log_sha256 else None,
        status=int(result.status),
        recorded_status=recording.status,
        recorded_error=recording.error,
        is_statement_changed=bool(recording.statement) and recording.statement != statement,
        is_image_changed=bool(recording.image) and recording.image != image,
        incomplete=recording.incomplete,
        from_recording=from_recording,
    )


def row_differences(recorded: Sequence[Any], replayed: Sequence[Any]) -> list[RowDifference]:
    """Where two lists of rows differ; inserted and removed rows do not make all that follow them different."""
    before, after = [rows_json([row]) for row in recorded], [rows_json([row]) for row in replayed]
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    tail = 0
    while tail < min(len(before), len(after)) - start and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    middle_before, middle_after = before[start : len(before) - tail], after[start : len(after) - tail]
    if max(len(middle_before), len(middle_after)) <= MAX_ALIGNED_ROWS:
        matcher = difflib.SequenceMatcher(None, middle_before, middle_after, autojunk=False)
        blocks = [item[1:] for item in matcher.get_opcodes() if item[0] != "equal"]
    else:
        blocks = [(0, len(middle_before), 0, len(middle_after))]
    found: list[RowDifference] = []
    for first, last, new_first, new_last in blocks:
        for offset in range(max(last - first, new_last - new_first)):
            old = start + first + offset if first + offset < last else None
            new = start + new_first + offset if new_first + offset < new_last else None
            if old is not None and new is not None and before[old] == after[new]:
                continue
            found.append(
                RowDifference(
                    kind="added" if old is None else "missing" if new is None else "changed",
                    replayed=new,
                    recorded=old,
                    row=None if new is None else replayed[new],
                    recorded_row=None if old is None else recorded[old],
                )
            )
    return found


def request_differences(exchanges: Sequence[HttpExchange], script: Script) -> list[RequestDifference]:
    """Requests that were added, changed, or not made, in the order of the replay, the missing ones last."""
    made = {request.recorded for request in script.requests if request.recorded is not None}
    unused = _Unused(exchanges, made)
    found: list[RequestDifference] = []
    for number, (wanted, answered_by) in enumerate(script.requests):
        body = script.body(number)
        index = unused.take(wanted.method, wanted.url) if answered_by is None else answered_by
        if index is None:
            found.append(_difference("added", exchanges, number, None, wanted, body))
            continue
        difference = _difference("changed", exchanges, number, index, wanted, body)
        if difference.parts:
            found.append(difference)
    return found + [_missing(exchanges[index], index) for index in unused.left()]


class _Unused:
    """Recorded requests that answered none. SECURITY: each is looked at a few times, however many there are."""

    def __init__(self, exchanges: Sequence[HttpExchange], made: Collection[int]) -> None:
        self._taken = set(made)
        self._count = len(exchanges)
        self._indexes: dict[tuple[str, str, bool], deque[int]] = {}
        for index, exchange in enumerate(exchanges):
            if index not in self._taken:
                for key in _keys(exchange.method, exchange.url):
                    self._indexes.setdefault(key, deque()).append(index)

    def take(self, method: str, url: str) -> int | None:
        """The one that a new request most likely was: the same URL, else the same up to its query."""
        for key in _keys(method, url):
            indexes = self._indexes.get(key, deque())
            while indexes:
                index = indexes.popleft()
                if index not in self._taken:
                    self._taken.add(index)
                    return index
        return None

    def left(self) -> list[int]:
        """Those that nothing was like."""
        return [index for index in range(self._count) if index not in self._taken]


def _keys(method: str, url: str) -> tuple[tuple[str, str, bool], tuple[str, str, bool]]:
    return (method, url, False), (method, url.partition("?")[0], True)


def _difference(
    kind: Kind, exchanges: Sequence[HttpExchange], number: int, index: int | None, wanted: Any, body: bytes
) -> RequestDifference:
    old = None if index is None else exchanges[index]
    parts: list[str] = []
    if old is not None:
        parts += ["url"] * (old.url != wanted.url)
        parts += ["body"] * (old.request_body != body)
        # An exchange written by hand need not list the headers of its request.
        if old.request_headers or old.extra:
            parts += ["headers"] * (sorted(old.request_headers) != sorted(wanted.headers))
    return RequestDifference(
        kind=kind,
        method=wanted.method,
        url=wanted.url,
        recorded_url="" if old is None else old.url,
        replayed=number,
        recorded=index,
        parts=tuple(parts),
        body=body[:MAX_SHOWN_BYTES],
        recorded_body=b"" if old is None else old.request_body[:MAX_SHOWN_BYTES],
        headers=wanted.headers,
        recorded_headers=() if old is None else old.request_headers,
    )


def _missing(exchange: HttpExchange, index: int) -> RequestDifference:
    return RequestDifference(
        kind="missing",
        method=exchange.method,
        url=exchange.url,
        recorded_url=exchange.url,
        recorded=index,
        recorded_body=exchange.request_body[:MAX_SHOWN_BYTES],
        recorded_headers=exchange.request_headers,
    )
