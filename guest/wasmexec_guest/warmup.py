"""Runs whole executions before the snapshot, so that the first real one meets warm caches and specialised bytecode.

The frames are those of the host, the code is the real one; only the log goes nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import hostcall, logs
from .execution import DONE, WAITING, Execution, Frame

ROUNDS = 40
"""How often each statement runs: CPython 3.11 specialises a code object after 8 calls, and then needs a few more."""

Serve = Callable[[Mapping[str, Any], memoryview, Execution], Frame]
Answer = Callable[[Mapping[str, Any], bytes], tuple[dict[str, Any], bytes]]
"""Fields and body of the reply to a host call with its body."""

_INPUT = b'[{"id": 1, "name": "Ada", "price": 1.5, "tags": ["a", "b"], "at": null, "ok": true}]'

_STATEMENTS = (
    """
users = [{"name": "Alice"}, {"name": "Bob"}]
return users
""",
    """
import json
import datetime
from math import sqrt
rows = []
for row in INPUT_DATA:
    rows.append({"id": row["id"], "root": sqrt(row["id"]), "at": datetime.datetime(2024, 1, 2)})
log.info(json.dumps(INPUT_DATA))
log.warn(f"{LocalVariable.Limit} {DATA_CHECKPOINT}")
print("rows", len(rows), end=" ")
print("done")
return rows
""",
    """
async def later(value):
    await sleep(0.0002)
    return {"value": value}

await sleep(0)
return [await later(number) for number in range(2)]
""",
    """
import warnings
call = warnings.sys.modules["wasmexec_guest.loop"].host_call
fields, body = await call("warmup", {"n": 1}, b"abc")
return [{"n": fields["n"], "size": len(body)}]
""",
    """
def half(value):
    return value / 0

try:
    half(1)
except ZeroDivisionError as error:
    raise ValueError(f"no half of {INPUT_DATA}") from error
""",
    "import os\nreturn []",
    "value: int = 1\nreturn []",
    "return [",
    "yield 1",
    "return {'a': 1}",
    "return [{'a': {1, 2}}]",
    "rows = []",
    "return [{'a': undefined_name}]",
)


def _run_frame(statement: str) -> dict[str, Any]:
    return {
        "kind": "run", "statement": statement, "inputs": [[0, len(_INPUT)]], "checkpoint": None,
        "locals": {"Limit": 10, "Empty": None}, "max_output_bytes": 1 << 20,
    }  # fmt: skip


def _echo(call: Mapping[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    return {"n": 1}, body


class Runner:
    """Runs the statements in executions from `make`, through `serve`; the log goes nowhere meanwhile."""

    def __init__(
        self,
        make: Callable[[], Execution],
        serve: Serve,
        statements: Sequence[str] = _STATEMENTS,
        answer: Answer = _echo,
    ) -> None:
        self._make = make
        self._serve = serve
        self._statements = statements
        self._answer = answer

    def run_once(self) -> list[Mapping[str, Any]]:
        """Run every statement once, from its code if it has any; the heads of their done frames."""
        return [self._run(statement, from_code=True) for statement in self._statements]

    def run_often(self) -> None:
        """Run every statement until its code is specialised; afterwards the log is empty."""
        for number in range(ROUNDS):
            for statement in self._statements:
                self._run(statement, from_code=number % 2 == 0)
        for statement in self._statements:
            execution = self._make()
            self._serve({"kind": "check", "statement": statement}, memoryview(b""), execution)
            execution.close()
        logs.reset()

    def _run(self, statement: str, *, from_code: bool) -> Mapping[str, Any]:
        """The head of the done frame of one execution; its host calls are answered at once."""
        logs.reset(lambda level, message: True)
        execution = self._make()
        frame, data = _run_frame(statement), _INPUT
        if from_code:
            _, fields, code = self._serve({"kind": "compile", "statement": statement}, memoryview(b""), execution)
            if "code" in fields:
                text = frame.pop("statement").encode()
                frame["code"], frame["text"] = [len(_INPUT), len(code)], [len(_INPUT) + len(code), len(text)]
                data = _INPUT + bytes(code) + text
        head = hostcall.from_frame(hostcall.to_frame(frame).decode())
        state, fields, blob = self._serve(head, memoryview(data), execution)
        while state == WAITING:
            hostcall.to_frame(fields)
            resume, replies = self._replies(fields, bytes(blob))
            state, fields, blob = self._serve(resume, memoryview(replies), execution)
        assert state == DONE
        hostcall.to_frame(fields)
        execution.close()
        return fields

    def _replies(self, waiting: Mapping[str, Any], blob: bytes) -> tuple[dict[str, Any], bytes]:
        """A resume frame that answers the calls of a waiting one."""
        completions = []
        replies = b""
        for call in waiting["calls"]:
            start, length = call.get("blob", (0, 0))
            fields, body = self._answer(call, blob[start : start + length])
            if body:
                fields["blob"] = [len(replies), len(body)]
                replies += body
            completions.append({"id": call["id"], "ok": fields})
        return {"kind": "resume", "completions": completions}, replies
