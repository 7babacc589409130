"""Step files for tests, written to a folder."""

from __future__ import annotations

import textwrap
from pathlib import Path

from wasmexec.step import Step

ID = "  - {name: id, type: integer}\n"


def write_step(folder: Path, statement: str, *, columns: str = ID, name: str = "step", **keys: str) -> Path:
    """A step file; `keys` are further keys with their YAML."""
    text = f"statement: |\n{textwrap.indent(textwrap.dedent(statement).strip(), '  ')}\noutput_schema:\n{columns}"
    text += "".join(f"{key}: {value}\n" for key, value in keys.items())
    path = folder / f"{name}.step.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def make_step(folder: Path, statement: str, *, columns: str = ID, name: str = "step", **keys: str) -> Step:
    """The loaded step."""
    return Step.load(write_step(folder, statement, columns=columns, name=name, **keys))
