"""Serves the frames of one instance (PROTOCOL.md). This module and all it imports are loaded last, to lie together."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from typing import Any

import _wasmexec

from . import hostcall
from .check import check
from .execution import DONE, Execution, Frame
from .statement import StatementRefused, compile_to_bytes

_execution: Execution | None = None
_not_in_image: Mapping[str, str] = {}


def prepare(not_in_image: Mapping[str, str]) -> None:
    """Make the execution that the next run frame starts. `not_in_image`: listed module -> image that lacks it."""
    global _execution, _not_in_image
    _not_in_image = not_in_image
    _execution = Execution(not_in_image)


def serve(frame: Mapping[str, Any], blob: memoryview, running: Execution) -> Frame:
    """The answer to one frame of the host."""
    kind = frame["kind"]
    if kind == "run":
        return running.start(frame, blob)
    if kind == "resume":
        return running.resume(frame, blob)
    if kind == "compile":
        return compiled(frame["statement"])
    if kind == "check":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            problems = check(frame["statement"], _not_in_image)
        return DONE, {"kind": "done", "outcome": "checked", "problems": problems}, b""
    raise ValueError(f"unknown kind of frame: {kind!r}")


def compiled(text: str) -> Frame:
    """A statement's code for the host to keep, or why there is none; nothing of the statement runs."""
    try:
        code = compile_to_bytes(text)
    except StatementRefused as refused:
        return DONE, {"kind": "done", "outcome": "failed", "error": refused.as_error()}, b""
    return DONE, {"kind": "done", "outcome": "compiled", "code": (0, len(code))}, code


def step() -> int:
    """Take a frame from the inbox, serve it, put the answer into the outbox; gives the new state."""
    assert _execution is not None
    try:
        text, blob = _wasmexec.take_inbox()
        state, head, answer_blob = serve(hostcall.from_frame(text), blob, _execution)
        _wasmexec.put_outbox(hostcall.to_frame(head), answer_blob)
    except BaseException:
        # The guest is lost, and its traceback is for the host's record: the log is the statement's.
        sys.stderr = sys.__stderr__
        raise
    return state
