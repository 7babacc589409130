"""Measurements of steps: rows a second one by one, and a hundred thousand rows in bulk with everything around them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from textwrap import indent as indented

from tests.bench import kernels
from tests.bench.context import Context
from tests.bench.measure import Line, in_turns, timed
from tests.bench.repeated import read

from wasmexec.step import Spool, Step
from wasmexec.store import RunStore

ROWS_A_SECOND = 800
LONG_RATIO = 0.8
"""Rows a second of a statement of 50 lines over those of the trivial one."""
_ONE_ROW = """\
statement: |
  import pandas
  return [{"id": INPUT_DATA[0]["id"] * 2}]
output_schema:
  - {name: id, type: integer}
"""
_OF_50_LINES = """\
statement: |
{}
output_schema:
  - {{name: id, type: integer}}
  - {{name: city, type: text}}
  - {{name: amount, type: double}}
  - {{name: day, type: datetime, allow_null: true}}
  - {{name: tags, type: text}}
"""
_COLUMNS = [
    {"name": "id", "type": "integer"}, {"name": "name", "type": "text"}, {"name": "price", "type": "double"},
    {"name": "units", "type": "integer"}, {"name": "ok", "type": "boolean"}, {"name": "day", "type": "datetime"},
    {"name": "note", "type": "text", "allow_null": True}, {"name": "total", "type": "double"},
]  # fmt: skip


def rows_one_by_one(context: Context) -> Iterator[Line]:
    """A trivial statement and one of 50 lines in turns, from JSON Lines to JSON Lines, on all processors."""
    count = 5_000 if context.quick else 20_000
    statements = {"trivial": _ONE_ROW, "long": _OF_50_LINES.format(indented(read("lines_50"), "  "))}
    rates: dict[str, list[float]] = {name: [] for name in statements}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "in.jsonl"
        source.write_bytes(b"".join(b'{"id": %d, "amount": "1"}\n' % number for number in range(count)))

        def run(step: Step) -> None:
            result = step.run(source, executor=context.executor, output=Spool(folder / "out.jsonl", "jsonl"))
            if result.rows_out != count:
                raise SystemExit(f"the bench's own step failed: {result.error}")

        for _ in range(2 if context.quick else 4):
            for kind, text in statements.items():
                step = _load(folder, {"one.step.yaml": text})
                rates[kind] += [count / seconds for seconds in timed(partial(run, step))]
    yield _one_by_one("trivial statement", rates["trivial"], ROWS_A_SECOND)
    yield _one_by_one("statement of 50 lines", rates["long"], round(LONG_RATIO * max(rates["trivial"])))


def _one_by_one(what: str, rates: list[float], target: int) -> Line:
    best = max(rates)
    return Line(
        name=f"step, row by row: {what}", unit="rows/s", guest=best, target=f">= {target}/s",
        met=best >= target, samples=len(rates),
        comment=f"best of {len(rates)}, median {median(rates):,.0f}; start of the worker processes included",
    )  # fmt: skip


def many_of_each(context: Context) -> Iterator[Line]:
    """200 rows of 8 columns for each input row: from worker processes into the run store and to JSON Lines."""
    count, each = (400 if context.quick else 1_000), 200
    statement = (
        'return [{"id": n, "name": f"name {n}", "price": n * 0.25, "units": n % 9, "ok": n % 2 == 0,\n'
        f'"day": "2026-01-05", "note": None, "total": n * 0.5}} for n in range({each})]\n'
    )
    text = {"statement": statement, "output_schema": _COLUMNS, "checkpoint_column": "id"}
    rates: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "in.jsonl"
        source.write_bytes(b"".join(b'{"id": %d}\n' % number for number in range(count)))
        step = _load(folder, {"many.step.json": json.dumps(text)})
        with RunStore.open(folder / "runs.sqlite3") as store:

            def run() -> None:
                output = Spool(folder / "out.jsonl", "jsonl")
                result = step.run(source, executor=context.executor, store=store, output=output)
                if result.rows_out != count * each:
                    raise SystemExit(f"the bench's own step failed: {result.error}")

            for _ in range(2 if context.quick else 4):
                rates += [count * each / seconds for seconds in timed(run)]
    yield Line(
        name=f"step, row by row: {each} rows out of each, stored", unit="rows/s", guest=max(rates), samples=len(rates),
        comment=f"best of {len(rates)}, median {median(rates):,.0f}; rows out; start of the worker processes included",
    )  # fmt: skip


def bulk_rows(context: Context) -> Iterator[Line]:
    """100,000 rows of 8 columns: file, statement, validation, run store and output file, against native Python."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, target = folder / "in.json", folder / "out.jsonl"
        source.write_text(json.dumps(kernels.input_rows(kernels.ROWS)))
        text = {
            "statement": kernels.TOTALS + "\nreturn work(INPUT_DATA)\n", "processing": "bulk",
            "checkpoint_column": "id", "output_schema": _COLUMNS, "limits": {"cpu_seconds": 60},
        }  # fmt: skip
        step = _load(folder, {"bulk.step.json": json.dumps(text)})
        with RunStore.open(folder / "runs.sqlite3") as store:

            def run() -> None:
                result = step.run(source, executor=context.executor, store=store, output=Spool(target, "jsonl"))
                if result.rows_out != kernels.ROWS:
                    raise SystemExit(f"the bench's own step failed: {result.error}")

            native = f"{kernels.TOTALS}\nSCHEMA = {kernels.TOTALS_SCHEMA!r}\n{_NATIVE_FILES}"
            call = f"with_files({str(source)!r}, {str(folder / 'native.sqlite3')!r}, {str(folder / 'native.jsonl')!r})"
            samples = in_turns(context.rounds(4), partial(timed, run), lambda: context.native.time(native, call))
    guest, base = median(samples.guest), median(samples.native)
    yield Line(
        name="step, bulk: 100k rows of 8 columns, stored", guest=guest * 1e3, native=base * 1e3, target="<= 2x",
        met=guest <= 2 * base, samples=len(samples.guest),
        comment="native: read the file, the work, jsonschema_rs, rows compressed into SQLite, JSON Lines written",
    )  # fmt: skip


_NATIVE_FILES = """
import jsonschema_rs

validator = jsonschema_rs.Draft202012Validator({"type": "array", "items": SCHEMA})

def with_files(source, database, target):
    import json, sqlite3, zlib
    from pathlib import Path
    rows = work(json.loads(Path(source).read_bytes()))
    validator.validate(rows)
    with sqlite3.connect(database) as connection:
        connection.execute("create table if not exists output (part integer, data blob)")
        connection.execute("delete from output")
        for start in range(0, len(rows), 5000):
            data = zlib.compress(json.dumps(rows[start : start + 5000]).encode(), 1)
            connection.execute("insert into output values (?, ?)", (start, data))
    connection.close()
    with open(target, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\\n" for row in rows)
"""


def _load(folder: Path, files: dict[str, str]) -> Step:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return Step.load(folder / next(iter(files)))


ALL = {"step-rows": rows_one_by_one, "step-many": many_of_each, "step-bulk": bulk_rows}
