"""What leaves are the rows that were validated, in the host's own spelling, however a guest spells what it sends.

The guest is hand-written and sends the text of its input. An honest text is the control, before each attack and after.
"""

from __future__ import annotations

import copy
import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from tests import scripted_guest as does
from tests.fake_guest import FakeGuest, done

from wasmexec import Executor, GuestLostError, Limits, Result, Status
from wasmexec.cli.outputs import write_rows
from wasmexec.rows.block import RowBlock, blocks_of
from wasmexec.rows.destination import Destination
from wasmexec.rows.json_text import decode
from wasmexec.step import Spool, Step
from wasmexec.store import RunStore

LIMITS = Limits(wall_seconds=2, cpu_seconds=2, output_bytes=100_000)
HONEST = '[{"a":1,"b":"x"},{"a":2.5,"b":null}]'

# JSON in spellings that the honest guest never has; most are read as something that is spelled otherwise.
_BARE = [
    "0", "-0", "-0.0", "1E5", "1e5", "1.0e+05", "0.00001", "1e-05", "1e22", "5e-324", "1e-400", "123456789.125",
    str(2**53 + 1), str(2**64), str(-(2**63) - 1), "9" * 400, "true", "false", "null",
]  # fmt: skip
_TEXTS = [
    "", "plain", r"\u0061", r"\/", r"\b\f\n\r\t", r"\u0000\u001f\u007f", "\x7f", r"\u2028", "\u2028\u2029\x85",
    r"\ud83d\ude00", "\U0001f600", "},{", r"},\n{", r"\"}\n{\"a\":1", r"\\", "null", ",", "[", "a" * 70,
]  # fmt: skip
_SPACES = st.sampled_from(["", "", "", " ", "\t", "\r", "\n", "\r\n"])
_KEYS = st.sampled_from(["a", "a", "b", r"\u0061", "", "__proto__", "}", r"a\n"]).map('"{}"'.format)
# No JSON at all, wherever it stands.
_WRONG = [
    "1e400", "-1e309", "NaN", "-Infinity", "nan", "+1", "01", ".5", "1.", "0x10", "True", "None", r'"\ud800"',
    r'"\udc00\ud800"', '"\n"', '"\r"', '"\x1f"', r'"\x41"', r'"\u00"', "\u00a0", "\v", "/**/", ";", ",,", "]", "}",
]  # fmt: skip


def _container(opened: str, items: st.SearchStrategy[str], closed: str) -> st.SearchStrategy[str]:
    return st.tuples(_SPACES, st.lists(items, max_size=4), st.sampled_from([",", ",", ",\n", " ,\r\n"])).map(
        lambda found: f"{opened}{found[0]}{found[2].join(found[1])}{found[0]}{closed}"
    )


def _object(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(_KEYS, _SPACES, values).map(lambda found: f"{found[0]}{found[1]}:{found[1]}{found[2]}")
    return _container("{", pair, "}")


VALUES = st.recursive(
    st.sampled_from([*_BARE, *(f'"{text}"' for text in _TEXTS)]),
    lambda inner: _container("[", inner, "]") | _object(inner),
    max_leaves=8,
)
ROWS = _container("[", _object(VALUES), "]")
WITH_A_WRONG_PLACE = st.builds(
    lambda text, at, wrong: text[:at] + wrong + text[at:], ROWS, st.integers(0, 60), st.sampled_from(_WRONG)
)


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    with Executor(does.build(tmp_path_factory.mktemp("scripted")), workers=1) as executor:
        yield executor


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunStore]:
    with RunStore.open(tmp_path_factory.mktemp("store") / "runs.sqlite3") as opened:
        yield opened


def sent(executor: Executor, text: bytes) -> Result:
    return executor.run("", input_data=does.script(does.leaves(done(text))), limits=LIMITS)


def no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, none of whose keys is there twice: which of them counts is not the same for every parser."""
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def not_json(word: str) -> float:
    raise AssertionError(word)


def check(text: bytes, expected: object) -> None:
    """Every parser reads what was validated."""
    assert decode(text) == expected
    assert repr(decode(text)) == repr(expected)
    assert json.loads(text, object_pairs_hook=no_twins, parse_constant=not_json) == expected
    if not re.search(rb"[0-9]{19}", text):
        # It has no integers beyond 64 bits.
        assert repr(orjson.loads(text)) == repr(expected)


def check_lines(text: bytes, expected: list[dict[str, Any]]) -> None:
    """Each line is a row, for readers that end a line at a carriage return, too."""
    assert text.count(b"\n") == len(expected)
    assert b"\r" not in text
    for line, row in zip(text.split(b"\n"), expected, strict=False):
        check(line, row)


def delivered(result: Result, store: RunStore, form: str, **options: Any) -> tuple[bytes, list[dict[str, Any]]]:
    """What a spool writes and a store reads back."""
    stream = io.BytesIO()
    handle = store.begin_run("s")
    spool = Spool(stream, form, **options)
    for source_row in (7, 8):
        for block in blocks_of(result.rows):
            spool.write_block(block, source_row)
            store.append_output(handle, RowBlock(lines=block.lines))
    spool.commit()
    store.finish(handle, status=Status.FINISHED)
    return stream.getvalue(), [item.row for item in store.output(handle.run_id)]


def check_everywhere(result: Result, store: RunStore, folder: Path) -> None:
    rows = copy.deepcopy(result.rows)
    lines, stored = delivered(result, store, "jsonl")
    assert (stored, repr(stored)) == (rows * 2, repr(rows * 2))
    check_lines(lines, rows * 2)
    array, _ = delivered(result, store, "json")
    check(array, rows * 2)
    assert array.count(b"\n") == 2 * len(rows) + (2 if rows else 1)
    numbered, _ = delivered(result, store, "jsonl", row_column="n")
    check_lines(numbered, [{"n": index, **row} for index in (7, 8) for row in rows])
    table, _ = delivered(result, store, "csv", column_names=["a"])
    assert len(list(csv.reader(io.StringIO(table.decode(), newline="")))) == 1 + 2 * len(rows)
    for form, look in (("jsonl", check_lines), ("json", check)):
        target = folder / form
        write_rows(result.rows, form, None, Destination(target))
        look(target.read_bytes(), rows)
    assert result.rows == rows


def deep(levels: int) -> str:
    return f'[{{"a":{"[" * levels}{"]" * levels}}}]'


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(text=st.one_of(ROWS, ROWS, WITH_A_WRONG_PLACE))
@example(text='[{"a":1,"a":2}]')
@example(text='[{"a":1,"\\u0061":{"b":1,"b":2}}]')
@example(text='[{"a":1,\n"b":2},\n{"a":[{},\n{}]}]')
@example(text='[\n{"a":"x"}\r\n,\t{"a":"},\\n{"}\n]\n')
@example(text='[{"a":-0,"b":1E5},{"a":-0.0,"b":1e-05}]')
@example(text=f'[{{"a":{2**64}}},{{"a":null}},{{"a":{"9" * 400}}}]')
@example(text='[{"a":"\\u2028\\u0000\\/\\ud83d\\ude00\x7f"}]')
@example(text=deep(509))
@example(text="[{},{}]")
@example(text="[]")
def test_whatever_a_guest_sends_what_is_delivered_is_what_was_validated(
    guest: Executor, store: RunStore, tmp_path: Path, text: str
) -> None:
    honest = sent(guest, HONEST.encode())
    assert (honest.status, honest.rows) == (Status.FINISHED, json.loads(HONEST))
    result = sent(guest, text.encode())
    event(result.status.name)
    if not result.status.succeeded:
        assert not result.rows
        return
    assert result.rows == json.loads(text, parse_constant=not_json)
    check_everywhere(result, store, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        b'[{"a":NaN}]', b'[{"a":1e400}]', b'[{"a":"\\ud800"}]', b'[{"a":"\xed\xa0\x80"}]', b'[{"a":"\xff"}]',
        b'[{"a":"\n"}]', b'[{"a":1}]\n[{"a":2}]', b'[{"a":1}]x', b'\xef\xbb\xbf[{"a":1}]', b'[{"a":1},]',
        b'{"a":1}\n{"a":2}', b'[{"a":' + b"9" * 4301 + b"}]", deep(600).encode(),
    ],
)  # fmt: skip
def test_what_is_no_json_is_never_delivered(guest: Executor, text: bytes) -> None:
    assert sent(guest, HONEST.encode()).status is Status.FINISHED
    result = sent(guest, text)
    assert (result.status, result.rows) == (Status.RUNTIME_FAILED, [])
    assert isinstance(result.error, GuestLostError)
    assert result.error.trap == "bad-frame"
    assert sent(guest, HONEST.encode()).status is Status.FINISHED


def test_a_step_delivers_the_same_of_a_hostile_text(tmp_path: Path, store: RunStore) -> None:
    text = '[\n{"a":1,"a":2,\n"b":-0},{"a" : "},{" , "b":[{},\n{"c":1E5,"c":1e-05}]}]'
    manifest = FakeGuest(outbox=done(text.encode())).build(tmp_path)
    file = tmp_path / "s.step.yaml"
    file.write_text("statement: return []\nprocessing: bulk\noutput_schema: {type: object}\n")
    target = tmp_path / "out.jsonl"
    with Executor(manifest) as executor:
        result = Step.load(file).run(executor=executor, store=store, output=Spool(target, "jsonl"))
    assert (result.status, result.run_id is not None) == (Status.FINISHED, True)
    assert target.read_text() == '{"a":2,"b":0}\n{"a":"},{","b":[{},{"c":0.00001}]}\n'
    assert result.run_id is not None
    assert [item.row for item in store.output(result.run_id)] == [
        decode(line) for line in target.read_bytes().splitlines()
    ]
