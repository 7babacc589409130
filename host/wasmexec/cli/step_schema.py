"""`wasmexec step schema`: the JSON Schema of step files, for editors."""

from __future__ import annotations

import click

from . import outputs
from .streams import emit


@click.command(
    "schema",
    short_help="Print the JSON Schema of step files.",
    epilog="""\
Editors with a YAML language server complete and check step files that start with

\b
  # yaml-language-server: $schema=step.schema.json
""",
)
@click.option("--cases", is_flag=True, help="The schema of test cases instead.")
def command(cases: bool) -> int:
    """Print the JSON Schema (draft 2020-12) of step files, or of their test cases."""
    from ..step.file.cases_schema import cases_schema
    from ..step.file.schema import step_schema

    emit(outputs.to_json(cases_schema() if cases else step_schema(), indent=True) + "\n")
    return 0
