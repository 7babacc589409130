"""Compares a replay with its recording: the requests, the rows, the log."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..replay import Kind, ReplayReport, RequestDifference
from ..rows.json_text import encode
from .rows import MAX_SHOWN_BYTES, Differences, row_differences

if TYPE_CHECKING:
    from ..recording import Recording
    from ..recording.exchange import HttpExchange
    from ..result import LogRecord, Result
    from ..rows.block import RowBlock
    from .script import Script

MAX_REQUEST_DIFFERENCES = 1000
_CHECKED_RECORDS = 256


def rows_json(rows: RowBlock, check: Callable[[], None]) -> bytes:
    """Rows as the bytes that recordings keep and replays are compared with; some at a time."""
    pieces: list[bytes] = []
    for piece in rows.pieces():
        check()
        pieces += (b",", piece[:-1].replace(b"\n", b","))
    return b"".join((b"[", *pieces[1:], b"]"))


def log_sha256(records: Sequence[LogRecord], check: Callable[[], None]) -> str:
    """The hash of a log: times, levels and messages."""
    digest = hashlib.sha256()
    for number, record in enumerate(records):
        if number % _CHECKED_RECORDS == 0:
            check()
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
    check: Callable[[], None],
) -> ReplayReport:
    """Compare a replay with its recording; `replayed` are its rows as a recording would keep them: without secrets."""
    are_identical = None
    differences = Differences([], 0)
    if recording.rows is not None:
        are_identical = replayed == recording.rows
        if not are_identical:
            differences = row_differences(recording.rows, replayed, check)
            are_identical = not differences.total
    requests = _Few(request_differences(recording.exchanges, script, check))
    is_log_identical = None
    if recording.log_sha256:
        is_log_identical = log_sha256(result.logs, check) == recording.log_sha256
    return ReplayReport(
        requests=tuple(requests.kept),
        request_difference_count=requests.count,
        rows=tuple(differences.rows),
        row_difference_count=differences.total,
        are_rows_identical=are_identical,
        is_log_identical=is_log_identical,
        status=int(result.status),
        recorded_status=recording.status,
        recorded_error=recording.error,
        is_statement_changed=bool(recording.statement) and recording.statement != statement,
        is_image_changed=bool(recording.image) and recording.image != image,
        incomplete=recording.incomplete,
        from_recording=from_recording,
    )


class _Few:
    """The first of many, and how many there were."""

    def __init__(self, differences: Iterator[RequestDifference]) -> None:
        self.kept: list[RequestDifference] = []
        self.count = 0
        for difference in differences:
            self.count += 1
            if len(self.kept) < MAX_REQUEST_DIFFERENCES:
                self.kept.append(difference)


def request_differences(
    exchanges: Sequence[HttpExchange], script: Script, check: Callable[[], None]
) -> Iterator[RequestDifference]:
    """Requests that were added, changed, or not made, in the order of the replay, the missing ones last."""
    made = {request.recorded for request in script.requests if request.recorded is not None}
    unused = _Unused(exchanges, made)
    for number, (wanted, answered_by) in enumerate(script.requests):
        check()
        body = script.body(number)
        index = unused.take(wanted.method, wanted.url) if answered_by is None else answered_by
        difference = _difference("added" if index is None else "changed", exchanges, number, index, wanted, body)
        if index is None or difference.parts:
            yield difference
    for index in unused.left():
        check()
        yield _missing(exchanges[index], index)


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
