"""Types and functions that are written in C, in the real guest: an error of Python's, never a trap."""

from __future__ import annotations

from functools import cache

from tests.fuzz.draw import Draw
from tests.fuzz.targets.guest import check_result
from tests.fuzz.targets.statements import real_executor

from wasmexec import Limits, Status
from wasmexec.errors import MemoryLimitError

_MIB = 1024**2
_LEAST_MIB = 72
"""What the image itself takes."""
_SECONDS = 2.0
_WALK = """
paths = []
def walk(kind, path):
    for index, below in enumerate(type.__subclasses__(kind)):
        if len(path) < 6:
            paths.append(path + [index])
            walk(below, path + [index])
walk(object, [])
return [{"path": path} for path in paths]
"""
_VALUES = (
    "None", "0", "1", "-1", "2**31", "2**32", "2**63 - 1", "-2**63", "2**70", "1.5", "float('nan')", "1j", "True", "''",
    "'a'", "'\\ud800'", "'x' * 5000", "b''", "b'abc'", "b'x' * 5000", "bytearray(b'abc')", "memoryview(b'abc')", "()",
    "(1,)", "[]", "[1, [2]]", "loop", "{}", "{'a': 1}", "set()", "range(5)", "slice(1, 2)", "iter([1, 2])", "object()",
    "type", "kind", "x", "lambda *a, **k: x", "Bad()", "int", "len", "{}.items()", "NotImplemented", "...", "'%s%n'",
)  # fmt: skip
_START = """
class Bad:
    def __index__(self): raise ValueError
    def __eq__(self, other): raise ValueError
    def __hash__(self): return 1
    def __len__(self): return 2**62
    def __iter__(self): return self
    def __next__(self): return self
    def __getitem__(self, key): return self
loop = []
loop.append(loop)
kind = x = object
for index in {path}:
    kind = type.__subclasses__(kind)[index]
"""
_STEP = """
try:
    x = {call}
except BaseException as error:
    x = x
"""
_PERMITTED = {
    Status.FINISHED, Status.FINISHED_NO_DATA, Status.STATEMENT_RAISED, Status.TIMED_OUT, Status.OUTPUT_REFUSED,
}  # fmt: skip


@cache
def _paths() -> list[list[int]]:
    """How each type of the image is reached from `object`."""
    result = real_executor().run(_WALK)
    assert result.status is Status.FINISHED, result.error
    return [row["path"] for row in result.rows]


def c_types(data: bytes) -> None:
    """Types and their methods with any arguments, and with little memory: the instance is as alive as before."""
    draw = Draw(data)
    statement = _START.format(path=draw.choose(_paths()))
    statement += _STEP.format(call=f"kind({_arguments(draw)})")
    for _ in range(draw.below(4)):
        of = draw.choose(["x", "kind"])
        names = f"dir({of})"
        statement += _STEP.format(
            call=f"getattr({of}, {names}[{draw.below(2**16)} % len({names})])({_arguments(draw)})"
        )
    statement += "return [{'x': type(x).__name__}]\n"
    memory = 1024 * _MIB if not draw.chance(4) else (_LEAST_MIB + draw.below(64)) * _MIB
    limits = Limits(
        wall_seconds=_SECONDS, cpu_seconds=_SECONDS, output_bytes=100_000, log_bytes=2000, log_records=20,
        memory_bytes=memory,
    )  # fmt: skip
    result = real_executor().run(statement, limits=limits)
    is_permitted = result.status in _PERMITTED or isinstance(result.error, MemoryLimitError)
    assert is_permitted, f"{result.status}: {result.error}\n{statement}"
    check_result(result, statement)


def _arguments(draw: Draw) -> str:
    return ", ".join(draw.choose(_VALUES) for _ in range(draw.below(4)))
