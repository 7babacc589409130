"""`wasmexec fuzz serve`: inputs on standard input, verdicts on standard output, a JSON object a line.

A request is `{"bytes": BASE64}`, from which an input is made, or `{"input": {"inputs": [ROWS, ...]}}`. The answer is
`{"ok": true, "finding": null, "fits": true, "coverage": [...]}`, or `{"ok": false, "error": TEXT}`: then the next
request is answered all the same.
"""

from __future__ import annotations

import base64
from typing import Any, BinaryIO

from ..rows.json_text import decode, encode
from .inputs import FuzzInput
from .target import Target

MAX_LINE_BYTES = 16 * 1024 * 1024


def serve(target: Target, source: BinaryIO, sink: BinaryIO) -> int:
    """Answer until the requests end; how many there were."""
    count = 0
    while line := source.readline(MAX_LINE_BYTES + 1):
        count += 1
        try:
            answer = _answer(target, line)
        except ValueError as error:
            answer = {"ok": False, "error": str(error)}
        sink.write(encode(answer) + b"\n")
        sink.flush()
        if len(line) > MAX_LINE_BYTES:
            break
    return count


def _answer(target: Target, line: bytes) -> dict[str, Any]:
    """Raises: ValueError: the request is none."""
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"a request has at most {MAX_LINE_BYTES:,} bytes")
    request = decode(line)
    if not isinstance(request, dict) or len(request) != 1:
        raise ValueError('expected {"bytes": BASE64} or {"input": {"inputs": [ROWS]}}')
    if isinstance(request.get("bytes"), str):
        given = target.make(base64.b64decode(request["bytes"], validate=True))
    else:
        given = FuzzInput.from_dict(request.get("input"))
    if not target.fits(given):
        return {"ok": True, "fits": False, "finding": None, "coverage": []}
    hits: list[int] = []
    if target.probed is not None:
        result = target.prepared(given, with_probes=True).run(**target.arguments(given))
        target.runs += 1
        hits = sorted({index for index, _ in target.probed.hits(result.logs)})
    finding = target.check(given)
    return {
        "ok": True, "fits": True, "finding": None if finding is None else finding.as_dict(), "coverage": hits
    }  # fmt: skip
