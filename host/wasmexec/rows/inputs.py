"""The inputs of a run: which options go to which of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import ConfigError
from .formats import DELIMITED, ReadOptions, form_of
from .named_file import NamedFile
from .source import Input, Source


def sources_of(
    values: Sequence[Input], given: ReadOptions, declared: Sequence[ReadOptions], *, max_row_bytes: int
) -> list[Source]:
    """A source per input: INPUT_DATA, INPUT_DATA2 and so on.

    `declared` are options of single inputs, `given` those of the caller for all. The format of the caller counts for
    inputs whose name or declaration does not tell, and for a single file whatever its name; encoding and delimiter
    go before those declared, to the inputs that have some.

    Raises:
        ConfigError: a file's format is unknown, or an option fits none of the inputs.
        TypeError: a value is a str.
    """
    is_single = sum(isinstance(value, (Path, NamedFile)) for value in values) == 1
    found: list[Source] = []
    for number, value in enumerate(values, 1):
        own = declared[number - 1] if number <= len(declared) else ReadOptions()
        if isinstance(value, (Path, NamedFile)):
            path = value.path if isinstance(value, NamedFile) else value
            own = _merged(given, own, path, is_single=is_single)
        name = "INPUT_DATA" if number == 1 else f"INPUT_DATA{number}"
        found.append(Source(value, own, max_row_bytes=max_row_bytes, name=name))
    if given.delimiter is not None and not any(source.form in (None, *DELIMITED) for source in found if source.is_file):
        raise ConfigError("a delimiter is for CSV, and no input is CSV")
    return found


def _merged(given: ReadOptions, own: ReadOptions, path: Path, *, is_single: bool) -> ReadOptions:
    told = own.form or form_of(path)
    form = given.form if given.form is not None and (is_single or told is None) else told
    is_text, is_delimited = form != "parquet", form in (None, *DELIMITED)
    return ReadOptions(
        form,
        (given.encoding if is_text else None) or own.encoding,
        (given.delimiter if is_delimited else None) or own.delimiter,
    )
