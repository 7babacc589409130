"""`wasmexec step debug`: the statement in a stand-alone Python file, under the user's own CPython."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError
from ..rows.destination import Destination
from . import parameters
from .inputs import format_options, further_input_options, read_options, sources
from .step_support import STORE_HELP, folder_option, open_store, store_option
from .terminal import fail, note, say, style

if TYPE_CHECKING:
    from ..rows.long_rows import LongRows
    from ..step.file.definition import StepDefinition


@click.command(
    "debug",
    short_help="Run the statement under your own Python, for a debugger. Not isolated!",
    epilog="""\
Exit codes:

\b
  2  the step file, an option or an input file is wrong
  3  the file could not be written
  5  input refused, as by `step run`
  else that of the Python that ran it

"""
    + STORE_HELP
    + """
Examples:

\b
  wasmexec step debug orders.step.yaml --input orders.csv --row 17
  wasmexec step debug orders.step.yaml --input orders.csv --no-run && python -m pdb orders.debug.py
""",
)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--input", "inputs", metavar="FILE|-", multiple=True, help="INPUT_DATA; again for INPUT_DATA2, ...")
@further_input_options
@format_options
@click.option("--row", type=click.IntRange(0), default=0, show_default=True, help="Row by row: which row.")
@click.option("--rows", type=click.IntRange(1), help="In bulk: only the first so many rows.")
@click.option("--checkpoint", metavar="JSON", help="DATA_CHECKPOINT instead of the stored one.")
@click.option(
    "--local", "local_variables", metavar="NAME=JSON", multiple=True, type=parameters.PairType(),
    help="A local variable instead of its initial value.",
)  # fmt: skip
@click.option("--output", metavar="FILE|-", help="Where to write it [default: beside].")
@click.option("--no-run", is_flag=True, help="Only write the file.")
@click.option("--python", default=sys.executable, metavar="FILE", help="Python to run it with [default: this one].")
@store_option
@folder_option
def command(file: Path, **values: Any) -> int:
    """Write the statement into a Python file with the same names defined, and run it under your own CPython.

    THIS RUN IS NOT ISOLATED: the statement can do what you can do. Debug only statements that you trust.
    """
    from .._finishing.long_inputs import LongInputs
    from ..step import Step
    from ..step.debugging import WARNING, debug_file, write_debug_file

    definition = Step.load(file, allow_folders=values["allow_folders"]).definition
    texts = parameters.unique(values["local_variables"], "--local")
    variables: dict[str, object] = {name: item.initial for name, item in definition.local_variables.items()}
    for name, text in texts.items():
        if name not in variables:
            raise ConfigError(f"local variable {name}: the step has no such variable")
        variables[name] = parameters.json_value(text, "--local")
    if values["checkpoint"] is not None:
        checkpoint = parameters.json_value(values["checkpoint"], "--checkpoint")
    else:
        checkpoint = _stored_checkpoint(definition.name, values["store_url"])
    try:
        with closing(LongInputs()) as long_rows:
            read = _inputs(definition, values, long_rows)
    except OSError as error:
        raise ConfigError(f"the input {error.filename} cannot be read: {error.strerror}") from None
    text = debug_file(definition, inputs=read, checkpoint=checkpoint, local_variables=variables)
    beside = file.with_name(file.name.split(".", 1)[0] + ".debug.py")
    # SECURITY: in a stranger's folder a link could lead to any file.
    if values["output"] is None and beside.is_symlink():
        raise ConfigError(f"{beside} is a link: remove it, or choose another --output")
    target = Destination(beside if values["output"] is None else values["output"])
    if not target.is_file and not values["no_run"]:
        raise click.UsageError(f"{target.name} is no file that Python could run: add --no-run")
    write_debug_file(target, text)
    note(f"written: {target.name}")
    if values["no_run"]:
        say(style(WARNING, fg="red", bold=True))
        return 0
    say(style(f"{WARNING}\n", fg="red", bold=True))
    try:
        return subprocess.run([values["python"], target.name], check=False).returncode
    except OSError as error:
        fail(f"{values['python']} cannot be started: {error.strerror}")
        return 2


def _named(given: Sequence[str], values: dict[str, Any]) -> list[str | None]:
    """The inputs of `--input`, which may be there again and again, and of `--input2` and so on."""
    further = sources({**values, "input1": None})
    if len(given) > 1 and further:
        raise click.UsageError("--input is given more than once, and --input2 or one behind it, too: use one way")
    return list(given) if not further else [given[0] if given else None, *further[1:]]


def _stored_checkpoint(name: str, url: str | None) -> object:
    from ..store import StoreOpenError

    try:
        with open_store(url, create=False) as store:
            return store.checkpoint(name).value
    except StoreOpenError:
        # Nothing has run yet.
        return None


def _inputs(definition: StepDefinition, values: dict[str, Any], long_rows: LongRows) -> list[bytes | None]:
    from ..rows.bad_row import BadRow
    from ..rows.inputs import sources_of
    from ..rows.intake import checked_rows, checked_whole

    found: list[bytes | None] = []
    names = _named(values["inputs"], values)
    if names.count("-") > 1:
        raise click.UsageError("standard input (-) can be one input only")
    paths = [None if name is None else Path(name) for name in names]
    declared = [definition.input_options(index) for index in range(len(paths))]
    for index, source in enumerate(
        sources_of(paths, read_options(values), declared, max_row_bytes=definition.limits.input_bytes)
    ):
        schema = definition.input_schema(index)
        if index > 0 or (definition.processing == "bulk" and values["rows"] is None):
            found.append(checked_whole(source, schema, definition.limits.input_bytes, long_rows=long_rows)[0])
            for remark in source.remarks:
                note(remark)
            continue
        start, stop = (
            (values["row"], values["row"] + 1) if definition.processing == "row_by_row" else (0, values["rows"])
        )
        rows = list(islice(checked_rows(source, schema, long_rows=long_rows), start, stop))
        for row in rows:
            if isinstance(row, BadRow):
                raise row.error
        if not rows and definition.processing == "row_by_row":
            raise ConfigError(f"{source.name} has no row {start}")
        found.append(b"[%b]" % b",".join(row[1:-1] for row in rows if isinstance(row, bytes)))
        for remark in source.remarks:
            note(remark)
    return found
