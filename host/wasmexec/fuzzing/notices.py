"""What a search tells: inputs that do something new, inputs that may break the step, and its counts.

Between processes each is a line of JSON, checked when it is read.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from ..rows.json_text import decode, encode
from .inputs import FuzzInput

Hits: TypeAlias = "frozenset[tuple[int, int]]"
"""Probes that were passed, each with how often, as a power of two."""
Shape: TypeAlias = "tuple[int, int, str]"
"""How an execution ended: its status, the number of rows up to 3, the type of its error."""

MAX_LINE_BYTES = 16 * 1024 * 1024
_MAX_TEXT = 200
_MAX_NUMBER = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Novelty:
    """An input that passes a probe as no other has, or ends as no other has; `is_clean` if nothing is wrong with it."""

    input: FuzzInput
    hits: Hits
    shape: Shape
    is_clean: bool

    def line(self) -> bytes:
        """As `read_notice` reads it."""
        content = {"hits": sorted(self.hits), "shape": self.shape, "clean": self.is_clean}
        return encode({"new": {"input": self.input.as_dict(), **content}}) + b"\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """An input with which something was wrong once; `mark` is the same for those that look like the same mistake."""

    input: FuzzInput
    mark: str

    def line(self) -> bytes:
        """As `read_notice` reads it."""
        return encode({"suspicion": {"input": self.input.as_dict(), "mark": self.mark}}) + b"\n"


@dataclass(slots=True, kw_only=True)
class Counts:
    """What a search has done so far.

    `runs` are executions; `made` is the number of the next input that is drawn; `unfit` inputs were drawn and not run;
    `undecided` ones ran out of wall-clock time; `checked` were run again in other ways, `unstable` of them with other
    rows.
    """

    runs: int = 0
    made: int = 0
    unfit: int = 0
    undecided: int = 0
    checked: int = 0
    unstable: int = 0

    def line(self) -> bytes:
        """As `read_notice` reads it."""
        return encode({"counts": {item.name: getattr(self, item.name) for item in fields(self)}}) + b"\n"


Notice: TypeAlias = "Novelty | Suspicion | Counts"


def read_notice(line: bytes) -> Notice:
    """The notice in a line.

    Raises:
        ValueError: it is none; the text says why.
    """
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"a notice of more than {MAX_LINE_BYTES:,} bytes")
    return notice_of(decode(line))


def notice_of(content: object) -> Notice:
    """The notice that a line's JSON says.

    Raises:
        ValueError: it is none; the text says why.
    """
    match content:
        case {"new": {"input": given, "hits": list(hits), "shape": [status, rows, str(error)], "clean": bool(clean)}}:
            if not (_is_count(status) and _is_count(rows) and len(error) <= _MAX_TEXT):
                raise ValueError("a shape that is none")
            return Novelty(
                input=FuzzInput.from_dict(given), hits=_hits(hits), shape=(status, rows, error), is_clean=clean
            )
        case {"suspicion": {"input": given, "mark": str(mark)}} if len(mark) <= _MAX_TEXT:
            return Suspicion(input=FuzzInput.from_dict(given), mark=mark)
        case {"counts": dict(counts)}:
            if counts.keys() != {item.name for item in fields(Counts)} or not all(map(_is_count, counts.values())):
                raise ValueError("counts that are none")
            return Counts(**counts)
    raise ValueError("an unknown notice")


def _hits(found: list[Any]) -> Hits:
    if not all(isinstance(hit, list) and len(hit) == 2 and all(map(_is_count, hit)) for hit in found):
        raise ValueError("hits that are none")
    return frozenset((index, count) for index, count in found)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < _MAX_NUMBER
