"""Where two lists of rows differ: as text, row by row, in time and memory that grow with the text and not faster.

Rows that were inserted or removed do not make all that follow them different: rows that both lists have as often stand
opposite each other as far as their order allows, and those between them index by index.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from ..replay import RowDifference
from ..rows.array_spans import object_spans
from ..rows.json_text import decode, encode

MAX_ROW_DIFFERENCES = 1000
MAX_SHOWN_BYTES = 10_000
"""Bytes of a row that are shown; of a longer one the beginning of its text."""
MAX_SHOWN_ROWS_BYTES = 512 * 1024
"""Bytes of all rows of a report."""
_WINDOW = 10_000
"""Rows of each list that are held against each other at a time."""
_LONGEST_SPELT = 64 * 1024
"""Bytes of a row up to which another spelling of its numbers counts as the same."""
_CUT_CHARACTERS = 100


class Differences(NamedTuple):
    """The first differences, and how many there are."""

    rows: list[RowDifference]
    total: int


class _Row(NamedTuple):
    number: int
    start: int
    end: int
    key: bytes


def row_differences(recorded: bytes, replayed: bytes, check: Callable[[], None]) -> Differences:
    """Where two JSON arrays of objects differ; `check` is called after every few milliseconds of work."""
    report = _Report(recorded, replayed)
    olds, news = _rows(recorded, check, may_be_spelt=True), _rows(replayed, check, may_be_spelt=False)
    before: list[_Row] = []
    after: list[_Row] = []
    while True:
        before += islice(olds, _WINDOW - len(before))
        after += islice(news, _WINDOW - len(after))
        if not before and not after:
            return report.found()
        check()
        is_last = len(before) < _WINDOW and len(after) < _WINDOW
        old_done, new_done = _hold_against(before, after, report, is_last=is_last)
        del before[:old_done], after[:new_done]


def _hold_against(before: Sequence[_Row], after: Sequence[_Row], report: _Report, *, is_last: bool) -> tuple[int, int]:
    """Compare two windows; how many rows of each are done, all if nothing follows or nothing is the same."""
    same = 0
    for old, new in zip(before, after, strict=False):
        if old.key != new.key:
            break
        same += 1
    if same == len(before) == len(after):
        return same, same
    last_old = last_new = same
    for old_at, new_at in _anchors(before[same:], after[same:]):
        report.gap(before[last_old : same + old_at], after[last_new : same + new_at])
        last_old, last_new = same + old_at + 1, same + new_at + 1
    if last_old and not is_last:
        return last_old, last_new
    report.gap(before[last_old:], after[last_new:])
    return len(before), len(after)


def _anchors(before: Sequence[_Row], after: Sequence[_Row]) -> Iterator[tuple[int, int]]:
    """Indexes of rows that stand opposite each other, both rising."""
    in_old, in_new = Counter(row.key for row in before), Counter(row.key for row in after)
    places: dict[tuple[bytes, int], int] = {}
    seen = Counter[bytes]()
    for at, row in enumerate(after):
        if in_old[row.key] == in_new[row.key]:
            places[row.key, seen[row.key]] = at
            seen[row.key] += 1
    seen.clear()
    pairs: list[tuple[int, int]] = []
    for at, row in enumerate(before):
        if in_old[row.key] == in_new[row.key]:
            pairs.append((at, places[row.key, seen[row.key]]))
            seen[row.key] += 1
    yield from _rising(pairs)


def _rising(pairs: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The most pairs, first numbers rising, whose second numbers rise, too."""
    smallest: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for number, (_, second) in enumerate(pairs):
        length = bisect_left(smallest, second)
        before.append(ends[length - 1] if length else -1)
        smallest[length : length + 1] = [second]
        ends[length : length + 1] = [number]
    chosen: list[int] = []
    number = ends[-1] if ends else -1
    while number >= 0:
        chosen.append(number)
        number = before[number]
    return (pairs[number] for number in reversed(chosen))


class _Report:
    """Counts differences and keeps the first, with as much of their rows as is shown."""

    def __init__(self, recorded: bytes, replayed: bytes) -> None:
        self._recorded = recorded
        self._replayed = replayed
        self._rows: list[RowDifference] = []
        self._count = 0
        self._room = MAX_SHOWN_ROWS_BYTES

    def found(self) -> Differences:
        """All of them."""
        return Differences(self._rows, self._count)

    def gap(self, before: Sequence[_Row], after: Sequence[_Row]) -> None:
        """Rows between two that are the same."""
        tail = 0
        while tail < min(len(before), len(after)) and before[-1 - tail].key == after[-1 - tail].key:
            tail += 1
        for offset in range(max(len(before), len(after)) - tail):
            old = before[offset] if offset < len(before) - tail else None
            new = after[offset] if offset < len(after) - tail else None
            if old is None or new is None or old.key != new.key:
                self._add(old, new)

    def _add(self, old: _Row | None, new: _Row | None) -> None:
        self._count += 1
        if len(self._rows) < MAX_ROW_DIFFERENCES:
            self._rows.append(
                RowDifference(
                    kind="added" if old is None else "missing" if new is None else "changed",
                    replayed=None if new is None else new.number,
                    recorded=None if old is None else old.number,
                    row=None if new is None else self._shown(self._replayed, new),
                    recorded_row=None if old is None else self._shown(self._recorded, old),
                )
            )

    def _shown(self, data: bytes, row: _Row) -> Any:
        """The row, or the beginning of its text if it is long, or if much has been shown already."""
        size = row.end - row.start
        if size <= min(MAX_SHOWN_BYTES, self._room):
            self._room -= size
            try:
                return decode(data[row.start : row.end])
            except ValueError:
                size = MAX_SHOWN_BYTES + 1
        kept = MAX_SHOWN_BYTES if self._room >= MAX_SHOWN_BYTES else _CUT_CHARACTERS
        self._room = max(0, self._room - kept)
        text = data[row.start : row.start + min(size, kept)].decode("utf-8", "replace")
        return f"{text}..." if size > kept else text


def _rows(data: bytes, check: Callable[[], None], *, may_be_spelt: bool) -> Iterator[_Row]:
    for number, (start, end) in enumerate(object_spans(data, check)):
        text = data[start:end] if end - start <= _LONGEST_SPELT else None
        if text is None:
            key = hashlib.sha256(memoryview(data)[start:end]).digest()
        else:
            text = _canonical(text) if may_be_spelt else text
            key = text if len(text) <= 32 else hashlib.sha256(text).digest()
        yield _Row(number, start, end, key)


def _canonical(text: bytes) -> bytes:
    """A row as it is spelt now; earlier versions spelt some numbers differently."""
    try:
        return encode(decode(text), may_have_nan=False)
    except ValueError:
        return text
