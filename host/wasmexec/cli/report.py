"""A failed execution on standard error: what happened, where in the statement, and how to fix it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..errors import ConfigError, OutputError, StatementRaised, StatementSyntaxError, WasmexecError
from ..result import LogRecord, Result
from ..status import Status
from .parameters import by_options, limit_option, reached_limits
from .terminal import clean, fail, note, one_line, say, style, warn

_MEANING = {
    Status.STATEMENT_RAISED: "the statement raised",
    Status.TIMED_OUT: "out of time",
    Status.CANCELLED: "cancelled",
    Status.RUNTIME_FAILED: "runtime failed",
    Status.OUTPUT_REFUSED: "output refused",
    Status.INPUT_REFUSED: "input refused",
    Status.CONFIG_REFUSED: "nothing ran",
}
_LIMITS = {
    "TimeLimitError": "wall_seconds", "CpuLimitError": "cpu_seconds", "MemoryLimitError": "memory_bytes",
    "OutputLimitError": "output_bytes",
}  # fmt: skip


def report(result: Result, file_name: str, statement: str) -> None:
    """Say on standard error what the rows alone do not; `file_name` is how the user named the statement."""
    for text in result.warnings:
        warn(text)
    if result.log_dropped:
        warn(f"{result.log_dropped:,} log records were dropped: --log-records and --log-bytes set the limits")
    if result.error is not None:
        show_failure(result.error, result.status, file_name, statement, named=by_options)
    advise([result.error], result.logs)


def show_failure(
    error: WasmexecError,
    status: Status,
    file_name: str,
    statement: str,
    *,
    prefix: str = "",
    named: Callable[[str], str] = str,
) -> None:
    """Place, message and status of a failed execution; `named` puts the user's names of limits into a message."""
    _show_place(error, file_name, statement)
    text = _first_line(error)
    if isinstance(error, ConfigError):
        text = named(text)
    fail(f"{prefix}{text} [{int(status)} {_MEANING.get(status, 'failed')}]")


def advise(errors: Iterable[WasmexecError | None], logs: Iterable[LogRecord], *, in_step: bool = False) -> None:
    """How to get further, where an option or a key of the step file would: what was reached, or only logged."""
    limits: dict[str, None] = {}
    lenient: dict[str, None] = {}
    for error in errors:
        if error is None:
            continue
        name = _LIMITS.get(type(error).__name__)
        limits |= dict.fromkeys(reached_limits(error.message) or ([] if name is None else [name]))
        if isinstance(error, OutputError) and error.rule == "extra":
            lenient["drops keys that are not in the schema"] = None
        elif isinstance(error, OutputError) and error.rule in ("base64", "json"):
            lenient["passes it"] = None
    for record in logs:
        limits |= dict.fromkeys(reached_limits(record.message))
    for name in limits:
        note(f"raise the limit with {f'`limits: {{{name}: ...}}` in the step file' if in_step else limit_option(name)}")
    for text in lenient:
        note(f"{'`mode: lenient` in the step file' if in_step else '--lenient'} {text}")


def source_line(file_name: str, statement: str, line: int, column: int | None, end_column: int | None = None) -> str:
    """`file:line:column` above the source line, with a caret below it when the column is known."""
    place = f"{one_line(file_name)}:{line}" + ("" if column is None else f":{column}")
    lines = statement.split("\n")
    if not 1 <= line <= len(lines):
        return style(place, bold=True)
    text = lines[line - 1].rstrip("\r")
    shown = f"{style(place, bold=True)}\n  {clean(text)}"
    if column is None or column < 1:
        return shown
    # Tabs stay tabs, so that the caret stands below its column whatever their width.
    indent = "".join(letter if letter == "\t" else " " for letter in text[: column - 1])
    width = max(1, (end_column or 0) - column)
    return f"{shown}\n  {indent}{style('^' * min(width, max(1, len(text) - column + 1)), fg='red', bold=True)}"


def _show_place(error: WasmexecError, file_name: str, statement: str) -> None:
    if isinstance(error, StatementRaised) and error.traceback:
        say(clean(error.traceback.rstrip().replace('File "<statement>"', f'File "{one_line(file_name)}"')))
        return
    line = getattr(error, "line", None)
    if isinstance(line, int):
        column = error.column if isinstance(error, StatementSyntaxError) else None
        say(source_line(file_name, statement, line, column))


def _first_line(error: WasmexecError) -> str:
    # A traceback above has said the rest, and a caret rendering is ours to draw.
    lines = error.message.splitlines() or [type(error).__name__]
    if isinstance(error, (StatementSyntaxError, StatementRaised)):
        return lines[0]
    text = "\n".join(lines)
    if isinstance(error, OutputError) and not text.startswith(error.pointer):
        return f"{error.pointer}: {text}"
    return text
