"""Host calls: how they look in frames, and the synchronous kind, which blocks the whole guest."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import _wasmexec

from . import clocks
from .errors import HostCallError
from .loop import GuestLoop, NewCall, Reply

_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def _refuse(value: object) -> NoReturn:
    raise TypeError(f"{type(value).__name__} cannot go into a frame")


# The C encoder itself: each Python function around it that runs costs a page or more of the fresh instance. The last
# argument refuses what is no JSON: NaN and infinities, at which the host would give the guest up.
_encode = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
    None, _refuse, json.encoder.encode_basestring, None, ":", ",", False, False, False
)


def from_frame(text: str) -> dict[str, Any]:
    """The head of a frame of the host, which writes JSON without white space around it."""
    head: dict[str, Any] = _scan(text, 0)[0]
    return head


def to_frame(value: object) -> bytes:
    """A head as JSON in UTF-8; a lone surrogate, which UTF-8 cannot hold, becomes a question mark.

    Raises: TypeError, ValueError: something in it has no JSON form.
    """
    return "".join(_encode(value, 0)).encode("utf-8", "replace")


def _reply(answer: Mapping[str, Any], blob: bytes | memoryview) -> Reply:
    """Raises: HostCallError: the answer is an error."""
    error = answer.get("error")
    if error is not None:
        raise HostCallError(error["code"], error["message"])
    fields: dict[str, Any] = answer["ok"]
    span = fields.pop("blob", None)
    return fields, b"" if span is None else bytes(blob[span[0] : span[0] + span[1]])


def call_sync(op: str, args: Mapping[str, object], blob: bytes = b"") -> Reply:
    """One host call, waited for; nothing else of the statement runs meanwhile.

    Raises:
        HostCallError: the host refused or failed.
        OSError: the request was malformed, or the execution is ending.
    """
    head: dict[str, object] = {"op": op, **args}
    if blob:
        head["blob"] = (0, len(blob))
    frame = to_frame(head)
    clocks.begin_wait()
    try:
        text, answer_blob = _wasmexec.call(frame, blob)
    finally:
        clocks.end_wait()
    return _reply(from_frame(text), answer_blob)


def waiting_frame(loop: GuestLoop, where: list[dict[str, object]]) -> tuple[dict[str, object], bytes]:
    """Head and blob of the frame that says what the guest waits for; empties the loop's lists."""
    calls: list[dict[str, object]] = []
    blobs: list[bytes] = []
    offset = 0
    for call in loop.new_calls:
        calls.append(_call_head(call, offset))
        blobs.append(call["blob"])
        offset += len(call["blob"])
    cancels = loop.cancels
    loop.new_calls, loop.cancels = [], []
    head: dict[str, object] = {
        "kind": "waiting", "calls": calls, "cancels": cancels, "timer_seconds": loop.next_timer_seconds(),
        "where": where,
    }  # fmt: skip
    return head, b"".join(blobs)


def _call_head(call: NewCall, offset: int) -> dict[str, object]:
    head = {"id": call["number"], "op": call["op"], **call["args"]}
    if call["blob"]:
        head["blob"] = (offset, len(call["blob"]))
    return head


def complete_calls(loop: GuestLoop, completions: list[dict[str, Any]], blob: memoryview) -> None:
    """Hand the host's answers of a resume frame to those who wait for them."""
    for answer in completions:
        try:
            reply = _reply(answer, blob)
        except HostCallError as error:
            loop.fail(answer["id"], error)
        else:
            loop.complete(answer["id"], reply)
