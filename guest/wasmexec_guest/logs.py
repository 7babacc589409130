"""The log of the running statement: every record goes to the host at once; what the host refuses is counted.

The host says of each level when there is no more room for it: warnings and errors have a reserve.

Besides `log.*` and `print`, whatever Python itself would say on its standard streams ends up here: warnings, text that
libraries print, coroutines never awaited, exceptions that nobody could catch.
"""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import _wasmexec

from . import errors, texts

TRACE, DEBUG, INFO, WARN, ERROR = range(5)

_send: Callable[[int, str], bool] = _wasmexec.log
_dropped = [0, 0, 0, 0, 0]
_is_full = [False, False, False, False, False]
_pending = ""
"""Text printed without an end of line yet."""


def emit(level: int, message: str) -> None:
    """Send one record; a line begun by `print(..., end="")` goes first."""
    if _pending:
        flush()
    if _is_full[level]:
        _dropped[level] += 1
    elif not _send(level, message):
        _is_full[level] = True
        _dropped[level] += 1


def flush() -> None:
    """Send what was printed without an end of line."""
    global _pending
    text, _pending = _pending, ""
    if text:
        emit(INFO, text)


def print_text(text: str, end: str) -> None:
    """One `print`: a record when it ends its line, else the beginning of one."""
    global _pending
    if end == "\n":
        if _pending:
            text, _pending = _pending + text, ""
        emit(INFO, text)
    elif end.endswith("\n"):
        text, _pending = _pending + text + end[:-1], ""
        emit(INFO, text)
    else:
        _pending += text + end


def dropped() -> list[int]:
    """How many records of each level the host did not take."""
    return _dropped.copy()


def reset(send: Callable[[int, str], bool] = _wasmexec.log) -> None:
    """Forget everything about the log; records go to `send` from now on."""
    global _send, _pending
    _send = send
    _is_full[:] = (False, False, False, False, False)
    _pending = ""
    _dropped[:] = (0, 0, 0, 0, 0)


@contextlib.contextmanager
def diverted(records: list[tuple[int, str]]) -> Iterator[None]:
    """Collect what goes to the log, in levels and messages, instead of sending it."""
    global _send

    def collect(level: int, message: str) -> bool:
        records.append((level, message))
        return True

    send, _send = _send, collect
    try:
        yield
    finally:
        flush_all()
        _send = send


class LogStream(io.TextIOBase):
    """A standard stream that ends in the log, one record a line.

    Standard output shares the unfinished line with `print`; standard error is written at warn.
    """

    def __init__(self, level: int) -> None:
        self._level = level
        self._rest = ""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        lines = (self._rest + text).split("\n")
        self._rest = ""
        if self._level == INFO:
            for line in lines[:-1]:
                print_text(line, "\n")
            if lines[-1]:
                print_text(lines[-1], "")
        else:
            for line in lines[:-1]:
                emit(self._level, line)
            self._rest = lines[-1]
        return len(text)

    def flush(self) -> None:
        """End the unfinished line of standard error; that of standard output waits for its `print`."""
        rest, self._rest = self._rest, ""
        if rest:
            emit(self._level, rest)


def _show_warning(message: warnings.WarningMessage) -> None:
    """Put a warning into the log at warn, with the line when it is the statement's."""
    where = f" (line {message.lineno})" if message.filename == errors.FILENAME else ""
    emit(WARN, f"{message.category.__name__}: {message.message}{where}")


def _warn_unawaited_coroutine(coroutine: Any) -> None:
    """CPython calls this when a coroutine dies that nobody awaited."""
    emit(WARN, f"coroutine '{plain_name(coroutine)}' was never awaited")


def plain_name(coroutine: Any) -> str:
    """Name of a coroutine as the statement wrote it."""
    name: str = getattr(coroutine, "__qualname__", type(coroutine).__name__)
    return name.removeprefix(f"{errors.FILENAME}.<locals>.")


def _show_unraisable(problem: sys.UnraisableHookArgs, /) -> None:
    """An exception that could not reach the statement (in `__del__`, for one) goes to the log at warn."""
    what = problem.err_msg or "Exception ignored in"
    source = texts.guarded_text(lambda: repr(problem.object), "an object")
    text = "no exception" if problem.exc_value is None else errors.render_last_line(problem.exc_value)
    emit(WARN, f"{what} {texts.shorten(source, 200)}: {text}")


def install() -> None:
    """Point the standard streams and Python's own reports at the log."""
    sys.stdout = LogStream(INFO)
    sys.stderr = LogStream(WARN)
    sys.unraisablehook = _show_unraisable
    setattr(warnings, "_showwarnmsg_impl", _show_warning)  # noqa: B010  (not in the stubs)
    setattr(warnings, "_warn_unawaited_coroutine", _warn_unawaited_coroutine)  # noqa: B010


def flush_all() -> None:
    """End every unfinished line; called once, when the statement has ended."""
    if sys.stderr is not None:
        sys.stderr.flush()
    flush()
