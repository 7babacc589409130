"""A step as a stand-alone Python file, to be stopped in by a debugger. It is NOT isolated: that is what it is for."""

from __future__ import annotations

import io
import token
import tokenize
from collections.abc import Mapping
from pathlib import Path

from ..errors import ConfigError
from .definition import SecretSource, StepDefinition
from .jsontext import encode

MARKER = "# Written by `wasmexec step debug`; it is written anew each time."
MAX_INPUT_BYTES = 16 * 1024 * 1024
WARNING = (
    "NOT ISOLATED: this runs the statement as you, with your files, your network and your secrets. No limits apply."
)

_HEAD = '''\
{marker}
# {warning}
# Line n of the statement is line n + {offset} of this file. Rows are not checked against the output schema here.
import asyncio as _asyncio
import base64 as _base64
import builtins as _builtins
import json as _json
import math as _math
import os as _os
import pathlib as _pathlib
import sys as _sys
import time as _time
from decimal import Decimal as _Decimal


class _Log:
    def _write(self, level, message):
        _builtins.print(_time.strftime("%H:%M:%S"), f"{{level:<5}}", message, file=_sys.stderr, flush=True)

    def trace(self, message):
        self._write("trace", message)

    def debug(self, message):
        self._write("debug", message)

    def info(self, message):
        self._write("info", message)

    def warn(self, message):
        self._write("warn", message)

    def error(self, message):
        self._write("error", message)


class _LocalVariables:
    def __init__(self, values):
        object.__setattr__(self, "_values", values)

    def __getattr__(self, name):
        values = object.__getattribute__(self, "_values")
        if name in values:
            return values[name]
        known = ", ".join(values) or "none"
        raise AttributeError(f"there is no local variable {{name!r}}; the local variables are: {{known}}")

    def __setattr__(self, name, value):
        raise AttributeError(f"local variables cannot be assigned: LocalVariable.{{name}}")


def print(*values, sep=" ", end="\\n", file=None, flush=False):
    if file is not None:
        _builtins.print(*values, sep=sep, end=end, file=file, flush=flush)
    else:
        log.info((" " if sep is None else sep).join(map(str, values)))


async def sleep(seconds):
    await _asyncio.sleep(float(seconds))


async def gather(*awaitables, return_exceptions=False):
    tasks = [_asyncio.ensure_future(item) for item in awaitables]
    try:
        return await _asyncio.gather(*tasks, return_exceptions=return_exceptions)
    finally:
        unfinished = [task for task in tasks if not task.done()]
        for task in unfinished:
            task.cancel()
        if unfinished:
            await _asyncio.wait(unfinished)


def _secret_from_file(path):
    return _pathlib.Path(path).read_text("utf-8").removesuffix("\\n")


def _plain(value):
    """What JSON has not, as the product converts it."""
    if isinstance(value, dict):
        return {{str(key): _plain(item) for key, item in value.items()}}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if type(value).__name__ in ("NaTType", "NAType") or (isinstance(value, float) and _math.isnan(value)):
        return None
    if isinstance(value, _Decimal):
        return float(value) if _Decimal(str(float(value))) == value else str(value)
    if isinstance(value, (bytes, bytearray)):
        return _base64.b64encode(value).decode()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "item"):
        return _plain(value.item())
    return value


log = _Log()
{data}


async def _statement():
'''
_TAIL = """

def _main():
    _builtins.print({warning!r}, file=_sys.stderr, flush=True)
    rows = _asyncio.run(_statement())
    if not isinstance(rows, list):
        _sys.exit(f"the statement must return a list of objects, it returned {{type(rows).__name__}}")
    _builtins.print(_json.dumps(_plain(rows), ensure_ascii=False, indent=2))


if __name__ == "__main__":
    _main()
"""


def debug_file(
    definition: StepDefinition,
    *,
    inputs: list[bytes | None],
    checkpoint: object,
    local_variables: Mapping[str, object],
) -> str:
    """The text of the file; `inputs` are JSON texts, the first INPUT_DATA.

    Raises:
        ConfigError: the statement is no Python, or the inputs are too large to be written into a file.
    """
    if sum(len(data or b"") for data in inputs) > MAX_INPUT_BYTES:
        raise ConfigError(f"the inputs have more than {MAX_INPUT_BYTES:,} bytes: choose fewer rows")
    lines = []
    for number, data in enumerate(inputs or [None], 1):
        name = "INPUT_DATA" if number == 1 else f"INPUT_DATA{number}"
        lines.append(f"{name} = None" if data is None else f"{name} = _json.loads({data.decode()!r})")
    for number in range(len(inputs) + 1, 100):
        if f"INPUT_DATA{number}" in definition.statement.text and number > 1:
            lines.append(f"INPUT_DATA{number} = None")
    lines.append(f"DATA_CHECKPOINT = _json.loads({encode(checkpoint).decode()!r})")
    lines.append("LocalVariable = _LocalVariables({")
    lines += [f"    {name!r}: {value!r}," for name, value in local_variables.items()]
    lines += [f"    {name!r}: {_secret(source)}," for name, source in definition.secrets.items()]
    lines.append("})")
    body = _indented(definition.statement.text)
    head = _HEAD.format(marker=MARKER, warning=WARNING, offset=0, data="\n".join(lines))
    offset = head.count("\n")
    head = _HEAD.format(marker=MARKER, warning=WARNING, offset=offset, data="\n".join(lines))
    text = head + body + _TAIL.format(warning=WARNING)
    try:
        compile(text, "<debug>", "exec", dont_inherit=True)
    except SyntaxError as error:
        line = max(1, (error.lineno or offset) - offset)
        raise ConfigError(f"the statement does not compile: {error.msg} (line {line})") from None
    return text


def _secret(source: SecretSource) -> str:
    """An expression that reads the secret when the file runs: its value is not written down."""
    if source.variable is not None:
        return f"_os.environ[{source.variable!r}]"
    return f"_secret_from_file({str(Path(source.path or '').absolute())!r})"


def _indented(statement: str) -> str:
    """The statement four columns to the right, except for the inner lines of multi-line strings."""
    text = statement.replace("\r\n", "\n").rstrip("\n") + "\n"
    inside: set[int] = set()
    starts: list[int] = []
    openers = {getattr(token, name) for name in ("FSTRING_START", "TSTRING_START") if hasattr(token, name)}
    closers = {getattr(token, name) for name in ("FSTRING_END", "TSTRING_END") if hasattr(token, name)}
    try:
        for item in tokenize.generate_tokens(io.StringIO(text).readline):
            if item.type == token.STRING:
                inside.update(range(item.start[0] + 1, item.end[0] + 1))
            elif item.type in openers:
                starts.append(item.start[0])
            elif item.type in closers:
                inside.update(range(starts.pop() + 1, item.end[0] + 1))
    except (tokenize.TokenError, SyntaxError) as error:
        raise ConfigError(f"the statement does not compile: {error.args[0]}") from None
    lines = text.split("\n")[:-1]
    shifted = [line if number in inside or not line.strip() else f"    {line}" for number, line in enumerate(lines, 1)]
    return "\n".join(shifted) + "\n"


def write_debug_file(path: Path, text: str) -> None:
    """Write it, over an earlier one of ours only.

    Raises:
        ConfigError: there is another file, or it cannot be written.
    """
    try:
        if path.exists() and not path.read_text("utf-8", "replace").startswith(MARKER):
            raise ConfigError(f"{path} is there already, and not from `wasmexec step debug`; choose another --output")
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
