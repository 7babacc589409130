"""What the host is told about an exception: its type, its text, and the statement's frames it passed through."""

from __future__ import annotations

import difflib
import linecache
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from . import filehints, missing, scopehints
from .texts import guarded_text, shorten

FILENAME = "<statement>"
"""File name of the statement's code in every frame, and the name of its outermost function."""

MAX_MESSAGE_CHARS = 8 * 1024
MAX_TRACEBACK_CHARS = 32 * 1024
_LOCAL_PREFIX = f"{FILENAME}.<locals>."

# A class of the statement's may hide these behind properties or `__getattribute__`, which raise what they like.
_cause_of = vars(BaseException)["__cause__"].__get__
_context_of = vars(BaseException)["__context__"].__get__
_traceback_of = vars(BaseException)["__traceback__"].__get__
_members_of = vars(BaseExceptionGroup)["exceptions"].__get__


class HostCallError(Exception):
    """A host call failed; `code` says how ("denied", "connect", "limit", ...), `message` why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


_source_lines: list[str] = []
_unsplit: str | bytes | None = None
"""The statement (bytes are UTF-8) as long as nobody has looked at its lines."""


def lines_of(text: str) -> list[str]:
    """The lines of a statement as the tokenizer counts them, without their ends."""
    # It ends a line at these three only, str.splitlines at a dozen more.
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")


def remember_source(text: str | bytes) -> None:
    """Make the lines of the statement known to tracebacks and warnings; they are made when the first one looks."""
    global _unsplit
    _unsplit = text
    _source_lines.clear()


def _split_source() -> None:
    global _unsplit
    text, _unsplit = _unsplit, None
    if text is not None:
        lines = lines_of(text if isinstance(text, str) else text.decode())
        _source_lines[:] = [f"{line}\n" for line in lines]


class _CacheEntry(tuple[object, ...]):
    """What `linecache` keeps of a file: size, time, lines, name. Whoever takes one of them gets the lines made."""

    __slots__ = ()

    def __getitem__(self, index: Any) -> Any:
        _split_source()
        return super().__getitem__(index)


def install() -> None:
    """Give `linecache` the place where the lines of the statement will be."""
    cache: dict[str, Any] = {FILENAME: _CacheEntry((0, None, _source_lines, FILENAME))}
    linecache.cache = cache


def source_text() -> str:
    """The statement as it was compiled."""
    _split_source()
    return "".join(_source_lines)


def type_name(kind: type[BaseException]) -> str:
    """Name of an exception class as its user knows it: `ValueError`, `httpx.ConnectError`, `MyError`."""
    module = guarded_text(lambda: kind.__module__, "")
    name = guarded_text(lambda: kind.__qualname__, "exception").removeprefix(_LOCAL_PREFIX)
    return name if module in ("builtins", "__main__", "") else f"{module}.{name}"


def statement_frames(trace: TracebackType | None) -> Iterator[TracebackType]:
    """The entries of a traceback whose code is the statement's."""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILENAME:
            yield trace
        trace = trace.tb_next


def chain_of(error: BaseException) -> list[BaseException]:
    """`error` and every exception that its rendering may show: causes, contexts, members of groups."""
    found: list[BaseException] = []
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        item = waiting.pop()
        if item is not None and id(item) not in seen:
            seen.add(id(item))
            found.append(item)
            waiting += (_cause_of(item), _context_of(item))
            if issubclass(type(item), BaseExceptionGroup):
                waiting += _members_of(item)
    return found


def keep_statement_frames(error: BaseException) -> None:
    """Drop from the traceback of `error`, and of all it is chained to, each frame that is not the statement's."""
    for item in chain_of(error):
        kept: TracebackType | None = None
        for entry in reversed(list(statement_frames(_traceback_of(item)))):
            kept = TracebackType(kept, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
        item.__traceback__ = kept


def _nearest_name(error: BaseException) -> str | None:
    """The name that was probably meant, as CPython suggests it for NameError and AttributeError."""
    wanted = getattr(error, "name", None)
    if not isinstance(wanted, str) or not wanted:
        return None
    known: set[str] = set()
    if isinstance(error, NameError):
        entries = list(statement_frames(error.__traceback__))
        if entries:
            frame = entries[-1].tb_frame
            known = {*frame.f_locals, *frame.f_globals, *frame.f_builtins}
    elif isinstance(error, AttributeError) and error.obj is not None:
        known = {name for name in dir(error.obj) if isinstance(name, str)}
    matches = difflib.get_close_matches(wanted, [name for name in known if not name.startswith("__")], 1, 0.8)
    return matches[0] if matches else None


def _hint(error: BaseException) -> str:
    """What to write instead, as the end of the message: `. Did you mean: 'x'?`, or nothing."""
    entries = list(statement_frames(error.__traceback__))
    code = entries[-1].tb_frame.f_code if entries else None
    said = scopehints.for_error(error, source_text(), code) or filehints.for_error(
        error, _traceback_of(error), FILENAME
    )
    return scopehints.sentence(said) or _suggestion(error)


def _suggestion(error: BaseException) -> str:
    """`. Did you mean: 'x'?`, what works instead of a module that is not in the image, or nothing."""
    if isinstance(error, ImportError):
        return guarded_text(lambda: missing.hint(error), "")
    if not isinstance(error, NameError | AttributeError):
        return ""
    name = guarded_text(lambda: _nearest_name(error) or "", "")
    return f". Did you mean: '{name}'?" if name else ""


def _drop_empty_headers(rendering: traceback.TracebackException) -> None:
    """Exceptions that never passed through the statement are shown without an empty 'Traceback' header."""
    waiting: list[Any] = [rendering]
    while waiting:
        item = waiting.pop()
        if item is None:
            continue
        if not item.stack:
            item.stack = None
        waiting += (item.__cause__, item.__context__, *(item.exceptions or ()))


def render(error: BaseException) -> str:
    """The traceback of `error` as CPython 3.11 prints it, of the statement's frames only."""
    keep_statement_frames(error)
    rendering = traceback.TracebackException.from_exception(error, compact=True)
    _drop_empty_headers(rendering)
    return "".join(rendering.format()).replace(_LOCAL_PREFIX, "")


def render_last_line(error: BaseException) -> str:
    """`Type: message`."""
    text = guarded_text(lambda: error, "<exception str() failed>")
    name = type_name(type(error))
    return f"{name}: {text}" if text else name


def line_of(error: BaseException) -> int | None:
    """The innermost line of the statement that `error`, or else what led to it, passed through, if any."""
    for item in chain_of(error):
        line = None
        for entry in statement_frames(_traceback_of(item)):
            line = entry.tb_lineno
        if line is not None:
            return line
    return None


def describe(error: BaseException, kind: str = "raised") -> dict[str, object]:
    """The error record of a done frame for an exception that ended the statement."""
    line = line_of(error)
    hint = guarded_text(lambda: _hint(error), "")
    message = guarded_text(lambda: error, "<exception str() failed>")
    text = guarded_text(lambda: render(error), f"{render_last_line(error)}\n")
    if hint:
        message = message.removesuffix(".") + hint
        text = text.rstrip("\n").removesuffix(".") + hint + "\n"
    return {
        "kind": kind,
        "type": shorten(type_name(type(error)), 256),
        "message": shorten(message, MAX_MESSAGE_CHARS),
        "traceback": shorten(text, MAX_TRACEBACK_CHARS),
        "line": line,
    }
