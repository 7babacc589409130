"""What the host holds, and for how long, for an input file of any shape: a bound on its bytes, or a refusal before."""

from __future__ import annotations

import gzip
import json
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, cast

import pytest
from tests.input_shapes import PARQUET, TEXTS
from tests.neighbour import peak_bytes
from tests.step.helpers import make_step

from wasmexec import InputError, Status
from wasmexec._execution.launcher import SWITCH_SECONDS
from wasmexec._finishing.long_inputs import LongInputs
from wasmexec._masking.masker import Masker
from wasmexec.rows.bad_row import BadRow
from wasmexec.rows.formats import ReadOptions
from wasmexec.rows.intake import checked_rows, checked_whole
from wasmexec.rows.source import Source
from wasmexec.schema import row_schema
from wasmexec.step import Cancellation

MIB = 1024**2
SIZE = 500_000
TIMES, SPARE = 12, 8 * MIB
READ = """
import contextlib, io
from pathlib import Path
from wasmexec import WasmexecError
from wasmexec._finishing.long_inputs import LongInputs
from wasmexec.rows.bad_row import BadRow
from wasmexec.rows.formats import ReadOptions
from wasmexec.rows.intake import checked_rows, checked_whole
from wasmexec.rows.parquet import _Child
from wasmexec.rows.source import Source
from wasmexec.schema import row_schema

# What the process that reads Parquet has once its libraries are loaded, before it looks at a file.
ready = [0]
be_ready = _Child.be_ready
def be_ready_and_tell(self):
    be_ready(self)
    ready.append(self._ready_bytes)
_Child.be_ready = be_ready_and_tell
MOST = 64 * 1024**2
SCHEMA = row_schema.prepare({"type": "object"}, "strict", "input")
# Their process is there, too.
LONG_ROWS = LongInputs()
LONG_ROWS.accept(b"[{}]", SCHEMA.prepared, {}, None, bool)

def read(path, form, how):
    out, error = 0, ""
    try:
        source = Source(Path(path), ReadOptions(form), max_row_bytes=MOST)
        if how == "whole":
            out = len(checked_whole(source, SCHEMA, MOST, long_rows=LONG_ROWS)[0])
        for row in checked_rows(source, None if how == "rows" else SCHEMA, None, LONG_ROWS) if how != "whole" else ():
            if isinstance(row, BadRow):
                error = row.error.message
            else:
                out += len(row)
    except WasmexecError as failure:
        error = f"{type(failure).__name__}: {failure}"
    return [out, error, ready.pop() if len(ready) > 1 else 0]

found = {}
for name, path, form, how in json.loads(sys.argv[1]):
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        measured(lambda: read(path, form, how))
    found[f"{name}, {how}"] = json.loads(told.getvalue())
print(json.dumps({"bytes": 0, "answer": found}))
"""


def written(folder: Path, shapes: dict[str, tuple[str, bytes]], ways: list[str]) -> list[tuple[str, str, str, str]]:
    jobs = []
    for number, (name, (suffix, data)) in enumerate(shapes.items()):
        path = folder / f"{number}.{suffix}"
        path.write_bytes(data)
        jobs += [(name, str(path), suffix.removesuffix(".gz"), how) for how in ways]
    return jobs


def too_much(jobs: list[tuple[str, str, str, str]]) -> dict[str, Any]:
    _, found = peak_bytes(READ, json.dumps(jobs))
    sizes = {f"{name}, {how}": Path(path).stat().st_size for name, path, _, how in jobs}
    assert len(found) == len(jobs)
    return {
        name: (item["bytes"] / MIB, sizes[name], *item["answer"])
        for name, item in found.items()
        if item["bytes"] - item["answer"][2] > TIMES * (sizes[name] + item["answer"][0]) + SPARE
    }


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "tsv"])
@pytest.mark.parametrize("is_packed", [False, True])
def test_a_text_of_any_shape_takes_twelve_times_its_bytes_at_most(tmp_path: Path, form: str, is_packed: bool) -> None:
    shapes = {name: (suffix, make(SIZE)) for name, (suffix, make) in TEXTS.items() if suffix == form}
    if is_packed:
        shapes = {name: (f"{suffix}.gz", gzip.compress(data, 6)) for name, (suffix, data) in shapes.items()}
    assert too_much(written(tmp_path, shapes, ["whole"] if is_packed else ["whole", "rows", "checked rows"])) == {}


@pytest.mark.timeout(900)
def test_parquet_of_any_shape_takes_no_more_beside_the_libraries_of_its_process(tmp_path: Path) -> None:
    shapes = {name: ("parquet", make(SIZE // 4)) for name, make in PARQUET.items()}
    assert too_much(written(tmp_path, shapes, ["whole", "rows"])) == {}


def read_whole(path: Path, max_bytes: int = 64 * MIB, schema: Any = None) -> tuple[bytes | None, int]:
    return checked_whole(Source(path, max_row_bytes=max_bytes), schema, max_bytes)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b",".join(b"c%d" % number for number in range(100_001)), "line 1: the header has too many columns"),
        (b"x" * 10_001 + b"\n1\n", "the name of column 1 has 10,001 characters, at most 10,000 are read"),
        (b"a,b\n" + b"1," * 200_000, "line 2: the record has 200,000 delimiters, too many to be read"),
    ],
)  # fmt: skip
def test_csv_beyond_a_bound_is_refused_with_it(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_whole(path)
    assert reason in caught.value.message
    assert caught.value.source_line in (1, 2)


@pytest.mark.parametrize(
    "content",
    [
        b",".join(b"c%d" % number for number in range(100_000)) + b"\n" + b"," * 99_999,
        b"x" * 10_000 + b"\n1\n",
        b'a,b\n1,"[' + b"1234567," * 200_000 + b'1]"\n',
    ],
)
def test_csv_just_within_the_bounds_is_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    assert read_whole(path)[1] == 1


def test_a_row_with_too_many_values_for_a_schema_fails_as_a_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a":1}\n{"a":[' + b",".join([b"{}"] * 500_000) + b"]}\n" + b'{"a":3}\n')
    schema = row_schema.prepare({"type": "object"}, "strict", "input")
    first, refused, last = checked_rows(Source(path, max_row_bytes=64 * MIB), schema)
    assert (first, last) == (b'[{"a":1}]', b'[{"a":3}]')
    assert isinstance(refused, BadRow)
    assert "line 2: the row has more values than may be held at once to be checked" in refused.error.message
    with pytest.raises(InputError, match="/1: line 2: the row has more values"):
        read_whole(path, schema=schema)
    # Nobody needs its values without a schema.
    assert read_whole(path)[1] == 3


@pytest.mark.parametrize("value", ["inf", "half", "deep", "itself"])
def test_a_python_row_that_no_encoder_takes_fails_as_a_row(tmp_path: Path, executor: Any, value: str) -> None:
    bad: Any = {"inf": float("inf"), "half": "\ud800", "deep": [], "itself": []}[value]
    if value == "itself":
        bad.append(bad)
    for _ in range(600 if value == "deep" else 0):
        bad = [bad]
    rows = [{"id": 1}, {"id": 2, "x": bad}, {"id": 3}]
    skipping = make_step(tmp_path, "return [{'id': INPUT_DATA[0]['id']}]", on_row_error="skip")
    result = skipping.run(rows, executor=executor)
    assert (result.status, [row["id"] for row in result.rows]) == (Status.FINISHED_WITH_ERRORS, [1, 3])
    assert [failure.row for failure in result.failures] == [1]
    failing = make_step(tmp_path, "return [{'id': 1}]", name="other").run(rows, executor=executor)
    bulk = make_step(tmp_path, "return [{'id': 1}]", name="bulk", processing="bulk").run(rows, executor=executor)
    for ended in (failing, bulk):
        assert ended.status is Status.INPUT_REFUSED
        assert isinstance(ended.error, InputError)
        assert "Traceback" not in str(ended.error)


class Steps:
    """The processor time that a reader takes between two looks whether it is cancelled, and holding the lock."""

    def __init__(self, path: Path, form: str, how: str, schema: Any = None) -> None:
        self._schema = schema
        self.unasked = self.locked = 0.0
        self._asked = 0.0
        switch = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        begun, ended = threading.Event(), threading.Event()
        thread = threading.Thread(target=lambda: self._read(path, form, how, begun, ended))
        try:
            thread.start()
            begun.wait()
            assert thread.ident is not None
            clock = time.pthread_getcpuclockid(thread.ident)
            last = time.clock_gettime(clock)
            while not ended.is_set():
                # What the reader takes while this thread waits to go on, it takes with the lock.
                time.sleep(0.0005)
                now = time.clock_gettime(clock)
                self.locked, last = max(self.locked, now - last), now
        finally:
            self.go_on = False
            thread.join()
            sys.setswitchinterval(switch)

    def _ask(self) -> bool:
        now = time.thread_time()
        self.unasked, self._asked = max(self.unasked, now - self._asked), now
        return False

    def _read(self, path: Path, form: str, how: str, begun: threading.Event, ended: threading.Event) -> None:
        source = Source(path, ReadOptions(form), max_row_bytes=64 * MIB)
        source.is_cancelled = self._ask
        self.go_on = True
        begun.set()
        self._asked = time.thread_time()
        with suppress(InputError), closing(LongInputs()) as long_rows:
            if how == "whole":
                checked_whole(source, self._schema, 64 * MIB, long_rows=long_rows)
            for _ in checked_rows(source, self._schema, long_rows=long_rows) if how == "rows" else ():
                self._ask()
        self._ask()
        ended.set()
        while self.go_on:
            time.sleep(0.001)


PADDED = gzip.compress(b"[]")
LONG_STEPS: dict[str, tuple[str, bytes | None]] = {
    **{
        name: (TEXTS[name][0], None)
        for name in (
            "json: one row of small objects", "json: one object of many keys", "json: one giant text",
            "json: one giant text of escapes", "json: one giant text that is not closed", "json: quotes",
            "json: spaces in a row", "json lines: one giant line", "csv: one giant field",
            "csv: one giant quoted field", "csv: one giant field of lines", "csv: long names",
            "csv: header of 100,000 columns", "csv: newlines",
        )
    },
    "gzip: no bytes in many members": ("json.gz", gzip.compress(b"") * 20_000),
    "gzip: zeros behind it": ("json.gz", PADDED + bytes(400_000)),
    "gzip: a long name of its file": ("json.gz", PADDED[:3] + b"\x08" + PADDED[4:10] + b"x" * 400_000),
}  # fmt: skip


@pytest.mark.timing
@pytest.mark.parametrize("how", ["whole", "rows"])
@pytest.mark.parametrize("name", LONG_STEPS)
def test_reading_takes_no_long_step(tmp_path: Path, name: str, how: str) -> None:
    """Whoever asks for it can end it within 50 milliseconds, and nobody waits longer than 20 for the lock."""
    suffix, data = LONG_STEPS[name]
    path = tmp_path / f"a.{suffix}"
    size = 1_500_000 if "lines" in name else 5_000_000
    path.write_bytes(TEXTS[name][1](size) if data is None else data)
    for last in (False, False, True):
        steps = Steps(path, suffix.partition(".")[0], how)
        if last or (steps.unasked < 0.1 and steps.locked < 0.05):
            break
    assert steps.unasked < 0.1
    assert steps.locked < 0.05


JSON_CELL: dict[str, Any] = {"type": "object", "properties": {"a": {"type": ["array", "null"]}}}
ANY_ROW: dict[str, Any] = {"type": "object"}
WHOLE_LIST: dict[str, Any] = {"type": "array", "minItems": 1, "items": {"type": "object"}}
KEYS = b'{"%b":0}' % b'":0,"'.join(b"k%d" % number for number in range(300_000))
LONG_ROWS: dict[str, tuple[str, bytes, Any]] = {
    "one giant text": ("json", b'[{"a":"%b"}]' % (b"x" * 20_000_000), ANY_ROW),
    "one object of many keys": ("json", b"[%b]" % KEYS, ANY_ROW),
    "one line of many keys": ("jsonl", KEYS + b"\n", ANY_ROW),
    "columns": ("json", b"[%b]" % KEYS.replace(b'"k0":0', b'"a":0'), [{"name": "a", "type": "integer"}]),
    "a cell of JSON": ("csv", b'a,b\n"[%b]",1\n' % b",".join([b"[1,2,3]"] * 300_000), JSON_CELL),
    "a whole list": ("json", b"[%b]" % b",".join([b'{"a":1,"b":"some more characters"}'] * 60_000), WHOLE_LIST),
}


LONG = "x" * 200_000
ALIKE: dict[str, tuple[str, str, Any, str]] = {
    "accepted": ("json", '[{"a":1,"b":"~"},{"a":2}]', ANY_ROW, "strict"),
    "refused": (
        "json", '[{"a":1},{"a":"secret-7~"},{"a":2}]', {"properties": {"a": {"type": "integer"}}}, "strict"
    ),
    "filled in": (
        "jsonl", '{"a":"~"}\n{"a":"~"}\n',
        [{"name": "a", "type": "text"}, {"name": "b", "type": "text", "allow_null": True}], "strict",
    ),
    "dropped": ("jsonl", '{"a":1,"b":"~"}\n', [{"name": "a", "type": "integer"}], "lenient"),
    "a cell of JSON": ("csv", 'a,b\n"[""~"",1]",3\n', JSON_CELL, "strict"),
    "a refused cell": (
        "csv", 'a,b\n"[1,2]",secret-7~\n',
        {"properties": {"a": {"type": "array"}, "b": {"type": "integer"}}}, "strict",
    ),
    "an empty cell": ("csv", 'a,b,c\n"~",,2\n', [{"name": name, "type": kind} for name, kind in
                      (("a", "text"), ("b", "integer"), ("c", "integer"))], "strict"),
    "a whole list": ("json", '[{"a":"~"},{"a":""}]', WHOLE_LIST, "strict"),
    "a whole list that is refused": ("json", '[{"a":"~"},3]', WHOLE_LIST, "strict"),
    "a whole list of cells": (
        "csv", "a,b\n~,1\n~,2\n",
        {"type": "array", "minItems": 3, "items": {"properties": {"b": {"type": "integer"}}}}, "strict",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", ["whole", "rows"])
@pytest.mark.parametrize("name", ALIKE)
def test_long_rows_are_taken_as_short_ones_are(tmp_path: Path, name: str, how: str) -> None:
    suffix, text, definition, mode = ALIKE[name]
    if definition is WHOLE_LIST and how == "rows":
        definition = ANY_ROW
    path = tmp_path / f"a.{suffix}"
    path.write_text(text.replace("~", LONG))
    schema = row_schema.prepare(definition, cast("Any", mode), "input")
    masker = Masker(["secret-7"])

    def told(row: bytes | BadRow | None) -> object:
        return [*vars(row.error).items(), json.loads(row.text)] if isinstance(row, BadRow) else json.loads(row or b"0")

    def read(long_rows: LongInputs | None) -> object:
        source = Source(path, ReadOptions(suffix), max_row_bytes=64 * MIB)
        if how == "rows":
            return [told(row) for row in checked_rows(source, schema, masker, long_rows)], source.remarks
        try:
            whole, number = checked_whole(source, schema, 64 * MIB, masker, long_rows)
        except InputError as error:
            return vars(error)
        return told(whole), number, source.remarks

    with closing(LongInputs()) as long_rows:
        there = read(long_rows)
    assert there == read(None)
    if isinstance(there, dict):
        assert "secret" not in str(there)


@pytest.mark.timing
@pytest.mark.parametrize("how", ["whole", "rows"])
@pytest.mark.parametrize("name", LONG_ROWS)
def test_checking_a_long_row_takes_no_long_step(tmp_path: Path, name: str, how: str) -> None:
    suffix, data, definition = LONG_ROWS[name]
    if definition is WHOLE_LIST and how == "rows":
        definition = ANY_ROW
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(data)
    schema = row_schema.prepare(definition, "strict", "input")
    for last in (False, False, False, True):
        steps = Steps(path, suffix, how, schema)
        if last or (steps.unasked < 0.05 and steps.locked < 0.02):
            break
    assert steps.unasked < 0.05
    assert steps.locked < 0.02


@pytest.mark.timing
@pytest.mark.parametrize("processing", ["bulk", "row_by_row"])
@pytest.mark.parametrize(
    ("name", "head", "piece"),
    [
        ("a.csv", b"a\n", b"\n" * MIB), ("b.csv", b"a,b\n", b"1,2\n" * (MIB // 4)),
        ("a.jsonl", b"", b" \n" * (MIB // 2)),
        ("a.json", b"[", b'{"a":[1,2]},' * (MIB // 12)), ("b.json", b"", b" " * MIB),
    ],
)  # fmt: skip
def test_a_step_is_cancelled_while_its_input_is_read(
    tmp_path: Path, executor: Any, name: str, head: bytes, piece: bytes, processing: str
) -> None:
    path = tmp_path / f"{name}.gz"
    with gzip.open(path, "wb", 1) as file:
        file.write(head)
        for _ in range(120):
            file.write(piece)
    step = make_step(tmp_path, "return []", processing=processing)
    cancellation = Cancellation()
    ended: list[Any] = []
    run = threading.Thread(
        target=lambda: ended.append(step.run(path, executor=executor, cancellation=cancellation, processes=1))
    )
    run.start()
    time.sleep(0.15)
    assert not ended
    start = time.perf_counter()
    cancellation.cancel()
    run.join()
    assert ended[0].status is Status.CANCELLED
    assert time.perf_counter() - start < 0.15


@pytest.mark.timing
@pytest.mark.parametrize(
    "name",
    [
        "csv: header of empty names", "csv: header only, as many as there is room for", "csv: equal names",
        "csv: quotes", "csv: newlines", "csv: one giant field of lines", "tsv: separators", "json: commas",
        "json: quotes", "json: spaces",
        "json: one giant text of escapes", "json: one object of many keys", "json lines: newlines",
    ],
)  # fmt: skip
def test_hostile_texts_take_linear_time(tmp_path: Path, name: str) -> None:
    suffix, make = TEXTS[name]

    def seconds(size: int) -> float:
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(make(size))
        start = time.process_time()
        for read in (read_whole, lambda path: list(Source(path, ReadOptions(suffix), max_row_bytes=64 * MIB).rows())):
            with suppress(InputError):
                read(path)
        return time.process_time() - start

    assert min(seconds(600_000) for _ in range(2)) < 3 * min(seconds(300_000) for _ in range(2)) + 0.1


@pytest.mark.timing
@pytest.mark.parametrize("text", ["1", "1,2,3", "x" * 100])
def test_many_bad_rows_take_linear_time(tmp_path: Path, text: str) -> None:
    def seconds(count: int) -> float:
        path = tmp_path / "a.csv"
        path.write_text("a,b\n" + "".join(f"{text}{number}\n" for number in range(count)))
        start = time.process_time()
        assert all(isinstance(row, BadRow) for row in Source(path, max_row_bytes=MIB).rows())
        return time.process_time() - start

    assert seconds(20_000) < 3 * seconds(10_000) + 0.1
