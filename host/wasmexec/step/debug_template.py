"""What a statement sees in `step debug`: its text, with that of `rows.conversion`, is written into the debug file.

Not isolated, and nothing of it is used by runs: there the guest has its own.
"""

from __future__ import annotations

import asyncio
import builtins
import json
import os
import pathlib
import re
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

from ..rows.conversion import NotJson, to_json


class Log:
    """The connector's logger, on standard error."""

    def trace(self, message: object) -> None:
        """Write one record at trace."""
        _write("trace", message)

    def debug(self, message: object) -> None:
        """Write one record at debug."""
        _write("debug", message)

    def info(self, message: object) -> None:
        """Write one record at info."""
        _write("info", message)

    def warn(self, message: object) -> None:
        """Write one record at warn."""
        _write("warn", message)

    def error(self, message: object) -> None:
        """Write one record at error."""
        _write("error", message)


class LocalVariables:
    """`LocalVariable`, read by attribute."""

    def __init__(self, values: Mapping[str, object]) -> None:
        object.__setattr__(self, "_values", values)

    def __getattr__(self, name: str) -> object:
        values: Mapping[str, object] = object.__getattribute__(self, "_values")
        if name in values:
            return values[name]
        known = ", ".join(values) or "none"
        raise AttributeError(f"there is no local variable {name!r}; the local variables are: {known}")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"local variables cannot be assigned: LocalVariable.{name}")


log = Log()


CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def _shown(text: str, stream: Any) -> str:
    """A text as it is written to a stream: what would drive a terminal is an escape there, as in `rows.visible`."""
    if not stream.isatty():
        return text
    return CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _write(level: str, message: object) -> None:
    text = _shown(str(message), sys.stderr)
    builtins.print(time.strftime("%H:%M:%S"), f"{level:<5}", text, file=sys.stderr, flush=True)


def print_to_log(
    *values: object, sep: str | None = " ", end: str | None = "\n", file: Any = None, flush: bool = False
) -> None:
    """`print`, which goes to the log."""
    if file is not None:
        builtins.print(*values, sep=sep, end=end, file=file, flush=flush)
    else:
        log.info((" " if sep is None else sep).join(map(str, values)))


async def sleep(seconds: float) -> None:
    """Wait."""
    await asyncio.sleep(float(seconds))


async def gather(*awaitables: Awaitable[Any], return_exceptions: bool = False) -> list[Any]:
    """Wait for several at once: results in order, the first exception wins."""
    tasks = [asyncio.ensure_future(item) for item in awaitables]
    try:
        return await asyncio.gather(*tasks, return_exceptions=return_exceptions)
    finally:
        unfinished = [task for task in tasks if not task.done()]
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.wait(unfinished)


def secret_from_environment(name: str) -> str:
    """The value of a secret."""
    return os.environ[name]


def secret_from_file(path: str) -> str:
    """The value of a secret."""
    return pathlib.Path(path).read_text("utf-8").removesuffix("\n")


def run(statement: Callable[[], Awaitable[object]], warning: str) -> None:
    """Run the statement and print its rows as JSON."""
    builtins.print(warning, file=sys.stderr, flush=True)

    async def awaited() -> object:
        return await statement()

    rows = asyncio.run(awaited())
    if not isinstance(rows, list):
        sys.exit(f"the statement must return a list of objects, it returned {type(rows).__name__}")
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            sys.exit(f"/{index}: every row must be a dict, not {type(row).__name__}")
    try:
        builtins.print(_shown(json.dumps(to_json(rows), ensure_ascii=False, indent=2), sys.stdout))
    except NotJson as error:
        sys.exit(f"the output is refused: {error}")
