"""What the result of an execution shows: verdicts, and what a step expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import (
    CpuLimitError,
    ExecutionCancelled,
    GuestLostError,
    MemoryLimitError,
    OutputError,
    OutputLimitError,
    StatementRaised,
    TimeLimitError,
)
from ..result import Result, Unserved
from ..rows.json_text import encode
from ..step.file.definition import StatementText
from .finding import Verdict, bounded

_HTTP_ERRORS = (
    "httpx.", "httpcore.", "requests.", "urllib.error.", "urllib3.", "http.client.", "aiohttp.", "openai.",
)  # fmt: skip
_SOCKET_ERRORS = ("OSError", "ConnectionError", "ConnectionRefusedError", "PermissionError")
"""What `http.client` raises for a request that comes to nothing."""


def judge(result: Result, statement: StatementText, secrets: Sequence[str], *, is_invalid: bool) -> Verdict | None:
    """What is wrong by one result alone; of inputs that the schema refuses, an exception is what one wants."""
    error = result.error
    if isinstance(error, StatementRaised):
        return _raised(error, result.unserved, statement, is_invalid=is_invalid)
    if isinstance(error, (OutputError, OutputLimitError)):
        return None if is_invalid else _refused(error)
    if isinstance(error, CpuLimitError):
        return Verdict(kind="slow", message=f"more than {error.limit:g} s of processor time")
    if isinstance(error, MemoryLimitError):
        return Verdict(
            kind="memory", message=f"more than {error.limit:,.0f} bytes", line=error.line,
            line_text=_line(statement, error.line),
        )  # fmt: skip
    if isinstance(error, GuestLostError):
        return Verdict(
            kind="lost", message=bounded(error.message), line=error.line, line_text=_line(statement, error.line)
        )
    if error is not None:
        return None
    if secrets and result.rows:
        text = encode(result.rows).decode()
        if any(secret in text for secret in secrets):
            return Verdict(kind="secret", message="a row has the value of a secret in it")
    return (
        Verdict(kind="accepted", message="the schema refuses the input, the statement took it") if is_invalid else None
    )


def _raised(
    error: StatementRaised, unserved: Unserved, statement: StatementText, *, is_invalid: bool
) -> Verdict | None:  # fmt: skip
    if error.type_name == "MemoryError":
        return Verdict(kind="memory", message="MemoryError", line=error.line, line_text=_line(statement, error.line))
    is_of_http = error.type_name.startswith(_HTTP_ERRORS) or error.type_name in _SOCKET_ERRORS
    if is_of_http and unserved == "unanswered":
        return None
    is_grant = is_of_http and unserved == "denied"
    if is_invalid and not is_grant:
        return None
    return Verdict(
        kind="grant" if is_grant else "raised", message=bounded(error.exception_message), exception=error.type_name,
        line=error.line, line_text=_line(statement, error.line),
    )  # fmt: skip


def _refused(error: OutputError | OutputLimitError) -> Verdict:
    if isinstance(error, OutputLimitError):
        return Verdict(kind="refused", message=bounded(error.message), exception="limit")
    tokens = ("*" if token.isdigit() else token for token in error.pointer.split("/"))
    return Verdict(kind="refused", message=bounded(error.reason), exception=f"{'/'.join(tokens)} {error.rule}")


def fault_verdict(result: Result, statement: StatementText, fault: str) -> Verdict | None:
    """An exception of the HTTP library says what has failed; any other says that nobody thought of it."""
    error = result.error
    if not isinstance(error, StatementRaised) or error.type_name.startswith(_HTTP_ERRORS):
        return None
    return Verdict(
        kind="http", message=bounded(error.exception_message), exception=error.type_name, line=error.line,
        line_text=_line(statement, error.line), fault=fault,
    )  # fmt: skip


def property_verdict(told: Result) -> Verdict | None:
    """What the statement of a property says."""
    error = told.error
    if isinstance(error, StatementRaised):
        return Verdict(kind="property", message=bounded(error.exception_message), exception=error.type_name)
    return None


def is_undecided(result: Result) -> bool:
    """Whether the result depends on how busy the machine was."""
    return isinstance(result.error, (TimeLimitError, CpuLimitError, ExecutionCancelled))


def is_expected(verdict: Verdict, expected: Sequence[str]) -> bool:
    """Whether the step says that this may happen: a kind, an exception, or an exception and a part of its message."""
    for item in expected:
        name, _, part = item.partition(":")
        names = (verdict.kind, verdict.exception, verdict.exception.rpartition(".")[2])
        if name.strip() in names and part.strip() in verdict.message:
            return verdict.kind != "lost"
    return False


def first_difference(first: Sequence[Any], second: Sequence[Any]) -> str:
    """Where two lists of rows differ, in few words."""
    if len(first) != len(second):
        return f"{len(first):,} rows, then {len(second):,}"
    for number, (one, other) in enumerate(zip(first, second, strict=True)):
        for key in one:
            if encode(one[key]) != encode(other.get(key)):
                return f"row {number}: {key} differs"
    return "the rows differ"


def _line(statement: StatementText, line: int | None) -> str:
    lines = statement.text.splitlines()
    return lines[line - 1].strip() if line is not None and 0 < line <= len(lines) else ""
