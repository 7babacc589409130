"""A failed execution on standard error: what happened, where in the statement, and how to fix it."""

from __future__ import annotations

from ..errors import LimitError, OutputError, StatementRaised, StatementSyntaxError, WasmexecError
from ..result import Result
from ..status import Status
from .terminal import clean, fail, note, say, style, warn

_MEANING = {
    Status.STATEMENT_RAISED: "the statement raised",
    Status.TIMED_OUT: "out of time",
    Status.CANCELLED: "cancelled",
    Status.RUNTIME_FAILED: "runtime failed",
    Status.OUTPUT_REFUSED: "output refused",
    Status.INPUT_REFUSED: "input refused",
    Status.CONFIG_REFUSED: "nothing ran",
}
_OPTIONS = {
    "TimeLimitError": "--wall-seconds", "CpuLimitError": "--cpu-seconds", "MemoryLimitError": "--memory",
    "OutputLimitError": "--output-bytes",
}  # fmt: skip


def report(result: Result, file_name: str, statement: str) -> None:
    """Say on standard error what the rows alone do not; `file_name` is how the user named the statement."""
    for text in result.warnings:
        warn(text)
    if result.log_dropped:
        warn(f"{result.log_dropped:,} log records were dropped: --log-records and --log-bytes set the limits")
    if result.error is None:
        return
    error = result.error
    show_failure(error, result.status, file_name, statement)
    hint = _hint(error)
    if hint:
        note(hint)


def show_failure(error: WasmexecError, status: Status, file_name: str, statement: str, prefix: str = "") -> None:
    """Place, message and status of a failed execution."""
    _show_place(error, file_name, statement)
    fail(f"{prefix}{_first_line(error)} [{int(status)} {_MEANING.get(status, 'failed')}]")


def source_line(file_name: str, statement: str, line: int, column: int | None, end_column: int | None = None) -> str:
    """`file:line:column` above the source line, with a caret below it when the column is known."""
    place = f"{file_name}:{line}" + ("" if column is None else f":{column}")
    lines = statement.split("\n")
    if not 1 <= line <= len(lines):
        return style(place, bold=True)
    text = lines[line - 1].rstrip("\r")
    shown = f"{style(clean(place), bold=True)}\n  {clean(text)}"
    if column is None or column < 1:
        return shown
    # Tabs stay tabs, so that the caret stands below its column whatever their width.
    indent = "".join(letter if letter == "\t" else " " for letter in text[: column - 1])
    width = max(1, (end_column or 0) - column)
    return f"{shown}\n  {indent}{style('^' * min(width, max(1, len(text) - column + 1)), fg='red', bold=True)}"


def _show_place(error: WasmexecError, file_name: str, statement: str) -> None:
    if isinstance(error, StatementRaised) and error.traceback:
        say(clean(error.traceback.rstrip().replace('File "<statement>"', f'File "{file_name}"')))
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


def _hint(error: WasmexecError) -> str:
    if isinstance(error, LimitError):
        option = _OPTIONS.get(type(error).__name__)
        return f"raise the limit with {option}" if option else ""
    if isinstance(error, OutputError) and error.rule == "extra":
        return "--lenient drops keys that are not in the schema"
    if isinstance(error, OutputError) and error.rule in ("base64", "json"):
        return "--lenient passes it"
    return ""
