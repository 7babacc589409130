"""Pairs that need no second machine: the same statement twice, and replayed; a column list and its JSON Schema."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.differential.fuzz.draw import Draw

import wasmexec
from wasmexec import Deterministic

_LINES = (
    "rows.append({'v': random.random()})",
    "rows.append({'v': random.choice(range({p}, 99))})",
    "rows.append({'v': time.time()})",
    "rows.append({'v': datetime.datetime.now().isoformat()})",
    "rows.append({'v': repr({'a', 'b', 'c', str({p})})})",
    "rows.append({'v': hash('{p}')})",
    "rows.append({'v': np.random.random()})",
    "rows.append({'v': int(np.random.default_rng().integers(0, 1000))})",
    "rows.append({'v': pd.Series(range(9)).sample({p}).tolist()})",
    "rows.append({'v': pd.Timestamp.now().isoformat()})",
    "log.info(random.random())",
    "log.warn({p})",
    "print(time.monotonic())",
    "await sleep(0.00{p})",
    "rows.append({'v': await gather(other(1), other({p}))})",
    "rows.append({'v': [id(None) > 0, len(rows)]})",
    "rows.append({'v': pd.DataFrame({'a': [1, {p}]}).to_dict('records')})",
    "rows.append({'v': int('x' * {p}) if len(rows) > {p} else 1})",
)
_HEAD = """import datetime, random, time
import numpy as np
import pandas as pd
rows = []
async def other(n):
    await sleep(n / 1000)
    return random.randrange(1000)
"""
_TYPES: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "integer": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "double": {"type": "number"},
    "boolean": {"type": "boolean"},
}
"""The column types whose meaning a JSON Schema can say exactly."""
_VALUES = (
    "1",
    "-7",
    "2**53 + 1",
    "2**63",
    "1.5",
    "True",
    "False",
    "None",
    "'a'",
    "''",
    "'1'",
    "[1]",
    "{'a': 1}",
    "1e308",
)


def run(executor: wasmexec.Executor, first: int, count: int) -> list[str]:
    """What is wrong, as texts with the statement that shows it, in so many pairs of each kind."""
    found = []
    for seed in range(first, first + count):
        for check in (twice, replayed, columns):
            statement, problem = check(executor, Draw(seed))
            if problem is not None:
                found.append(f"{check.__name__} (house pair {seed}): {problem}\n{statement}")
    return found


def statement(draw: Draw) -> str:
    """A statement that uses time, chance, order and waiting."""
    number: dict[str, Callable[[Draw], str]] = {"p": lambda draw: str(draw.integer(1, 5))}
    lines = [draw.fill(draw.pick(_LINES), number) for _ in range(draw.integer(2, 7))]
    return _HEAD + "\n".join(lines) + "\nreturn rows\n"


def twice(executor: wasmexec.Executor, draw: Draw) -> tuple[str, str | None]:
    """A statement with the same seed and clock gives the same twice."""
    text, how = statement(draw), Deterministic(seed=str(draw.integer(0, 99)))
    one, other = (_facts(executor.run(text, determinism=how)) for _ in range(2))
    return text, _unlike(one, other)


def replayed(executor: wasmexec.Executor, draw: Draw) -> tuple[str, str | None]:
    """A recording replayed gives what was recorded."""
    text, recorder = statement(draw), wasmexec.MemoryRecorder()
    one = executor.run(text, recorder=recorder)
    other = executor.run(text, replay=recorder.recording())
    return text, _unlike(_facts(one), _facts(other))


def columns(executor: wasmexec.Executor, draw: Draw) -> tuple[str, str | None]:
    """A column list takes and refuses the rows that its JSON Schema takes and refuses."""
    names = [(name, draw.pick(tuple(_TYPES)), draw.maybe(0.5)) for name in "abc"[: draw.integer(1, 3)]]
    listed = [{"name": name, "type": kind, "allow_null": null} for name, kind, null in names]
    properties = {
        name: {"anyOf": [_TYPES[kind], {"type": "null"}]} if null else _TYPES[kind] for name, kind, null in names
    }
    schema = {
        "type": "object", "properties": properties, "required": [name for name, _, null in names if not null],
        "additionalProperties": False,
    }  # fmt: skip
    row = ", ".join(f"'{name}': {draw.pick(_VALUES)}" for name, _, _ in names if draw.maybe(0.9))
    text = (
        f"return [{{{row}{draw.pick(('', '', chr(44) + chr(32) + chr(39) + 'q' + chr(39) + ': 1')) if row else ''}}}]"
    )
    one, other = executor.run(text, output_schema=listed), executor.run(text, output_schema=schema)
    if int(one.status) != int(other.status):
        return text, f"columns {listed}: {int(one.status)} {one.error}; JSON Schema: {int(other.status)} {other.error}"
    return text, None


def _facts(result: wasmexec.Result) -> Iterator[str]:
    yield f"status {int(result.status)}"
    yield f"rows {json.dumps(result.rows)}"
    yield f"error {result.error}"
    yield from (f"log {record.level} {record.message}" for record in result.logs)


def _unlike(one: Iterator[str], other: Iterator[str]) -> str | None:
    first, second = list(one), list(other)
    if first == second:
        return None
    return next((f"{a} | {b}" for a, b in zip(first, second, strict=False) if a != b), "the logs have other lengths")
