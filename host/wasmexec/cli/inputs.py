"""Options for inputs, which `run` and the step commands share, and texts of bounded size."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import ConfigError, InputError
from ..rows.formats import FORMATS

if TYPE_CHECKING:
    from ..rows.formats import ReadOptions
    from ..schema import Mode, Role, RowSchema

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])
LAST_INPUT = 9
_MAX_SCHEMA_BYTES = 16 * 1024 * 1024


def input_options(function: _Decorated) -> _Decorated:
    """`--input`, `--input2` and so on, and how they are written."""
    function = further_input_options(format_options(function))
    return click.option(
        "--input", "input1", metavar="FILE|-", multiple=True, callback=_once,
        help="The input: INPUT_DATA (None without it). JSON, JSON Lines, CSV, TSV (also as .gz) or Parquet.",
    )(function)  # fmt: skip


def further_input_options(function: _Decorated) -> _Decorated:
    """`--input2` and so on."""
    for number in range(LAST_INPUT, 1, -1):
        function = click.option(
            f"--input{number}", metavar="FILE|-", multiple=True, callback=_once, hidden=number > 2,
            help=f"A second input: INPUT_DATA2; and so on to --input{LAST_INPUT}.",
        )(function)  # fmt: skip
    return function


def _once(_context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> str | None:
    """The file of an input. Of several the last would win, and nobody would miss the others."""
    if len(given) > 1:
        raise click.BadParameter(
            f"given {len(given)} times: a second input is --input2, a third --input3", param_hint=option.opts[0]
        )
    return given[0] if given else None


def format_options(function: _Decorated) -> _Decorated:
    """How inputs are written: `--input-format`, `--input-encoding`, `--delimiter`."""
    options = (
        click.option(
            "--input-format", type=click.Choice(FORMATS),
            help="Format of inputs whose names do not tell, or of the only one; standard input is JSON.",
        ),
        click.option(
            "--input-encoding", metavar="NAME",
            help="Encoding of inputs without a byte order mark, such as windows-1252 [default: utf-8].",
        ),
        click.option(
            "--delimiter", metavar="CHARACTER",
            help="Delimiter of CSV, such as ';' or tab [default: what its header shows].",
        ),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def schema_options(function: _Decorated) -> _Decorated:
    """`--input-schema`, `--input2-schema` and so on."""
    for number in range(LAST_INPUT, 0, -1):
        function = click.option(
            f"--{_name(number)}-schema", f"input{number}_schema", metavar="FILE", hidden=number > 1,
            help="What the rows of the input must match, like --output-schema; values of CSV become what its columns "
            "say. For a second input: --input2-schema.",
        )(function)  # fmt: skip
    return function


def sources(values: dict[str, Any]) -> list[str | None]:
    """The inputs named, without those behind the last."""
    found = [values[f"input{number}"] for number in range(1, LAST_INPUT + 1)]
    while found and found[-1] is None:
        found.pop()
    return found


def read_options(values: dict[str, Any]) -> ReadOptions:
    """The options of `format_options`.

    Raises:
        click.UsageError: one of them is none.
    """
    from ..rows.formats import ReadOptions

    try:
        return ReadOptions(values["input_format"], values["input_encoding"], values["delimiter"])
    except ConfigError as error:
        raise click.UsageError(error.message) from None


def read_schema(source: str, role: Role, *, lenient: bool) -> RowSchema:
    """The schema in a file; lenient, if that is wanted and it is a column list.

    Raises:
        click.UsageError: it cannot be read.
        ConfigError: it is no schema.
    """
    from ..rows.json_rows import explain
    from ..rows.json_text import decode
    from ..schema import RowSchema, Schema

    try:
        data = read_text(source, _MAX_SCHEMA_BYTES).encode()
    except OSError as error:
        raise click.UsageError(f"the {role} schema {source} cannot be read: {error.strerror}") from None
    except InputError as error:
        raise ConfigError(f"the {role} schema {display_name(source)} is not JSON: {error}") from None
    try:
        definition = decode(data)
    except ValueError as error:
        raise ConfigError(f"the {role} schema {display_name(source)} is not JSON: {explain(data, error)}") from None
    mode: Mode = "lenient" if lenient and isinstance(definition, list) else "strict"
    return RowSchema(definition, mode, Schema.prepare(definition, mode=mode, role=role))


def read_inputs(
    values: dict[str, Any], remark: Callable[[str], object], *, lenient: bool, max_bytes: int
) -> list[bytes | None]:
    """The inputs of `run` as JSON texts; `remark` takes what the user should know about them.

    Raises:
        InputError: one cannot be read, is too large, or a row does not match its schema.
        ConfigError: a format is unknown, or a schema wrong.
        click.UsageError: a file cannot be read.
    """
    from .._finishing.long_inputs import LongInputs
    from ..rows.inputs import sources_of
    from ..rows.intake import checked_whole

    named = sources(values)
    read: list[bytes | None] = []
    paths = [None if name is None else Path(name) for name in named]
    with closing(LongInputs()) as long_rows:
        for number, source in enumerate(sources_of(paths, read_options(values), [], max_row_bytes=max_bytes), 1):
            schema_file = values[f"input{number}_schema"]
            schema = None if schema_file is None else read_schema(schema_file, "input", lenient=lenient)
            try:
                read.append(checked_whole(source, schema, max_bytes, long_rows=long_rows)[0])
            except OSError as error:
                raise click.UsageError(f"the input {named[number - 1]} cannot be read: {error.strerror}") from None
            finally:
                for text in source.remarks:
                    remark(text)
            if source.has_texts_only and schema is None:
                remark(f"{source.name}: values of CSV are strings without --{_name(number)}-schema")
    for number in range(len(named) + 1, LAST_INPUT + 1):
        if values[f"input{number}_schema"] is not None:
            raise click.UsageError(f"--{_name(number)}-schema without --{_name(number)}")
    return read


def read_text(source: str, max_bytes: int) -> str:
    """The text of a UTF-8 file, or of standard input for "-", without a byte order mark.

    Raises:
        InputError: it is not UTF-8, or there are more than `max_bytes`.
        OSError: it cannot be read.
    """
    if source == "-":
        data = sys.stdin.buffer.read(max_bytes + 1)
    else:
        with Path(source).open("rb") as file:
            data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise InputError(
            f"{display_name(source)} is larger than the input may be: {max_bytes:,} bytes (limit input_bytes)"
        )
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{display_name(source)} is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}"
        ) from None


def display_name(source: str) -> str:
    """How messages name a source."""
    return "standard input" if source == "-" else source


def _name(number: int) -> str:
    return "input" if number == 1 else f"input{number}"
