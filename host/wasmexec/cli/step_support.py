"""What the step commands share: options, the store, and how a step is named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ..step import Step
    from ..store import RunStore

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

STORE_HELP = """\
The run store is --store, else $WASMEXEC_STORE, else a SQLite file in your data folder.
"""
EXIT_CODES = """\
Exit codes:

\b
  0  the rows were accepted (status 200, 201 no rows, 202 something logged an error or rows were skipped)
  1  the statement raised (300)
  2  nothing ran: the step file, an option, input file, secret or image is wrong (400)
  3  out of time (302), cancelled or overtaken by another run (303), runtime failed (304), run store out of reach,
     or the output could not be written (the rows are on record)
  4  output refused (306)
  5  input refused (307)
"""


def store_option(function: _Decorated) -> _Decorated:
    """`--store`."""
    return click.option("--store", "store_url", metavar="URL|FILE", help="Run store: a SQLite file or postgresql://…")(
        function
    )


def folder_option(function: _Decorated) -> _Decorated:
    """`--allow-folder`."""
    return click.option(
        "--allow-folder", "allow_folders", metavar="DIR", multiple=True,
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Files that the step names may lie below DIR, too, not only below its own folder (repeatable).",
    )(function)  # fmt: skip


def open_store(url: str | None, *, create: bool = True) -> RunStore:
    """The run store.

    Raises:
        WasmexecError: it cannot be opened.
    """
    from ..store import RunStore

    return RunStore.open(url, create=create)


def step_name(named: str) -> str:
    """The name of a step given by its file or by the name itself.

    Raises:
        StepFileError: the file is wrong.
    """
    path = Path(named)
    if path.suffix in (".yaml", ".yml", ".json") or os.sep in named or path.is_file():
        from ..step.file.reading import read_name

        return read_name(path)
    return named


def schema_notes(step: Step) -> Iterator[str]:
    """What the author of a step should know of its schemas: which of them is checked by a slower engine."""
    schemas = [(f"input {item.name}", item.schema) for item in step.definition.inputs or ()]
    for name, schema in [("output_schema", step.definition.output), *schemas]:
        if schema is not None and schema.prepared.note:
            yield f"{name}: {schema.prepared.note}"


def moment(time: datetime | None) -> str | None:
    """A time of the store in the user's zone."""
    return None if time is None else time.astimezone().isoformat(" ", "seconds")[:19]


def short_json(value: object, most: int = 60) -> str:
    """A value as JSON on one line, cut if it is long."""
    from ..rows.json_text import encode

    text = encode(value).decode("utf-8", "replace")
    return text if len(text) <= most else text[: most - 3] + "..."
