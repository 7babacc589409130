"""What comes out of the guest: done frames as rows, problems or errors of ours. Every field is checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import orjson

from .._guest.channel import BadFrame, Frame, blob_part
from .._guest.codes import MAX_CODE_BYTES, Known, Refused, Text
from ..errors import InputError, OutputError, OutputLimitError, StatementRaised, StatementSyntaxError, WasmexecError
from ..result import LEVELS, Problem
from ..status import Status
from .failures import NOWHERE, Facts, Place, out_of_memory

if TYPE_CHECKING:
    from .._masking.masker import Masker

MAX_TEXT = 100_000
MAX_NAME = 200
WHERE_NAME_CHARS = 100
"""Where `wx_where` cuts a name."""
MAX_PROBLEMS = 10_000


def read_code(frame: Frame) -> Known:
    """What a compile request gave.

    Raises:
        BadFrame: neither, or not where the head says.
    """
    match frame.head.get("outcome"):
        case "compiled":
            code = blob_part(frame, frame.head.get("code"))
            return bytes(code) if len(code) <= MAX_CODE_BYTES else Text.SEND
        case "failed":
            return Refused(_object(frame.head.get("error")))
    raise BadFrame("a done frame without the outcome that was asked for")


def read_problems(frame: Frame, lines: int) -> list[Problem]:
    """The findings of a check; `lines` is the highest number that a line of the statement has.

    Raises: BadFrame: not a list of findings.
    """
    found = frame.head.get("problems")
    if not isinstance(found, list) or len(found) > MAX_PROBLEMS:
        raise BadFrame("no list of problems")
    return [
        Problem(
            rule=_text(item, "rule"),
            message=_text(item, "message"),
            line=_line(item, lines) or 1,
            column=_number(item, "column") or 1,
            end_line=_line(item, lines, "end_line"),
            end_column=_number(item, "end_column"),
            text=_text(item, "text"),
        )
        for item in map(_object, found)
    ]


def read_error(error: object, facts: Facts) -> tuple[Status, WasmexecError]:
    """Status and error of a failed execution from the record in its done frame.

    A MemoryError that the statement did not catch is the limit's doing if the limit refused memory; it is the
    statement's own if no limit would help ("x" * 10**10, or `raise MemoryError`).

    Raises:
        BadFrame: no error, or a kind that does not exist.
    """
    error = _object(error)
    match _text(error, "kind"):
        case "syntax":
            return Status.CONFIG_REFUSED, StatementSyntaxError(
                _text(error, "message"),
                rule=_text(error, "rule") or "syntax",
                line=_line(error, facts.lines),
                column=_number(error, "column"),
                text=_text(error, "text"),
                rendered=_text(error, "rendered"),
            )
        case "memory" if facts.was_refused_memory:
            place = Place(_line(error, facts.lines))
            message = _text(error, "message")
            text = f"out of memory{place}{': ' if message else ''}{message}"
            return out_of_memory(text, facts._replace(place=place))
        case "raised" | "memory":
            return Status.STATEMENT_RAISED, StatementRaised(
                _text(error, "type"), _text(error, "message"), _text(error, "traceback"), _line(error, facts.lines)
            )
        case "output":
            return Status.OUTPUT_REFUSED, OutputError(
                _text(error, "pointer"), _text(error, "rule"), _text(error, "value"), _text(error, "message")
            )
        case "output-limit" if error.get("unit") == "rows":
            limit, used = _number(error, "limit") or 0, _number(error, "used") or 0
            return Status.OUTPUT_REFUSED, OutputLimitError(
                f"the statement returned {used:,} rows; at most {limit:,} are allowed (limit output_rows)",
                limit=limit, used=used,
            )  # fmt: skip
        case "output-limit":
            limit, used = _number(error, "limit") or 0, _number(error, "used") or 0
            return Status.OUTPUT_REFUSED, OutputLimitError(
                f"the rows have {'more than ' if used <= limit else ''}{max(used, limit):,} bytes of JSON; "
                f"at most {limit:,} are allowed",
                limit=limit,
                used=used,
            )
        case "input":
            return Status.INPUT_REFUSED, InputError(_text(error, "message"))
        case kind:
            raise BadFrame(f"error of kind {kind[:50]!r}")


def read_drop_counts(frame: Frame) -> list[int]:
    """How many log messages of each level the guest kept to itself; all zero unless it says so properly."""
    counts = frame.head.get("log_dropped")
    if isinstance(counts, list) and len(counts) == len(LEVELS):
        if all(type(count) is int and 0 <= count < 2**53 for count in counts):
            return counts
        raise BadFrame("counts of dropped log messages are not numbers")
    return [0] * len(LEVELS)


def read_timer(frame: Frame) -> float | None:
    """For how many seconds a waiting frame waits at most, None without a timer; one that is overdue is due now.

    Raises:
        BadFrame: not a number.
    """
    seconds = frame.head.get("timer_seconds")
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise BadFrame("a timer is not a number")
    return max(0.0, seconds)


def read_where(data: bytes, masker: Masker | None = None) -> Place:
    """Line and function of the innermost frame, from the answer of `wx_where`."""
    try:
        frames = orjson.loads(data)
    except orjson.JSONDecodeError:
        return NOWHERE
    place = _place(frames, 0, "function", masker)
    # `wx_where` cuts names, and one that was cut may be the beginning of a secret.
    is_cut = masker is not None and place.function is not None and len(place.function) >= WHERE_NAME_CHARS
    return place._replace(function=None) if is_cut else place


def read_sleeping(frame: Frame, masker: Masker | None = None) -> Place:
    """Line and function where a statement awaits, from a waiting frame."""
    return _place(frame.head.get("where"), -1, "name", masker)


def bound_texts(error: WasmexecError) -> None:
    """Cut what is too long in an error, in place. SECURITY: only once it is masked."""
    error.args = tuple(item[:MAX_TEXT] if isinstance(item, str) else item for item in error.args)
    for name, value in vars(error).items():
        if isinstance(value, str) and len(value) > MAX_TEXT:
            setattr(error, name, value[:MAX_TEXT])


def _place(frames: object, index: int, name: str, masker: Masker | None) -> Place:
    if not isinstance(frames, list) or not frames or not isinstance(frames[index], dict):
        return NOWHERE
    function = _text(frames[index], name)
    if masker is not None:
        function = masker(function)
    function = function[:MAX_NAME]
    if not function.isprintable():
        # It stands in the one line of a message, and the statement may have called it anything.
        function = function.encode("unicode_escape").decode()[:MAX_NAME]
    return Place(_number(frames[index], "line"), function or None)


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise BadFrame(f"expected an object, got {type(value).__name__}")
    return cast("Mapping[str, object]", value)


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _line(fields: Mapping[str, object], lines: int, name: str = "line") -> int | None:
    """SECURITY: what shows a statement marks this line of it, so there must be one."""
    value = _number(fields, name)
    return value if value is not None and 1 <= value <= lines else None


def _number(fields: Mapping[str, object], name: str) -> int | None:
    value = fields.get(name)
    return value if type(value) is int and 0 <= value < 2**63 else None
