"""The command group: failures become messages and exit codes."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

import click

from ..errors import ConfigError, DeliveryError, ImageError, InputError, WasmexecError
from ..status import Status
from . import exit_codes, streams
from .lazy_group import LazyGroup
from .terminal import fail, say


def _print_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    from importlib.metadata import version

    python = ".".join(map(str, sys.version_info[:3]))
    click.echo(f"wasmexec {version('wasmexec')} (wasmtime {version('wasmtime')}, Python {python})")
    context.exit()


@click.group(
    cls=LazyGroup,
    names=("run", "check", "step", "fuzz", "image", "serve"),
    module="{}_command",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="""\
Examples:

\b
  wasmexec image build                          build the guest image (once, about 15 minutes)
  echo 'return [{"answer": 6 * 7}]' | wasmexec run -
  wasmexec run sales.py --input sales.csv --output-schema sales.schema.json --format table
  wasmexec check sales.py
  wasmexec step run orders.step.yaml --input orders.csv
  wasmexec fuzz orders.step.yaml                find the row that breaks it
""",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show it.")
def group() -> None:
    """Run other people's Python, each statement in a fresh WebAssembly CPython 3.11 with numpy and pandas.

    A statement is the body of an async function: it reads INPUT_DATA and returns a list of objects.
    """


def invoke(arguments: Sequence[str] | None) -> int:
    """Run the group; every way it can end is an exit code."""
    streams.prepare()
    code = _invoke(arguments)
    try:
        streams.finish()
    except KeyboardInterrupt:
        return _cancelled()
    except DeliveryError as error:
        fail(error.message)
        return code or exit_codes.NOT_DELIVERED
    return code


def _invoke(arguments: Sequence[str] | None) -> int:
    try:
        outcome = group.main(args=None if arguments is None else list(arguments), standalone_mode=False)
    except click.ClickException as error:
        # What is wrong with the command line has it in it, names of files, too.
        text = io.StringIO()
        error.show(text)
        say(text.getvalue().rstrip("\n"))
        return exit_codes.USAGE
    except (click.Abort, KeyboardInterrupt):
        return _cancelled()
    except (ConfigError, ImageError) as error:
        fail(error.message)
        return exit_codes.USAGE
    except InputError as error:
        fail(error.message)
        return exit_codes.exit_code(Status.INPUT_REFUSED)
    except WasmexecError as error:
        fail(error.message)
        return exit_codes.exit_code(Status.RUNTIME_FAILED)
    except OSError as error:
        reason = error.strerror or str(error)
        fail(f"{error.filename}: {reason}" if error.filename else reason)
        return exit_codes.exit_code(Status.RUNTIME_FAILED)
    return outcome if isinstance(outcome, int) else 0


def _cancelled() -> int:
    streams.drop()
    fail("cancelled")
    return exit_codes.CANCELLED
