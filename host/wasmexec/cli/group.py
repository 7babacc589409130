"""The command group: failures become messages and exit codes."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

import click

from ..errors import ConfigError, ImageError, WasmexecError
from ..status import Status
from . import exit_codes
from .lazy_group import LazyGroup
from .terminal import fail


def _print_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    from importlib.metadata import version

    python = ".".join(map(str, sys.version_info[:3]))
    click.echo(f"wasmexec {version('wasmexec')} (wasmtime {version('wasmtime')}, Python {python})")
    context.exit()


@click.group(
    cls=LazyGroup,
    names=("run", "check", "step", "image"),
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
""",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show it.")
def group() -> None:
    """Run other people's Python, each statement in a fresh WebAssembly CPython 3.11 with numpy and pandas.

    A statement is the body of an async function: it reads INPUT_DATA and returns a list of objects.
    """


def invoke(arguments: Sequence[str] | None) -> int:
    """Run the group; every way it can end is an exit code."""
    _prepare_streams()
    try:
        code = _invoke(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python would complain again when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _prepare_streams() -> None:
    # Python has None for a stream that the caller closed; click and print would stumble over it.
    sys.stdin = sys.stdin or io.TextIOWrapper(io.BytesIO())
    sys.stdout = sys.stdout or io.TextIOWrapper(io.BytesIO())
    sys.stderr = sys.stderr or io.TextIOWrapper(io.BytesIO())
    # Rows are UTF-8 whatever the locale says; the escape of a lone surrogate is the one that JSON has for it.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def _invoke(arguments: Sequence[str] | None) -> int:
    try:
        outcome = group.main(args=None if arguments is None else list(arguments), standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return exit_codes.USAGE
    except (click.Abort, KeyboardInterrupt):
        fail("cancelled")
        return exit_codes.CANCELLED
    except (ConfigError, ImageError) as error:
        fail(error.message)
        return exit_codes.USAGE
    except WasmexecError as error:
        fail(error.message)
        return exit_codes.exit_code(Status.RUNTIME_FAILED)
    return outcome if isinstance(outcome, int) else 0
