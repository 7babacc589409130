"""CSV as the world writes it: each record as the JSON text of an object whose values are texts."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import orjson

from ..errors import InputError
from .bad_row import BadRow, RowStream
from .dialect import DELIMITERS, SAMPLE_LINES, Dialect, find_dialect, is_blank, stated_delimiter
from .long_record import LongRecord
from .steps import LookUp

_LONGEST_FIELD = 2**31 - 1
MAX_COLUMNS = 100_000
MAX_NAME = 10_000
"""Characters of a column's name, which each row has as its key."""
MAX_HEADER = LONG_CHARACTERS = 1024 * 1024
"""Characters of a line or record that are parsed in one go, which takes some milliseconds; a header is no longer."""
LONG_FIELDS = 20_000
"""Delimiters of a record that is parsed in one go, if the header has no more: each field takes some sixty bytes."""
_MANY_FIELDS = 100_000
_FIELD_BYTES = 60
_LOOKED_AT = 32 * 1024
_MANY_LINES = 1000
_SAMPLE_CHARACTERS = 32 * 1024
# The limit is one for the process; how long a record may be is decided by `_Lines`.
csv.field_size_limit(_LONGEST_FIELD)


def delimited_rows(
    file: io.BufferedReader,
    name: str,
    *,
    default: str,
    delimiter: str | None,
    max_row_bytes: int,
    remark: Callable[[str], object],
    look_up: LookUp = bool,
) -> RowStream:
    """The line that each record begins in, and its JSON text; `remark` takes what the user should know.

    Raises:
        InputError: there is no going on: a quoted field is not closed, a column is there twice, a record is too large.
    """
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    lines = _Lines(text, name, max_row_bytes, look_up)
    try:
        yield from _records(lines, name, default, delimiter, remark)
    except csv.Error as error:
        raise InputError(
            f"{name}, line {lines.begun}: not CSV: {_explain(error)}", source=name, source_line=lines.begun
        ) from None
    finally:
        text.detach()


def _records(
    lines: _Lines, name: str, default: str, delimiter: str | None, remark: Callable[[str], object]
) -> RowStream:
    first = lines.peek(0)
    stated = None if first is None else stated_delimiter(first)
    if stated is not None:
        next(lines)
    while (header := lines.peek(0)) is not None and is_blank(header):
        next(lines)
    if header is None:
        return
    following = lines.peek(1)
    _bound_columns(header, [delimiter or stated or default, *DELIMITERS], name, lines.number + 1)
    dialect = find_dialect(
        header, default, delimiter or stated, lambda: lines.sample(SAMPLE_LINES),
        is_before_gap=following is not None and is_blank(following),
    )  # fmt: skip
    for text in dialect.remarks:
        remark(text)
    records = _Records(dialect, lines)
    lines.begin()
    lines.delimiter = dialect.delimiter
    columns = _Columns(records.header(name), name, lines.number, remark)
    if not columns.names[-1] and columns.is_closed_by_delimiter(dialect, lines):
        columns.names.pop()
    columns.name_all()
    lines.most_delimiters = max(LONG_FIELDS, len(columns.names))
    lines.begin()
    is_narrow = len(columns.names) == 1
    while (fields := records.next(columns)) is not None:
        if not isinstance(fields, list):
            yield lines.begun, fields
            lines.begin()
            continue
        # Old systems end a file with a character of its own.
        is_blank_line = len(fields) == 1 and (fields[0] == "\x1a" or (not is_narrow and not fields[0].strip()))
        if not fields or is_blank_line:
            lines.skip()
        else:
            yield lines.begun, columns.row(fields, lines.begun)
            lines.begin()


def _bound_columns(header: str, delimiters: Sequence[str], name: str, line: int) -> None:
    """SECURITY: a name of a few bytes takes a hundred, and is looked at with each delimiter.

    Raises:
        InputError: there are too many, or so many characters between two delimiters that a name is too long.
    """
    if any(header.count(other) >= MAX_COLUMNS for other in delimiters):
        reason = f"the header has too many columns, at most {MAX_COLUMNS:,} are read"
        raise InputError(f"{name}, line {line}: {reason}", source=name, source_line=line)
    if len(header) >= MAX_HEADER:
        raise _header_too_long(name, line)


def _header_too_long(name: str, line: int) -> InputError:
    reason = f"the header is too long, at most {MAX_HEADER:,} characters are read: is there one?"
    return InputError(f"{name}, line {line}: {reason}", source=name, source_line=line)


class _LongRecordError(Exception):
    """The record is too long to be parsed in one go."""


class _Records:
    """The records of lines."""

    def __init__(self, dialect: Dialect, lines: _Lines) -> None:
        self._dialect = dialect
        self._lines = lines
        self._short = iter(dialect.fields(lines))

    def header(self, name: str) -> list[str]:
        """The fields of the first record.

        Raises:
            InputError: it is too long.
        """
        try:
            return next(self._short)
        except _LongRecordError:
            raise _header_too_long(name, self._lines.begun) from None

    def next(self, columns: _Columns) -> list[str] | bytes | BadRow | None:
        """The fields of the next record, or what a long one is as a row; None at the end.

        Raises:
            csv.Error: a quoted field is not closed, or goes on behind its quote.
        """
        try:
            return next(self._short, None)
        except _LongRecordError:
            self._short = iter(self._dialect.fields(self._lines))
        record = LongRecord(self._dialect, columns.names)
        row = record.row(self._lines.again())
        self._lines.end(record.unused)
        return columns.misfit(record.count, self._lines.begun) if row is None else row


class _Lines(Iterator[str]):
    """Lines with their ends, whichever they are. `number` lines have been handed over, a record began in `begun`.

    SECURITY: a line, a record of many lines, and what is between two records are bounded; so are the fields of a
    record, once `delimiter` is known. One of more than `most_delimiters` is long, as one of many characters is.
    """

    def __init__(self, text: io.TextIOWrapper, name: str, most: int, look_up: LookUp) -> None:
        self._text = text
        self._look_up = look_up
        self._record: list[str] = []
        self._blocks: list[str] = []
        self._behind = ""
        self._some: list[str] = []
        self._name = name
        self._most = most
        self._ahead: deque[str] = deque()
        self._room = most
        self._delimiters = 0
        self.delimiter = ""
        self.most_delimiters = MAX_COLUMNS
        self.number = 0
        self.begun = 1

    def __next__(self) -> str:
        line = self._ahead.popleft() if self._ahead else self._read()
        if not line:
            raise StopIteration
        self._count(line)
        self._record.append(line)
        if len(self._record) == _MANY_LINES:
            # Short texts take twenty times their characters.
            self._blocks.append("".join(self._record))
            self._record.clear()
        if self.delimiter and (self._most - self._room >= LONG_CHARACTERS or self._delimiters > self.most_delimiters):
            raise _LongRecordError
        return line

    def again(self) -> Iterable[str]:
        """The text from the beginning of the record, some lines at a time; `end` is to be called where it is over."""
        some = [*self._blocks, *self._record]
        self._forget()
        while some:
            self._look_up()
            yield "".join(some)
            for line in self._some:
                self._count(line)
            some = self._some = self._next_lines()

    def end(self, unused: int) -> None:
        """Take back so many characters of the last lines of `again`: they are behind the record."""
        while unused > 0:
            self._ahead.appendleft(self._some.pop())
            unused -= len(self._ahead[0])
        for line in self._some:
            self._count(line)
        self._some = []

    def _next_lines(self) -> list[str]:
        found: list[str] = []
        size = 0
        while size < _LOOKED_AT and (line := self._ahead.popleft() if self._ahead else self._read()):
            found.append(line)
            size += len(line)
        return found

    def _count(self, piece: str) -> None:
        """Raises: InputError: the record is too long, or has too many fields."""
        self.number += piece.endswith(("\n", "\r")) or 0 < len(piece) < LONG_CHARACTERS
        self._room -= len(piece)
        if self._room < 0:
            raise self._too_long()
        if self.delimiter:
            self._delimiters += piece.count(self.delimiter)
            if self._delimiters > _MANY_FIELDS:
                self._check_fields()

    def _check_fields(self) -> None:
        """Raises: InputError: the record has so many delimiters, not all of them in quotes, that fields take too much.

        That is told by its length: it may well be one quoted text.
        """
        size = self._most - self._room
        if _FIELD_BYTES * (self._delimiters - _MANY_FIELDS) > 8 * size:
            raise InputError(
                f"{self._name}, line {self.begun}: the record has {self._delimiters:,} delimiters, too many to be read "
                f"(at most {_MANY_FIELDS:,}, more only between longer fields)",
                source=self._name, source_line=self.begun,
            )  # fmt: skip

    def begin(self) -> None:
        """A record is over: the next line begins another."""
        self.begun = self.number + 1
        self._room = self._most
        self._delimiters = 0
        self._forget()

    def skip(self) -> None:
        """A blank line is over; too many of them are too much."""
        self.begun = self.number + 1
        self._forget()

    def _forget(self) -> None:
        self._record.clear()
        if self._blocks:
            self._blocks.clear()

    def peek(self, index: int) -> str | None:
        """A line that is still to come, None behind the last."""
        while len(self._ahead) <= index:
            line = self._read()
            if not line:
                return None
            self._ahead.append(line)
        return self._ahead[index]

    def sample(self, count: int) -> list[str]:
        """The next lines, at most so many; if they are long, fewer, but the header."""
        found: list[str] = []
        size = 0
        for index in range(count):
            line = self.peek(index)
            size += len(line or "")
            if line is None or (index and size > _SAMPLE_CHARACTERS):
                break
            found.append(line)
        return found

    def _read(self) -> str:
        """A line, or a piece of one."""
        most = min(LONG_CHARACTERS, self._most + 1)
        line, self._behind = self._behind, ""
        if line != "\r":
            line += self._text.readline(most - len(line))
        if line[-1:] == "\r" and len(line) in (1, most):
            # One line end may have two characters.
            self._behind = self._text.readline(1)
            if self._behind == "\n":
                line, self._behind = line + "\n", ""
        if len(line) > self._most:
            raise self._too_long()
        return line

    def _too_long(self) -> InputError:
        return InputError(
            f"{self._name}, line {self.begun}: longer than an input may be ({self._most:,} bytes) (limit input_bytes)",
            source=self._name, source_line=self.begun,
        )  # fmt: skip


class _Columns:
    """The names of the columns, and what rows they make."""

    def __init__(self, names: list[str], name: str, line: int, remark: Callable[[str], object]) -> None:
        self.names = [column if column.strip() else "" for column in names]
        self._name = name
        self._line = line
        self._remark = remark

    def is_closed_by_delimiter(self, dialect: Dialect, lines: _Lines) -> bool:
        """Whether the nameless last column is only a delimiter at the end of each line: nothing is ever behind it."""
        if len(self.names) == 1:
            return False
        try:
            sample = list(dialect.fields(lines.sample(SAMPLE_LINES)))
        except csv.Error:
            return False
        return not any(len(fields) >= len(self.names) and fields[-1] for fields in sample)

    def name_all(self) -> None:
        """Names for columns that have none; no name may be there twice.

        Raises:
            InputError: one is.
        """
        seen: set[str] = set()
        for index, column in enumerate(self.names):
            if len(column) > MAX_NAME:
                raise InputError(
                    f"{self._name}, line {self._line}: the name of column {index + 1} has {len(column):,} characters, "
                    f"at most {MAX_NAME:,} are read: is there a header?",
                    source=self._name, source_line=self._line,
                )  # fmt: skip
            if column and column in seen:
                raise InputError(
                    f"{self._name}, line {self._line}: the column {column!r} is there twice",
                    source=self._name, source_line=self._line,
                )  # fmt: skip
            seen.add(column)
        for index, column in enumerate(self.names):
            if not column:
                named = f"column{index + 1}"
                while named in seen:
                    named += "_"
                seen.add(named)
                self.names[index] = named
                self._remark(f"its column {index + 1} has no name: it is called {named!r}")

    def row(self, fields: list[str], line: int) -> bytes | BadRow:
        """A record as JSON text."""
        names = self.names
        if len(fields) == len(names) + 1 and not fields[-1]:
            # A delimiter at the end of the line, which the header has not.
            fields.pop()
        if len(fields) != len(names):
            return self.misfit(len(fields), line)
        return orjson.dumps(dict(zip(names, fields, strict=True)))

    def misfit(self, count: int, line: int) -> BadRow:
        """What a record of so many fields is."""
        many = f"{count} fields, but the header has {len(self.names)}"
        return BadRow(InputError(f"{self._name}, line {line}: {many}", source=self._name, source_line=line))


def _explain(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end of data" in text:
        return f"{text}: the quoted field that begins here is never closed"
    if "expected after" in text:
        return f"{text}: a quote within a quoted field is written twice"
    return text
