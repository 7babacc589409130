"""The C encoder of rows: every value arrives as it was, every refusal says where (contract C5)."""

from __future__ import annotations

import json
import math
import random
import struct
from typing import Any

import pytest

import wasmexec


def rows_of(executor: wasmexec.Executor, statement: str, **options: Any) -> list[dict[str, Any]]:
    result = executor.run(statement, **options)
    result.raise_for_status()
    return result.rows


def refusal_of(executor: wasmexec.Executor, statement: str) -> wasmexec.OutputError:
    result = executor.run(statement)
    assert result.status == wasmexec.Status.OUTPUT_REFUSED, result.error
    assert isinstance(result.error, wasmexec.OutputError)
    return result.error


def interesting_floats() -> list[float]:
    choose = random.Random(11)
    found = [struct.unpack("<d", choose.randbytes(8))[0] for _ in range(20_000)]
    found += [round(choose.uniform(-1e6, 1e6), choose.randrange(9)) for _ in range(5_000)]
    found += [math.ldexp(1.0, power) for power in range(-1074, 1024)]
    found += [math.nextafter(math.ldexp(1.0, power), side) for power in range(-1074, 1024) for side in (0.0, math.inf)]
    found += [float(f"{digit}e{power}") for power in range(-323, 309) for digit in (1, 9)]
    found += [0.0, -0.0, 9007199254740993.0, 1e16, 9999999999999998.0, 0.0001, 0.00001, 5e-324]
    return [value for value in found if math.isfinite(value)]


def test_floats_are_written_as_repr_writes_them(executor: wasmexec.Executor) -> None:
    values = interesting_floats()
    # The text itself is compared in the guest, against the guest's own repr().
    statement = """
import warnings, json
native = warnings.sys.modules['_wasmexec']
values = INPUT_DATA[0]['values']
view = native.encode_rows([{'v': values}], None, 1 << 26)
texts = bytes(view)[len('[{"v":['):-len(']}]')].decode().split(',')
return [{'wrong': [repr(v) for v, text in zip(values, texts, strict=True) if repr(v) != text], 'values': values}]
"""
    [row] = rows_of(executor, statement, input_data=[{"values": values}])
    assert row["wrong"] == []
    assert [struct.pack("<d", value) for value in row["values"]] == [struct.pack("<d", value) for value in values]


def test_every_kind_of_text_arrives(executor: wasmexec.Executor) -> None:
    statement = """
plain = ''.join(map(chr, range(0xd800)))
return [{'v': plain}, {'v': plain[0xe000:] + ''.join(map(chr, range(0xe000, 0x11000)))}, {plain[:300]: 'key'},
        {'v': '\\U0001f600\\U0010ffff'}, {'v': ''}, {'': 'x' * 100000}, {'v': 'x' * 63}, {'v': 'x' * 64}]
"""
    plain = "".join(map(chr, range(0xD800)))
    assert rows_of(executor, statement) == [
        {"v": plain}, {"v": "".join(map(chr, range(0xE000, 0x11000)))}, {plain[:300]: "key"},
        {"v": "\U0001f600\U0010ffff"}, {"v": ""}, {"": "x" * 100000}, {"v": "x" * 63}, {"v": "x" * 64},
    ]  # fmt: skip


def test_integers_of_any_size_arrive_exactly(executor: wasmexec.Executor) -> None:
    sizes = [2**bits + delta for bits in (0, 7, 31, 53, 62, 63, 64, 65, 200) for delta in (-1, 0, 1)]
    values = [sign * size for size in sizes for sign in (1, -1)]
    statement = f"return [{{'v': value}} for value in {values!r}] + [{{'v': 10 ** 4000}}]"
    rows = rows_of(executor, statement)
    assert [row["v"] for row in rows] == [*values, 10**4000]
    assert all(type(row["v"]) is int for row in rows)


def test_nested_containers_constants_and_subclasses(executor: wasmexec.Executor) -> None:
    statement = """
class Row(dict): pass
class Text(str): pass
class Number(int): pass
return [{}, {'a': [1, (2.5, None), True, False, [], {}, ()]}, Row(b=Text('t')),
        {Text('k'): Number(7), 'n': float('nan')}]
"""
    assert rows_of(executor, statement) == [
        {}, {"a": [1, [2.5, None], True, False, [], {}, []]}, {"b": "t"}, {"k": 7, "n": None},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "pointer", "rule"),
    [
        ("return [{}, {'a/b~c': [0, {'x': float('inf')}]}]", "/1/a~1b~0c/1/x", "finite"),
        ("return [{'k': {1: 2}}]", "/0/k", "key"),
        ("return [{}, [1]]", "/1", "object"),
        ("return [{'s': {1, 2}}]", "/0/s", "unsupported"),
        ("return [{'s': 'half \\ud800'}]", "/0/s", "unsupported"),
        ("return [{'s\\udc00': 1}]", "/0", "unsupported"),
        ("row = {'x': 1}\nrow['me'] = [row]\nreturn [row]", "/0/me/0", "cycle"),
        ("class Row(dict): pass\nrow = Row()\nrow['me'] = row\nreturn [row]", "/0/me", "cycle"),
        ("items = []\nitems.append(items)\nreturn [{'a': items}]", "/0/a/0", "cycle"),
        ("return [{'n': 10 ** 5000}]", "/0/n", "unsupported"),
    ],
)
def test_a_refusal_points_at_the_value(executor: wasmexec.Executor, statement: str, pointer: str, rule: str) -> None:
    error = refusal_of(executor, statement)
    assert (error.pointer, error.rule) == (pointer, rule)


def test_512_levels_pass_and_513_do_not(executor: wasmexec.Executor) -> None:
    # The list of rows and the row are two levels themselves.
    statement = "value = 0\nfor _ in range({}): value = [value]\nreturn [{{'v': value}}]"
    [row] = rows_of(executor, statement.format(510))
    assert json.dumps(row).count("[") == 510
    assert refusal_of(executor, statement.format(511)).rule == "depth"


@pytest.mark.parametrize("change", ["row.clear()", "row.update({str(i): i for i in range(1000)})"])
def test_a_row_that_changes_while_it_is_converted_is_an_error_of_the_statement(
    executor: wasmexec.Executor, change: str
) -> None:
    statement = f"""
import datetime
class Zone(datetime.tzinfo):
    def utcoffset(self, moment):
        {change}
        return datetime.timedelta(0)
row = {{'a': datetime.datetime(2024, 1, 1, tzinfo=Zone()), 'b': [1, 2, 3]}}
return [row]
"""
    result = executor.run(statement)
    assert result.status == wasmexec.Status.STATEMENT_RAISED
    assert isinstance(result.error, wasmexec.StatementRaised)
    assert result.error.exception_message == "dictionary changed size during iteration"


def test_a_list_that_shrinks_while_it_is_converted_ends_where_it_ends(executor: wasmexec.Executor) -> None:
    statement = """
import datetime
class Zone(datetime.tzinfo):
    def utcoffset(self, moment):
        items.clear()
        return datetime.timedelta(0)
items = [datetime.datetime(2024, 1, 1, tzinfo=Zone()), {'gone': 1}]
return [{'items': items}]
"""
    assert rows_of(executor, statement) == [{"items": ["2024-01-01T00:00:00+00:00"]}]


def test_the_output_limit_is_exact(executor: wasmexec.Executor) -> None:
    statement = "return [{'a': 'x' * 200_000}] * 3"
    size = 3 * (200_000 + len('{"a":""}')) + len("[,,]")
    assert len(rows_of(executor, statement, limits=wasmexec.Limits(output_bytes=size))) == 3
    result = executor.run(statement, limits=wasmexec.Limits(output_bytes=size - 1))
    assert result.status == wasmexec.Status.OUTPUT_REFUSED
    assert isinstance(result.error, wasmexec.OutputLimitError)
    assert result.error.limit == size - 1
    assert len(rows_of(executor, statement, limits=wasmexec.Limits(output_bytes=size))) == 3
