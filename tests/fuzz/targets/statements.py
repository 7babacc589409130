"""Statements in the real guest: whatever they return or raise, the guest survives it."""

from __future__ import annotations

import ast
import atexit
import textwrap
from functools import cache

from tests.fuzz.draw import Draw
from tests.fuzz.targets.guest import check_result

from wasmexec import Executor, Limits, Status

_LIMITS = Limits(wall_seconds=20, cpu_seconds=10, output_bytes=100_000, log_bytes=2000, log_records=20)
_VALUES = (
    "1", "None", "True", "1.5", "''", "'x'", "[]", "{}", "()", "b'x'", "float('nan')", "float('inf')", "2**70", "-0.0",
    "'\\ud800'", "'\\0'", "{1}", "{'a': 1}", "{1: 2}", "{None: 1}", "range(3)", "object()", "lambda: 1", "1j", "...",
    "type", "Bad()", "Iter()", "Str('x')", "Int(3)", "Dict(a=1)", "List([1])", "__import__('datetime').datetime.now()",
    "__import__('decimal').Decimal('NaN')", "__import__('uuid').UUID(int=1)", "Exception('x')", "NotImplemented",
)  # fmt: skip
_LINES = (
    "x = {v}", "log({v})", "print({v})", "x = [{v}, {v}]", "x = {{'a': {v}}}", "x = [x]", "raise ValueError({v})",
    "raise {v}", "try:\n    x = {v} + {v}\nexcept Exception as error:\n    x = error", "del x", "x = x[0]",
    "return x", "return [x]", "return [{{'a': x}}]", "return {v}", "return [{v}]", "return [{{'a': {v}}}]",
    "return [{{{v}: 1}}]", "await {v}", "await sleep(0)", "x = await gather(sleep(0), sleep(0))", "import {v}",
    "x = (yield)", "x = INPUT_DATA", "assert {v}, {v}", "x.append(x)", "x = x, x", "class K: a = {v}", "(", "x = '",
)  # fmt: skip
_CLASSES = """class Bad:
    def __getattr__(self, name): raise {error}
    def __repr__(self): raise {error}
    def __eq__(self, other): raise {error}
    def __iter__(self): raise {error}
class Iter:
    def __iter__(self): return iter([1, 2])
class Str(str):
    def __str__(self): raise {error}
class Int(int):
    def __index__(self): raise {error}
class Dict(dict):
    def items(self): raise {error}
class List(list):
    def __iter__(self): raise {error}
x = []
"""
_ERRORS = ("ValueError('x')", "RecursionError", "MemoryError", "KeyboardInterrupt", "SystemExit", "StopIteration")
_PERMITTED = {
    Status.FINISHED, Status.FINISHED_NO_DATA, Status.FINISHED_WITH_ERRORS, Status.STATEMENT_RAISED,
    Status.OUTPUT_REFUSED, Status.CONFIG_REFUSED,
}  # fmt: skip


@cache
def real_executor() -> Executor:
    """One for the process, with the smallest image that is built."""
    made = Executor("core", workers=1)
    atexit.register(made.close)
    return made


def statements(data: bytes) -> None:
    """A statement ends with 200, 300, 306 or 400, and with 400 if the native interpreter cannot parse it."""
    draw = Draw(data)
    lines = [_CLASSES.format(error=draw.choose(_ERRORS))]
    lines += [draw.choose(_LINES).format(v=draw.choose(_VALUES)) for _ in range(1 + draw.below(6))]
    statement = "\n".join(lines)
    result = real_executor().run(statement, limits=_LIMITS)
    assert result.status in _PERMITTED, f"{result.status}: {result.error}\n{statement}"
    check_result(result, statement)
    try:
        ast.parse("async def f():\n" + textwrap.indent(statement, "    "))
    except SyntaxError:
        assert result.status is Status.CONFIG_REFUSED, f"{result.status} for what cannot be parsed\n{statement}"
