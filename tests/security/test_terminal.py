"""What a statement returns is shown on a terminal, and drives none: the same bytes are data in a pipe or a file."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

HOSTILE = "\x1b[31m \x07 \x7f \x9b31m \x85 \u202e\u2066 \u2028 \u2029 \u200f \u061c"
"""A colour, a bell, DEL, C1 controls, a text that runs backwards, and lines that are no lines."""
STATEMENT = f"return [{{'text': {HOSTILE!r}}}]\n"


def on_terminal(command: list[str], folder: Path) -> bytes:
    """What a command shows on a terminal of its own."""
    master, slave = os.openpty()
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.DEVNULL)
    os.close(slave)
    shown, until = b"", time.monotonic() + 60
    while time.monotonic() < until and select.select([master], [], [], 30)[0]:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    assert process.wait(30) == 0
    return shown


SHOWN = [("run", form) for form in ("json", "jsonl", "csv", "table")]
SHOWN += [("step run", form) for form in ("json", "jsonl", "csv")]


@pytest.mark.parametrize(("command", "form"), SHOWN)
def test_what_a_statement_returns_drives_no_terminal(tmp_path: Path, command: str, form: str) -> None:
    (tmp_path / "statement.py").write_text(STATEMENT)
    (tmp_path / "step.yaml").write_text(
        "statement_file: statement.py\noutput_schema: [{name: text, type: text}]\nprocessing: bulk\n"
    )
    file = "statement.py" if command == "run" else "step.yaml"
    line = [sys.executable, "-m", "wasmexec", *command.split(), file, "--format", form]
    shown = on_terminal(line, tmp_path).decode()
    for control in HOSTILE.replace("[31m", "").replace("31m", "").replace(" ", ""):
        if control == "\x1b" and form == "table":
            # The table's own colours.
            assert "\x1b[31m" not in shown
            continue
        assert control not in shown, repr(control)
    assert "\\u202e" in shown
    piped = subprocess.run(line, cwd=tmp_path, capture_output=True, check=True, timeout=60).stdout.decode()
    assert ("\u202e" in piped) is (form != "table")
