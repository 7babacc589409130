"""What a statement returns is shown on a terminal, and drives none: the same bytes are data in a pipe or a file."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wasmexec.rows import visible
from wasmexec.step import debug_template

HOSTILE = "\x1b[31m \x07 \x7f \x9b31m \x85 \u202e\u2066 \u2028 \u2029 \u200f \u061c"
"""A colour, a bell, DEL, C1 controls, a text that runs backwards, and lines that are no lines."""
STATEMENT = f"return [{{'text': {HOSTILE!r}}}]\n"


def on_terminal(command: list[str], folder: Path, *, code: int = 0, errors: bool = False) -> bytes:
    """What a command shows on a terminal of its own: its standard output, or also its standard error."""
    master, slave = os.openpty()
    environment = {**os.environ, "WASMEXEC_STORE": str(folder / "runs.db")}
    process = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave if errors else subprocess.DEVNULL,
        env=environment,
    )  # fmt: skip
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
    assert process.wait(30) == code, shown
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


CONTROLS = [letter for letter in HOSTILE.replace("[31m", "").replace("31m", "") if letter not in " \x1b"]
KEY = HOSTILE.replace("\u2028", "").replace("\u2029", "")


def check(shown: bytes) -> None:
    """Nothing of what drives a terminal, but colours of ours, and a sign that the text was there."""
    text = shown.decode()
    assert [repr(control) for control in CONTROLS if control in text] == []
    assert "\x1b[31m \x07" not in text
    assert "\x1b[31m \\" not in text
    # A table cuts what has no room.
    assert "u202e" in text or "\\x85" in text


def line(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "wasmexec", *arguments]


STEP = """\
name: plain
statement_file: statement.py
output_schema: {type: object, properties: {text: {type: string}}}
processing: bulk
checkpoint_column: text
"""
LOUD = f"""
log.info({HOSTILE!r})
print({HOSTILE!r})
return [{{{HOSTILE!r}: 1, 'text': {HOSTILE!r}}}]
"""
RAISING = f"raise ValueError({HOSTILE!r})\n"
CASES = """\
cases:
  - name: "case \\e[31m \\x07 \\u202e"
    expect: {rows: [{text: "\\e[31m \\x07 \\u202e"}]}
"""


def write_step(folder: Path, statement: str = LOUD) -> None:
    (folder / "statement.py").write_text(statement)
    (folder / "a.step.yaml").write_text(STEP)
    (folder / "a.tests.yaml").write_text(CASES)


def test_no_command_of_steps_drives_a_terminal(tmp_path: Path) -> None:
    """Rows, keys, log lines, names of steps and cases, checkpoints; on standard output and error."""
    write_step(tmp_path)
    check(on_terminal(line("step", "run", "a.step.yaml", "--record"), tmp_path, errors=True))
    for arguments in (
        ("step", "show", "1"), ("step", "show", "1", "--rows"), ("step", "show", "1", "--log"),
        ("step", "show", "1", "--definition"), ("step", "show", "1", "--format", "json"), ("step", "history"),
        ("step", "history", "--format", "jsonl"), ("step", "checkpoint", "get", "a.step.yaml"),
        ("step", "checkpoint", "get", "a.step.yaml", "--history"), ("step", "run", "a.step.yaml", "--format", "table"),
        ("step", "run", "a.step.yaml", "--result"),
    ):  # fmt: skip
        check(on_terminal(line(*arguments), tmp_path, errors=True))
    check(on_terminal(line("step", "test", "a.step.yaml"), tmp_path, code=1, errors=True))
    check(on_terminal(line("step", "debug", "a.step.yaml"), tmp_path, errors=True))
    (tmp_path / "statement.py").write_text(LOUD.replace(": 1", ": 2"))
    check(on_terminal(line("step", "replay", "1"), tmp_path, code=1, errors=True))
    check(on_terminal(line("step", "replay", "1", "--format", "json"), tmp_path, code=1, errors=True))
    piped = subprocess.run(
        line("step", "show", "1", "--rows"), cwd=tmp_path, capture_output=True, check=True, timeout=60,
        env={**os.environ, "WASMEXEC_STORE": str(tmp_path / "runs.db")},
    )  # fmt: skip
    assert "\u202e" in piped.stdout.decode()


def test_no_failure_drives_a_terminal(tmp_path: Path) -> None:
    """Errors, tracebacks, names of files, options, and what is quoted of a file that is wrong."""
    write_step(tmp_path, RAISING)
    check(on_terminal(line("run", "statement.py"), tmp_path, code=1, errors=True))
    check(on_terminal(line("step", "run", "a.step.yaml"), tmp_path, code=1, errors=True))
    check(on_terminal(line("step", "show", "1"), tmp_path, errors=True))
    named = tmp_path / f"n {KEY}.py"
    named.write_text("return [")
    check(on_terminal(line("run", named.name), tmp_path, code=2, errors=True))
    check(on_terminal(line("check", named.name), tmp_path, code=2, errors=True))
    check(on_terminal(line("run", "missing" + named.name), tmp_path, code=2, errors=True))
    check(on_terminal(line("run", "statement.py", f"--{KEY}"), tmp_path, code=2, errors=True))
    check(on_terminal(line("run", "statement.py", "--format", KEY), tmp_path, code=2, errors=True))
    forged = '"key \\e[31m \\x07 \\u202e\\nb.step.yaml:1:1: forged": 1\n'
    (tmp_path / "b.step.yaml").write_text(STEP + forged + f'"{KEY}": [\n')
    shown = on_terminal(line("step", "check", "b.step.yaml"), tmp_path, code=2, errors=True)
    assert [repr(control) for control in CONTROLS if control in shown.decode()] == []
    (tmp_path / "c.step.yaml").write_text(STEP + forged)
    shown = on_terminal(line("step", "check", "c.step.yaml"), tmp_path, code=2, errors=True)
    check(shown)
    assert b"\nb.step.yaml:1:1" not in shown


def test_the_pytest_plugin_drives_no_terminal(tmp_path: Path) -> None:
    write_step(tmp_path)
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--color=no", "--wasmexec", "."]
    check(on_terminal(command, tmp_path, code=1, errors=True))


def test_a_debug_file_escapes_what_the_commands_escape() -> None:
    assert debug_template.CONTROLS.pattern == visible.CONTROLS.pattern
