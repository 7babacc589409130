"""Standard error: log lines, notes and failures, coloured only on a terminal."""

from __future__ import annotations

import os
import re
import sys
import time
from typing import Any, Final

import click

from ..result import LogRecord
from ..rows.visible import CONTROLS

_ESC = "\x1b["
_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")
_LEVEL_STYLES: Final[dict[str, dict[str, Any]]] = {
    "trace": {"dim": True}, "debug": {"dim": True}, "info": {"fg": "green"}, "warn": {"fg": "yellow"},
    "error": {"fg": "red", "bold": True},
}  # fmt: skip


def clean(text: str) -> str:
    """The text with control characters, but tab and newline, as escapes such as `\\x1b`."""
    # SECURITY: what a statement logs or returns must not drive the user's terminal.
    return CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """The same with tabs and line ends as escapes, too: for what is quoted within a line."""
    return clean(text).replace("\n", "\\n").replace("\t", "\\t")


def style(text: str, **look: Any) -> str:
    """The text in a colour, if standard error is a terminal and NO_COLOR is not set."""
    if os.environ.get("NO_COLOR") or not sys.stderr.isatty():
        return text
    return click.style(text, **look)


def say(text: str) -> None:
    """One line, or more, on standard error; a closed standard error is nobody's problem."""
    try:
        # SECURITY: whatever slipped in; only colours stay, which are ours.
        sys.stderr.write("".join(part if part.startswith(_ESC) else clean(part) for part in _COLOUR.split(text)) + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return


def note(text: str) -> None:
    """Something worth knowing."""
    say(style("note: ", fg="cyan") + clean(text))


def warn(text: str) -> None:
    """Something the user probably did not want."""
    say(style("warning: ", fg="yellow") + clean(text))


def fail(text: str) -> None:
    """Why nothing came out."""
    say(style("error: ", fg="red", bold=True) + clean(text))


def show_record(record: LogRecord) -> None:
    """One log record as `09:22:33.120 info   message`; further lines of the message are indented."""
    moment = time.strftime("%H:%M:%S", time.localtime(record.time))
    head = f"{moment}.{int(record.time % 1 * 1000):03d} "
    message = clean(record.message).replace("\n", "\n" + " " * (len(head) + 6))
    say(style(head, dim=True) + style(f"{record.level:<5}", **_LEVEL_STYLES.get(record.level, {})) + f" {message}")
