"""Types of command-line values: sizes with units, NAME=VALUE pairs, limits."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

import click

from ..errors import ConfigError
from ..limits import LIMIT_RANGES, Limits, parse_size
from ..rows.json_text import decode

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])
_HELP = {
    "wall_seconds": "from the start to the rows, waiting included",
    "cpu_seconds": "processor time of the guest",
    "memory_bytes": "linear memory, the image included",
    "input_bytes": "all inputs together, as JSON",
    "output_bytes": "the rows, as JSON",
    "output_rows": "number of rows",
    "output_keys": "keys of one object, or columns of a row",
    "output_depth": "levels of lists and objects",
    "log_bytes": "all log messages together",
    "log_records": "number of log records",
    "http_requests": "HTTP requests, redirects counted",
    "http_concurrent": "HTTP requests at the same time",
    "http_bytes": "HTTP bytes in each direction",
    "http_headers": "headers of one HTTP request",
    "http_header_bytes": "header bytes of one HTTP request or response",
}

_LIMIT_NAME = re.compile(rf"\b({'|'.join(LIMIT_RANGES)})\b")
_REACHED = re.compile(r"\(limit ([a-z_]{1,40})\)")


class SizeType(click.ParamType[int]):
    """A number of bytes: `1048576`, `512MiB`, `64k`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        size = parse_size(str(value))
        if size is None:
            self.fail(f"{value!r} is no size: write bytes or a unit, such as 512MiB, 64k or 1.5GB", param, ctx)
        return size


class PairType(click.ParamType["tuple[str, str]"]):
    """`NAME=VALUE`; without `=` the value is the name itself if `value_optional`."""

    name = "pair"

    def __init__(self, *, value_optional: bool = False) -> None:
        self._value_optional = value_optional

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        if not equals and self._value_optional:
            text = name
        elif not equals:
            self.fail(
                f"{value!r} has no '=': write {param.metavar if param and param.metavar else 'NAME=VALUE'}", param, ctx
            )
        if not name.isidentifier():
            self.fail(f"{name!r} is no name a statement could use (LocalVariable.{name or 'NAME'})", param, ctx)
        return name, text


def json_value(text: str, option: str) -> Any:
    """The value of an option written as JSON.

    Raises:
        click.BadParameter: it is no JSON.
    """
    try:
        return decode(text.encode("utf-8", "surrogateescape"))
    except ValueError as error:
        hint = f"; a text needs quotes: '\"{text}\"'" if re.fullmatch(r"[\w .:/+-]+", text) else ""
        raise click.BadParameter(f"{text!r} is not JSON ({error}){hint}", param_hint=option) from None


def unique(pairs: tuple[tuple[str, str], ...], option: str) -> dict[str, str]:
    """The pairs as a dict.

    Raises:
        click.BadParameter: a name is there twice.
    """
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            raise click.BadParameter(f"{name} is given twice", param_hint=option)
        values[name] = value
    return values


def limit_options(function: _Decorated) -> _Decorated:
    """Add one option per field of `Limits`, in their order."""
    for field in reversed(fields(Limits)):
        names = ["--" + field.name.replace("_", "-")]
        if field.name == "memory_bytes":
            names.append("--memory")
        default = field.default
        assert isinstance(default, (int, float))
        if field.name.endswith("_bytes"):
            kind: Any = SizeType()
            shown = f"{default // 1024**2}MiB" if default >= 1024**2 else f"{default // 1024}KiB"
        else:
            kind = float if field.name.endswith("_seconds") else int
            shown = f"{default:g}"
        metavar = {"_bytes": "SIZE", "econds": "SECONDS"}.get(field.name[-6:], "COUNT")
        option = click.option(
            *names, field.name, type=kind, metavar=metavar, help=f"Limit: {_HELP[field.name]} [default: {shown}]"
        )
        function = option(function)
    return function


def limit_option(name: str) -> str:
    """The option of a field of `Limits`, in its shortest form."""
    return "--memory" if name == "memory_bytes" else "--" + name.replace("_", "-")


def by_options(text: str) -> str:
    """A message about limits with their options in the place of their names."""
    return _LIMIT_NAME.sub(lambda match: limit_option(match[0]), text)


def reached_limits(text: str) -> list[str]:
    """The limits that a text says were reached, as messages of the host do: "(limit http_requests)"."""
    return [name for name in dict.fromkeys(_REACHED.findall(text)) if name in LIMIT_RANGES]


def limits_from(values: dict[str, Any]) -> Limits:
    """The limits given on the command line over the defaults.

    Raises:
        click.UsageError: a value is out of range.
    """
    given = {field.name: values[field.name] for field in fields(Limits) if values[field.name] is not None}
    try:
        return Limits(**given)
    except ConfigError as error:
        raise click.UsageError(by_options(error.message)) from None
