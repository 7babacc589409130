"""`log` of the statement: five levels, one message each; used like `logging` it says how it is written here."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NoReturn

from . import logs

_LEVELS = "log.trace, log.debug, log.info, log.warn and log.error take one message each"
_EXCEPTION = 'log.error(f"{type(error).__name__}: {error}")'
_INSTEAD = {
    "trace": ("verbose", "finest", "finer", "fine", "notset"),
    "debug": ("dbg",),
    "info": ("information", "informational", "notice", "success", "print", "message", "msg", "log", "write"),
    "warn": ("warning", "warnings"),
    "error": ("err", "critical", "crit", "fatal", "severe", "alert", "emergency", "fail", "failure"),
}  # fmt: skip
_ALL_LEVELS_ARE_KEPT = {
    "setlevel", "level", "isenabledfor", "geteffectivelevel", "disable", "disabled", "addhandler", "removehandler",
    "hashandlers", "handlers", "addfilter", "removefilter", "filter", "filters", "basicconfig", "propagate",
    "getlogger", "getchild", "bind", "parent", "root", "name", "manager", "handle", "opt", "add", "remove", "configure",
}  # fmt: skip
_MAX_SHOWN_CHARS = 80
_MISSING = object()


def _method_hint(name: str) -> str:
    wanted = name.lower().strip("_")
    if wanted in ("exception", "catch"):
        return f"in `except Exception as error:` write {_EXCEPTION}"
    if wanted in _ALL_LEVELS_ARE_KEPT:
        return f"it has no levels, handlers or filters to set, every record is kept; {_LEVELS}"
    for level, names in _INSTEAD.items():
        if wanted in names:
            return f"write log.{level}(message)"
    nearest = difflib.get_close_matches(wanted, _INSTEAD, 1, 0.6)
    return f"write log.{nearest[0]}(message)" if nearest else _LEVELS


def _refuse(level: str, message: object, rest: tuple[object, ...], options: Iterable[str]) -> NoReturn:
    """Say how a call that `logging` would have taken is written.

    Raises: TypeError
    """
    call = f"log.{level}"
    for name in options:
        if name in ("exc_info", "stack_info", "stacklevel"):
            raise TypeError(
                f"{call}() takes a message only, no {name}: in `except Exception as error:` write {_EXCEPTION}"
            )
        if message is _MISSING:
            raise TypeError(
                f"{call}() takes its message without a name: write {call}(...) instead of {call}({name}=...)"
            )
        raise TypeError(f'{call}() takes a message only, no {name}: put it into the text, {call}(f"... {{{name}}}")')
    if message is _MISSING:
        raise TypeError(f'{call}() needs a message: write {call}("...")')
    count = f"{call}() takes one message, not {1 + len(rest)} values, and formats nothing"
    # SECURITY: shown whole or not at all, for nobody could mask half a secret.
    if not isinstance(message, str) or len(message) > _MAX_SHOWN_CHARS:
        raise TypeError(f'{count}: write {call}(f"... {{value}} ...")')
    names = [f"value{number}" for number in range(1, len(rest) + 1)] if len(rest) > 1 else ["value"]
    if "%" in message:
        values = "(value,)" if len(rest) == 1 else f"({', '.join(names)})"
        raise TypeError(f"{count}: write {call}({message!r} % {values}), or an f-string")
    if "{" in message:
        raise TypeError(f"{count}: write {call}({message!r}.format({', '.join(names)})), or an f-string")
    fields = " ".join(f"{{{name}}}" for name in names)
    text = message.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    raise TypeError(f'{count}: write {call}(f"{text} {fields}")')


class Log:
    """The connector's logger: five levels, one text each; anything that is not a str goes through `str()`.

    Raises: AttributeError, TypeError: it is used in another way; they say how it is written.
    """

    __slots__ = ()

    def trace(self, message: object = _MISSING, *rest: object, **options: object) -> None:
        """Write one record at trace."""
        if message is _MISSING or rest or options:
            _refuse("trace", message, rest, options)
        logs.emit(logs.TRACE, message if type(message) is str else str(message))

    def debug(self, message: object = _MISSING, *rest: object, **options: object) -> None:
        """Write one record at debug."""
        if message is _MISSING or rest or options:
            _refuse("debug", message, rest, options)
        logs.emit(logs.DEBUG, message if type(message) is str else str(message))

    def info(self, message: object = _MISSING, *rest: object, **options: object) -> None:
        """Write one record at info."""
        if message is _MISSING or rest or options:
            _refuse("info", message, rest, options)
        logs.emit(logs.INFO, message if type(message) is str else str(message))

    def warn(self, message: object = _MISSING, *rest: object, **options: object) -> None:
        """Write one record at warn."""
        if message is _MISSING or rest or options:
            _refuse("warn", message, rest, options)
        logs.emit(logs.WARN, message if type(message) is str else str(message))

    def error(self, message: object = _MISSING, *rest: object, **options: object) -> None:
        """Write one record at error: the execution counts as finished with errors."""
        if message is _MISSING or rest or options:
            _refuse("error", message, rest, options)
        logs.emit(logs.ERROR, message if type(message) is str else str(message))

    def __getattr__(self, name: str) -> NoReturn:
        hint = "" if name.startswith("__") else f": {_method_hint(name)}"
        # With its name, but without its object, nothing else suggests a name after this.
        raise AttributeError(f"'Log' object has no attribute {name!r}{hint}", name=name)

    def __call__(self, *args: object, **options: object) -> NoReturn:
        raise TypeError("log is no function: write log.info(message)")

    def __repr__(self) -> str:
        return "<log: trace, debug, info, warn, error>"
