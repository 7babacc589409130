"""Reading the statement itself."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import InputError
from .inputs import read_text

MAX_STATEMENT_BYTES = 16 * 1024 * 1024


def read_statement(source: str) -> tuple[str, str]:
    """How messages name the statement, and its text.

    Raises:
        click.ClickException: it cannot be read or is no UTF-8 text.
    """
    name = "<stdin>" if source == "-" else source
    if source != "-" and Path(source).is_dir():
        raise click.UsageError(f"{source} is a folder, not a statement")
    try:
        return name, read_text(source, MAX_STATEMENT_BYTES)
    except OSError as error:
        raise click.UsageError(f"the statement {source} cannot be read: {error.strerror}") from None
    except InputError as error:
        raise click.UsageError(f"the statement is no text: {error.message}") from None
