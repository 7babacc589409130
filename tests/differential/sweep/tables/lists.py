"""The lists of expressions beside this file: a line each, in sections, `{}` and `{n}` for what a table puts there."""

from functools import cache
from pathlib import Path

NOTHING = "(nothing)"
"""The line of an empty text: a call without arguments, a code without flags."""


@cache
def sections(file: str) -> dict[str, tuple[str, ...]]:
    """Every section of a list."""
    text = Path(__file__).with_name(f"{file}.txt").read_text("utf-8")
    parts = (part.splitlines() for part in text.split("# === ")[1:])
    return {name: tuple("" if line == NOTHING else line for line in lines if line) for name, *lines in parts}


def section(file: str, name: str) -> tuple[str, ...]:
    """The lines of one section of a list."""
    return sections(file)[name]
