"""A step as a stand-alone Python file, to be stopped in by a debugger. It is NOT isolated: that is what it is for."""

from __future__ import annotations

import inspect
import io
import token
import tokenize
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from ..errors import ConfigError
from ..rows import conversion
from ..rows.destination import Destination
from ..rows.json_text import encode
from . import debug_template
from .file.definition import SecretSource, StepDefinition

MARKER = "# Written by `wasmexec step debug`; it is written anew each time."
MAX_INPUT_BYTES = 16 * 1024 * 1024
WARNING = (
    "NOT ISOLATED: this runs the statement as you, with your files, your network and your secrets. No limits apply."
)
_FUTURE = "from __future__ import annotations\n"
_NOT_INLINED = "from ..rows.conversion import NotJson, to_json\n"

_HEAD = """\
{marker}
# {warning}
# Line n of the statement is line n + {offset} of this file. Rows are not checked against the output schema here.
from __future__ import annotations


def _make_runner():
{conversion}
{runner}
    return types.SimpleNamespace(**locals())


_runner = _make_runner()
log, print, sleep, gather = _runner.log, _runner.print_to_log, _runner.sleep, _runner.gather
{data}


async def _statement():
"""
_TAIL = """

if __name__ == "__main__":
    _runner.run(_statement, {warning!r})
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
        lines.append(f"{name} = None" if data is None else f"{name} = _runner.json.loads({data.decode()!r})")
    for number in range(len(inputs) + 1, 100):
        if f"INPUT_DATA{number}" in definition.statement.text and number > 1:
            lines.append(f"INPUT_DATA{number} = None")
    lines.append(f"DATA_CHECKPOINT = _runner.json.loads({encode(checkpoint).decode()!r})")
    lines.append("LocalVariable = _runner.LocalVariables({")
    lines += [f"    {name!r}: {value!r}," for name, value in local_variables.items()]
    lines += [f"    {name!r}: {_secret(source)}," for name, source in definition.secrets.items()]
    lines.append("})")
    body = _indented(definition.statement.text)
    parts = {
        "marker": MARKER, "warning": WARNING, "data": "\n".join(lines),
        "conversion": _inlined(conversion), "runner": _inlined(debug_template),
    }  # fmt: skip
    offset = _HEAD.format(offset=0, **parts).count("\n")
    head = _HEAD.format(offset=offset, **parts)
    text = head + body + _TAIL.format(warning=WARNING)
    try:
        compile(text, "<debug>", "exec", dont_inherit=True)
    except SyntaxError as error:
        line = max(1, (error.lineno or offset) - offset)
        raise ConfigError(f"the statement does not compile: {error.msg} (line {line})") from None
    return text


def _inlined(module: ModuleType) -> str:
    """The text of a module as the inside of a function: names of it are not the statement's."""
    text = inspect.getsource(module)
    for line in (_FUTURE, _NOT_INLINED):
        text = text.replace(line, "")
    return _indented(text)


def _secret(source: SecretSource) -> str:
    """An expression that reads the secret when the file runs: its value is not written down."""
    if source.variable is not None:
        return f"_runner.secret_from_environment({source.variable!r})"
    return f"_runner.secret_from_file({str(Path(source.path or '').absolute())!r})"


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


def write_debug_file(target: Destination, text: str) -> None:
    """Write it, over an earlier one of ours only.

    Raises:
        ConfigError: there is another file.
        DeliveryError: it could not be written.
    """
    if target.is_file and not _is_ours(Path(target.name)):
        raise ConfigError(f"{target.name} is there, and not from `wasmexec step debug`; choose another --output")
    with target.open() as out:
        out.write(text.encode())


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(MARKER)) == MARKER.encode()
    except FileNotFoundError:
        return True
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
