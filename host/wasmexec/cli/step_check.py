"""`wasmexec step check`: everything that is wrong with step files, without running them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import exit_codes, outputs
from .step_support import folder_option, schema_notes
from .streams import emit
from .terminal import note, one_line, say

if TYPE_CHECKING:
    from ..step import Mistake


@click.command(
    "check",
    short_help="Find everything that is wrong with step files, without running them.",
    epilog="""\
Exit codes:

\b
  0  nothing found
  2  mistakes found
""",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
@click.option("--no-statement", is_flag=True, help="Leave the statement unread: this needs no image.")
@click.option("--image", metavar="NAME|FILE", help="Guest image [default: the step's, else full, else core].")
@folder_option
def command(
    files: tuple[Path, ...], form: str, no_statement: bool, image: str | None, allow_folders: tuple[Path, ...]
) -> int:
    """Check step files, the test cases beside them and their statements; print `file:line:column: message` lines.

    A note on standard error says which schema is checked by the slower engine; it is no mistake.
    """
    mistakes = [mistake for file in files for mistake in _check(file, image, allow_folders, no_statement=no_statement)]
    if form == "json":
        emit(outputs.to_json([mistake.as_dict() for mistake in mistakes], indent=True) + "\n")
    else:
        for mistake in mistakes:
            emit(one_line(str(mistake)) + "\n")
        shown = f"{len(files)} files" if len(files) > 1 else one_line(str(files[0]))
        say(f"{len(mistakes)} mistake{'' if len(mistakes) == 1 else 's'} in {shown}")
    return exit_codes.USAGE if mistakes else 0


def _check(file: Path, image: str | None, folders: tuple[Path, ...], *, no_statement: bool) -> list[Mistake]:
    from ..step import Step, StepFileError
    from ..step.cases import load_cases

    try:
        step = Step.load(file, allow_folders=folders)
    except StepFileError as error:
        return list(error.mistakes)
    for text in schema_notes(step):
        note(f"{file}: {text}")
    found: list[Mistake] = []
    try:
        load_cases(file, step.definition)
    except StepFileError as error:
        found += error.mistakes
    if not no_statement:
        from ..executor import Executor

        with Executor(image or step.definition.image, workers=1) as executor:
            found += step.check(executor)
    return found
