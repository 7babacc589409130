"""`wasmexec check`: what is wrong with a statement, without running it."""

from __future__ import annotations

import sys

import click

from ..result import Problem
from . import exit_codes, outputs, report, statements
from .streams import emit
from .terminal import one_line, say


@click.command(
    "check",
    short_help="Find what is wrong with a statement, without running it.",
    epilog="""\
Exit codes:

\b
  0  nothing found
  2  problems found, or the statement or the image cannot be read

Example:

\b
  wasmexec check sales.py
""",
)
@click.argument("statement", metavar="FILE|-")
@click.option(
    "--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True, help="Problems as."
)
@click.option("--image", metavar="NAME|FILE", help="Guest image [default: full, else core].")
def command(statement: str, form: str, image: str | None) -> int:
    """Find syntax errors, type hints and refused imports in the statement in FILE (- for standard input).

    A statement is the body of an async function: names that cannot work in one and coroutines that nobody awaits are
    found too.

    Prints a line `file:line:column: message` for each problem; nothing is executed.
    """
    from ..executor import Executor

    file_name, text = statements.read_statement(statement)
    with Executor(image, workers=1) as executor:
        problems = executor.check(text)
    if form == "json":
        emit(outputs.to_json([{"file": file_name, **item.as_dict()} for item in problems], indent=True) + "\n")
    else:
        for problem in problems:
            _show(problem, file_name, text)
        say(f"{len(problems)} problem{'' if len(problems) == 1 else 's'} in {one_line(file_name)}")
    return exit_codes.USAGE if problems else 0


def _show(problem: Problem, file_name: str, text: str) -> None:
    emit(f"{one_line(file_name)}:{problem.line}:{problem.column}: {one_line(problem.message)}\n")
    sys.stdout.flush()
    end = problem.end_column if problem.end_line in (None, problem.line) else None
    shown = report.source_line(file_name, text, problem.line, problem.column, end)
    say("\n".join(shown.split("\n")[1:]))
