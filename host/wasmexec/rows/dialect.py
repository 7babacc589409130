"""Which delimiter and quotes a CSV file has: what its first lines show, and what to tell the user about it."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

DELIMITERS = (",", ";", "\t", "|")
SAMPLE_LINES = 50
"""So many lines are looked at when the header alone leaves a doubt."""
_SEP = re.compile(r'"?sep=([^"\r\n])"?\s*', re.IGNORECASE)
_SHOWN = {"\t": "tab", " ": "space"}


@dataclass(slots=True)
class Dialect:
    """How the fields of a line are told apart; `remarks` are for the user."""

    delimiter: str
    quote: str = '"'
    skips_space: bool = False
    remarks: list[str] = field(default_factory=list)

    def fields(self, lines: Iterable[str]) -> Iterable[list[str]]:
        """The records of lines, which keep their line ends.

        Raises:
            csv.Error: while iterating, when a quoted field is not closed or goes on behind its quote.
        """
        return csv.reader(
            lines, delimiter=self.delimiter, quotechar=self.quote, skipinitialspace=self.skips_space, strict=True
        )


def stated_delimiter(line: str) -> str | None:
    """What a first line `sep=;` says, which spreadsheets write and read; None for any other line."""
    match = _SEP.fullmatch(line)
    return None if match is None else match[1]


def is_blank(line: str) -> bool:
    """Whether a line before the header is none: spaces, or the empty cells of a spreadsheet."""
    return not line.strip(' \t\r\n,;|"')


def find_dialect(
    header: str, default: str, given: str | None, sample: Callable[[], Sequence[str]], *, is_before_gap: bool = False
) -> Dialect:
    """The dialect of a file whose first line that is not blank is `header`.

    `sample` gives the first lines from there; `given` is what the user or the file says, `default` what its name does.
    With `is_before_gap` the next line is blank, as behind a title.
    """
    bare = header.strip()
    dialect = Dialect(given or default)
    if len(bare) > 2 and bare[0] == "'" == bare[-1]:
        dialect.quote = "'"
        dialect.remarks.append("its header is quoted with ', so are its fields")
    if given is None and any(other in header for other in DELIMITERS if other != default):
        _choose(dialect, sample())
    elif given is None and default not in header and (header.startswith("#") or is_before_gap):
        _doubt_title(dialect, sample())
    names = _first_record(dialect, [header])
    if given is not None and len(names) == 1:
        other = next((other for other in DELIMITERS if len(_first_record(Dialect(other), [header])) > 1), None)
        if other is not None:
            dialect.remarks.append(f"it is read as one column, but its header has {shown(other)}")
    if len(names) > 1 and all(name[:1] == " " and name.strip() for name in names[1:]):
        dialect.skips_space = True
        dialect.remarks.append(f"a space follows each {shown(dialect.delimiter)} of its header: it is left out")
    return dialect


def shown(delimiter: str) -> str:
    """A delimiter in a sentence."""
    return _SHOWN.get(delimiter, f"'{delimiter}'")


def _choose(dialect: Dialect, lines: Sequence[str]) -> None:
    """The delimiter with which all records have as many fields as the header, and the most of them.

    Else the one that gives the header the most; but a header of one column stays one if no record has the other.
    """
    default = dialect.delimiter
    widths = {other: _widths(Dialect(other, dialect.quote), lines) for other in (default, *DELIMITERS)}
    able = [other for other, found in widths.items() if found and found[0] > 1]
    fitting = [other for other in able if _fits(widths[other])]
    if not fitting and widths[default][:1] in ([], [1]):
        seen = [other for other in able if max(widths[other][1:], default=2) > 1]
        if able and not seen:
            other = able[0]
            dialect.remarks.append(
                f"its header has {shown(other)}, but no other line: it is read as one column; if {shown(other)} is the "
                f"delimiter, add --delimiter {_option(other)}"
            )
        fitting = seen
    if not fitting:
        return
    best = max(fitting, key=lambda other: (widths[other][0], other == default))
    equal = [other for other in fitting if other != best and widths[other][0] == widths[best][0]]
    if equal:
        dialect.remarks.append(
            f"its lines have as many fields with {shown(equal[0])} as with {shown(best)}, which is taken; if "
            f"{shown(equal[0])} is the delimiter, add --delimiter {_option(equal[0])}"
        )
    if best != default:
        dialect.delimiter = best
        dialect.remarks.append(f"its header shows that the delimiter is {shown(best)}, not {shown(default)}: read so")


def _doubt_title(dialect: Dialect, lines: Sequence[str]) -> None:
    """Say it if what may be a title above the header became the name of the only column."""
    for other in DELIMITERS:
        first, *behind = _widths(Dialect(other, dialect.quote), lines) or [0]
        if first == 1 and len(behind) > 1 and behind[0] > 1 and set(behind) == {behind[0]}:
            dialect.remarks.append(
                f"its first line has one column, but {shown(other)} divides each line behind it into {behind[0]}: "
                "if the header comes later, remove what stands above it"
            )
            return


def _fits(widths: Sequence[int]) -> bool:
    # A delimiter at the end of each line, but not of the header, is common.
    return all(width in (widths[0], widths[0] + 1) for width in widths)


def _widths(dialect: Dialect, lines: Sequence[str]) -> list[int]:
    """How many fields each whole record of some lines has."""
    found: list[int] = []
    try:
        # What the sample cuts off is the last record, if a quoted field has line ends.
        found.extend(len(record) for record in dialect.fields(lines) if record)
    except csv.Error:
        return found
    return found


def _first_record(dialect: Dialect, lines: Iterable[str]) -> list[str]:
    try:
        return next(itertools.chain(dialect.fields(lines), [[]]))
    except csv.Error:
        return []


def _option(delimiter: str) -> str:
    return "tab" if delimiter == "\t" else f"'{delimiter}'"
