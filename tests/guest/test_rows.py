"""Contract C5: the output is a list of objects, and every value becomes JSON or a refusal that says where and why."""

import json
from typing import Any

import pytest

from wasmexec import Executor, Limits, OutputError, OutputLimitError, Status

SETUP = """
import warnings, datetime, math
modules = warnings.sys.modules
decimal, uuid, enum = modules["decimal"], modules["uuid"], modules["enum"]
Decimal = decimal.Decimal
date, time, timedelta, timezone = datetime.date, datetime.time, datetime.timedelta, datetime.timezone
"""
NUMPY = "import numpy as np\nimport pandas as pd\n"


def converted(executor: Executor, expression: str, setup: str = SETUP) -> Any:
    result = executor.run(f"{setup}\nreturn [{{'v': {expression}}}]")
    result.raise_for_status()
    return result.rows[0]["v"]


def refused(executor: Executor, statement: str) -> OutputError:
    result = executor.run(statement)
    assert result.status is Status.OUTPUT_REFUSED
    assert result.rows == []
    assert isinstance(result.error, OutputError)
    return result.error


def test_an_empty_list_is_success_without_data(executor: Executor) -> None:
    result = executor.run("return []")
    assert (result.status, result.rows, result.error) == (Status.FINISHED_NO_DATA, [], None)


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, 0, -1, 2**53, 2**63, -(2**63), 2**64, -(2**64), 10**30, 1.5, -0.0, 1e308, 5e-324, 0.1,
        1e22, "", "é", "😀", "\x00\x1f\x7f", "\u2028\"\\/", [], {}, [[1, [2]], {"a": {"b": None}}],
        {"": 1, "é": 2, "a.b/~c": 3},
    ],
)  # fmt: skip
def test_plain_values_arrive_unchanged(executor: Executor, value: object) -> None:
    found = executor.run("return [{'v': INPUT_DATA}]", input_data=value).rows[0]["v"]
    assert repr(found) == repr(value)


def test_rows_keep_their_order_and_the_order_of_their_keys(executor: Executor) -> None:
    rows = executor.run("return [{'z': i, 'a': i * i} for i in range(1000)]").rows
    assert [list(row.items()) for row in rows] == [[("z", i), ("a", i * i)] for i in range(1000)]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("datetime.datetime(2024, 1, 2, 3, 4, 5)", "2024-01-02T03:04:05"),
        ("datetime.datetime(2024, 1, 2, 3, 4, 5, 6)", "2024-01-02T03:04:05.000006"),
        ("datetime.datetime(2024, 1, 2, tzinfo=timezone.utc)", "2024-01-02T00:00:00+00:00"),
        (
            "datetime.datetime(2024, 1, 2, tzinfo=timezone(timedelta(minutes=-330)))",
            "2024-01-02T00:00:00-05:30",
        ),
        ("date(2024, 2, 29)", "2024-02-29"),
        ("time(1, 2, 3)", "01:02:03"),
        ("timedelta(days=1, hours=2, minutes=3, seconds=4.5)", "P1DT2H3M4.5S"),
        ("timedelta(0)", "P0DT0H0M0S"),
        ("timedelta(seconds=-1)", "P-1DT23H59M59S"),
        ("Decimal('1.5')", 1.5),
        ("Decimal('12')", 12),
        ("Decimal('12.00')", 12),
        ("Decimal('-0')", 0),
        ("Decimal('1E+3')", 1000),
        ("Decimal('0.1')", "0.1"),
        ("Decimal('19.99')", "19.99"),
        ("Decimal(2) ** 62", 2**62),
        ("Decimal(2) ** 70", float(2**70)),
        ("Decimal('12345678901234567890123')", "12345678901234567890123"),
        ("Decimal('1E+400')", "1E+400"),
        ("Decimal('1E-400')", "1E-400"),
        ("Decimal('NaN')", None),
        ("Decimal('sNaN')", None),
        ("b''", ""),
        ("b'\\x00\\xff\\xfe'", "AP/+"),
        ("bytearray(b'ab')", "YWI="),
        ("memoryview(b'abc')", "YWJj"),
        ("math.nan", None),
        ("-math.nan", None),
        ("(1, (2, 'x'), [])", [1, [2, "x"], []]),
        ("uuid.UUID(int=5)", "00000000-0000-0000-0000-000000000005"),
        ("enum.Enum('E', {'A': 'first'}).A", "first"),
        ("enum.IntEnum('E', {'A': 7}).A", 7),
        ("enum.StrEnum('E', {'A': 's'}).A", "s"),
        ("enum.Enum('E', {'A': date(2024, 1, 1)}).A", "2024-01-01"),
        ("modules['collections'].namedtuple('P', 'x y')(1, 2)", [1, 2]),
        ("modules['collections'].OrderedDict(b=1, a=2)", {"b": 1, "a": 2}),
        ("modules['collections'].defaultdict(list, a=[1])", {"a": [1]}),
        ("type('S', (str,), {})('text')", "text"),
        ("type('I', (int,), {})(5)", 5),
        ("type('F', (float,), {})(0.5)", 0.5),
        ("type('L', (list,), {})([1])", [1]),
        ("type('D', (dict,), {})(a=date(2024, 1, 1))", {"a": "2024-01-01"}),
        ("{'deep': [{'date': date(2024, 1, 1)}]}", {"deep": [{"date": "2024-01-01"}]}),
        ("{type('K', (str,), {})('key'): 1}", {"key": 1}),
    ],
)
def test_values_of_the_standard_library_are_converted(executor: Executor, expression: str, value: object) -> None:
    found = converted(executor, expression)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("np.int8(-5)", -5),
        ("np.uint64(2**64 - 1)", 2**64 - 1),
        ("np.float64(1.5)", 1.5),
        ("np.float32(0.5)", 0.5),
        ("np.float32(0.1)", 0.10000000149011612),
        ("np.float16(2)", 2.0),
        ("np.longdouble(1.25)", 1.25),
        ("np.bool_(True)", True),
        ("np.str_('é')", "é"),
        ("np.bytes_(b'ab')", "YWI="),
        ("np.float64('nan')", None),
        ("np.float32('nan')", None),
        ("np.datetime64('2024-01-02')", "2024-01-02"),
        ("np.datetime64('2024-01-02T03:04:05.123456789')", "2024-01-02T03:04:05.123456789"),
        ("np.datetime64('2024-01')", "2024-01-01"),
        ("np.datetime64('2024')", "2024-01-01"),
        ("np.datetime64('2024-01-03', 'W')", "2023-12-28"),
        ("np.datetime64('2024-01-02T03')", "2024-01-02T03:00:00"),
        ("np.datetime64('2024-01-02T03:04')", "2024-01-02T03:04:00"),
        ("np.datetime64('2024-01-02T03:04:05')", "2024-01-02T03:04:05"),
        ("np.datetime64('2024-01-02T03:04:05.120', 'ms')", "2024-01-02T03:04:05.120000"),
        ("np.datetime64('2024-01-02T03:04:05.1', 'ns')", "2024-01-02T03:04:05.100000000"),
        ("np.datetime64('12024-01-02')", "12024-01-02"),
        ("np.array(['2024-01'], dtype='M8[M]')[0]", "2024-01-01"),
        ("np.datetime64('NaT')", None),
        ("np.timedelta64(90, 's')", "P0DT0H1M30S"),
        ("np.timedelta64(-1, 'ns')", "P-1DT23H59M59.999999999S"),
        ("np.timedelta64(2, 'W')", "P14DT0H0M0S"),
        ("np.timedelta64('NaT')", None),
        ("np.array([[1, 2], [3, 4]])", [[1, 2], [3, 4]]),
        ("np.array([1.5, np.nan])", [1.5, None]),
        ("np.array(['a', None, pd.Timestamp('2024-01-02')], dtype=object)", ["a", None, "2024-01-02T00:00:00"]),
        ("np.array(3)", 3),
        ("pd.Timestamp('2024-01-02 03:04:05')", "2024-01-02T03:04:05"),
        ("pd.Timestamp('2024-01-02 03:04:05.000000001')", "2024-01-02T03:04:05.000000001"),
        ("pd.Timestamp('2024-07-01', tz='Europe/Prague')", "2024-07-01T00:00:00+02:00"),
        ("pd.NaT", None),
        ("pd.NA", None),
        ("pd.Timedelta('1 days 00:00:01.5')", "P1DT0H0M1.5S"),
        ("pd.Period('2024-01', freq='M')", "2024-01"),
        ("pd.array([1, None], dtype='Int64')[1]", None),
        ("pd.Categorical(['a'])[0]", "a"),
    ],
)
def test_values_of_numpy_and_pandas_are_converted(executor: Executor, expression: str, value: object) -> None:
    found = converted(executor, expression, NUMPY)
    assert (type(found), found) == (type(value), value)


def test_a_frame_becomes_rows_with_to_dict(executor: Executor) -> None:
    statement = f"""{NUMPY}
df = pd.DataFrame({{
    "id": [1, 2], "price": [1.5, np.nan], "at": pd.to_datetime(["2024-01-02", None]), "name": ["a", None],
    "ok": pd.array([True, None], dtype="boolean"),
}})
return df.to_dict("records")
"""
    assert executor.run(statement).rows == [
        {"id": 1, "price": 1.5, "at": "2024-01-02T00:00:00", "name": "a", "ok": True},
        {"id": 2, "price": None, "at": None, "name": None, "ok": None},
    ]


@pytest.mark.parametrize(
    ("expression", "kind", "fix"),
    [
        ("None", "None", "return []` when there are no rows, or `return rows"),
        ("{'a': 1}", "dict", "return [{'a': 1}]"),
        ("({'a': 1},)", "tuple", "return list(({'a': 1},))"),
        ("'[]'", "str", "return json.loads(('[]'))"),
        ("b'[]'", "bytes", "return json.loads((b'[]'))"),
        ("5", "int", 'return [{"value": (5)}]'),
        ("{1}", "set", 'return [{"value": row} for row in {1}]'),
        ("(row for row in [])", "generator", "return list((row for row in []))"),
        ("map(dict, [])", "map", "return list(map(dict, []))"),
        ("{}.values()", "dict_values", "return list({}.values())"),
        ("range(3)", "range", 'return [{"value": row} for row in range(3)]'),
        ("type('Mine', (), {})()", "Mine", "return [{\"value\": str(type('Mine', (), {})())}]"),
        ("sleep(0)", "coroutine", "return await sleep(0)"),
    ],
)
def test_anything_but_a_list_is_refused_by_its_type_and_with_the_fix(
    executor: Executor, expression: str, kind: str, fix: str
) -> None:
    error = refused(executor, f"return {expression}")
    assert (error.pointer, error.rule) == ("", "list")
    assert error.message == f"the statement returned {kind}, not a list of objects: write `{fix}`"


@pytest.mark.parametrize(
    ("expression", "kind", "fix"),
    [
        ("pd.DataFrame({'a': [1]})", "pandas.DataFrame", "return pd.DataFrame({'a': [1]}).to_dict(\"records\")"),
        ("pd.Series([1], name='a')", "pandas.Series",
         "return pd.Series([1], name='a').to_frame().to_dict(\"records\")"),
        ("np.array([1])", "numpy.ndarray", 'return [{"value": value} for value in np.array([1]).tolist()]'),
        ("np.int64(1)", "numpy.int64", 'return [{"value": np.int64(1)}]'),
    ],
)  # fmt: skip
def test_frames_are_refused_with_the_fix(executor: Executor, expression: str, kind: str, fix: str) -> None:
    error = refused(executor, f"{NUMPY}return {expression}")
    assert (error.rule, error.message) == (
        "list", f"the statement returned {kind}, not a list of objects: write `{fix}`",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "pointer", "rule", "value", "message"),
    [
        ("return [{'a': 1}, 5]", "/1", "object", "5", ("every row must be a dict, not int: write "
         "`return [row if isinstance(row, dict) else {\"value\": row} for row in [{'a': 1}, 5]]`")),
        ("return [[1]]", "/0", "object", "[1]", ("every row must be a dict, not list: write "
         '`return [dict(zip(["column1"], row)) for row in [[1]]]`')),
        ("return [None]", "/0", "object", "None", ("every row must be a dict, not NoneType: write "
         "`return [row for row in [None] if row is not None]`")),
        ("return [{}] * 17 + [{'price': float('inf')}]", "/17/price", "finite", "inf",
         ("inf is not a finite number: write "
         '`return [{key: None if value in (float("inf"), float("-inf")) else value for key, value in row.items()} for '
         "row in ([{}] * 17 + [{'price': float('inf')}])]`")),
        ("return [{'a': [0, -float('inf')]}]", "/0/a/1", "finite", "-inf",
         '-inf is not a finite number: write `None if value in (float("inf"), float("-inf")) else value`'),
        ("return [{1: 2}]", "/0", "key", "1", ("a key must be a str, not int: write "
         "`return [{str(key): value for key, value in row.items()} for row in [{1: 2}]]`")),
        ("return [{'a': {None: 2}}]", "/0/a", "key", "None",
         "a key must be a str, not NoneType: write `{str(key): value for key, value in inner.items()}`"),
        ("return [{'a': {('x',): 2}}]", "/0/a", "key", "('x',)",
         "a key must be a str, not tuple: write `{str(key): value for key, value in inner.items()}`"),
        ("return [{'a/b~c': {1}}]", "/0/a~1b~0c", "unsupported", "{1}",
         "set has no JSON form: a set has no order: return sorted(...) or list(...) of it"),
        ("return [{'a': frozenset()}]", "/0/a", "unsupported", "frozenset()",
         "frozenset has no JSON form: a set has no order: return sorted(...) or list(...) of it"),
        ("return [{'a': 1j}]", "/0/a", "unsupported", "1j",
         "complex has no JSON form: JSON has no complex numbers: return its parts or str(...)"),
        ("return [{'a': range(3)}]", "/0/a", "unsupported", "range(0, 3)",
         "range has no JSON form: return list(...) of it"),
        ("return [{'a': {}.keys()}]", "/0/a", "unsupported", "dict_keys([])",
         "dict_keys has no JSON form: return list(...) of it"),
        ("return [{'a': len}]", "/0/a", "unsupported", "<built-in function len>",
         "builtin_function_or_method has no JSON form: call it, or leave it out"),
        ("return [{'a': ...}]", "/0/a", "unsupported", "Ellipsis",
         "ellipsis has no JSON form: return text, a number, a list or a dict instead"),
        ("x = {}\nx['self'] = x\nreturn [x]", "/0/self", "cycle", "{'self': {...}}", "the dict contains itself"),
        ("x = []\nx.append({'a': x})\nreturn x", "/0/a", "cycle", "[{'a': [...]}]", "the list contains itself"),
    ],
)  # fmt: skip
def test_what_has_no_json_form_is_refused_with_its_place(
    executor: Executor, statement: str, pointer: str, rule: str, value: str, message: str
) -> None:
    error = refused(executor, statement)
    # Of a value in a row the line that mends it follows: test_row_advice.py.
    said = error.message.partition(": write `return [{**row, ")[0]
    assert (error.pointer, error.rule, error.value, said) == (pointer, rule, value, message)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("pd.Series([1])", "pandas.Series has no JSON form: return series.tolist() or series.to_dict() of it"),
        ("pd.DataFrame()", 'pandas.DataFrame has no JSON form: return df.to_dict("records") of it'),
        ("pd.Index([1])", "pandas.Index has no JSON form: return index.tolist() of it"),
        ("pd.Interval(0, 1)", "pandas.Interval has no JSON form: return str(...) or its two ends"),
        ("np.complex128(1j)",
         "numpy.complex128 has no JSON form: JSON has no complex numbers: return its parts or str(...)"),
        ("np.clongdouble(1j)",
         "numpy.clongdouble has no JSON form: JSON has no complex numbers: return its parts or str(...)"),
        ("np.zeros(1, dtype=[('x', 'i4')])[0]", "numpy.void has no JSON form: return its fields as a dict"),
        ("np.timedelta64(1, 'M')", "numpy.timedelta64 of unit 'M' has no fixed length: return int(...) of it"),
    ],
)  # fmt: skip
def test_what_numpy_and_pandas_hold_without_a_json_form_is_refused(
    executor: Executor, expression: str, message: str
) -> None:
    error = refused(executor, f"{NUMPY}return [{{'a': {expression}}}]")
    assert (error.pointer, error.rule) == ("/0/a", "unsupported")
    said = error.message.partition(": write `return [{**row, ")[0]
    assert said.replace("complex256", "clongdouble") == message


def test_objects_of_the_statements_own_classes_are_refused_by_their_name(executor: Executor) -> None:
    statement = """
class Point:
    def __repr__(self):
        raise ValueError("no repr")
return [{"at": Point()}]
"""
    error = refused(executor, statement)
    assert (error.value, error.message) == (
        "<Point>", ("Point has no JSON form: return text, a number, a list or a dict instead: write "
        '`return [{**row, "at": str(row["at"])} for row in [{"at": Point()}]]`'),
    )  # fmt: skip


def test_a_shared_value_is_no_cycle(executor: Executor) -> None:
    assert executor.run("x = [1]\nreturn [{'a': x, 'b': x, 'c': [x, x]}]").rows == [
        {"a": [1], "b": [1], "c": [[1], [1]]}
    ]


def test_depth_has_a_limit_of_512(executor: Executor) -> None:
    statement = "x = 0\nfor _ in range({}):\n    x = [x]\nreturn [{{'a': x}}]"
    assert executor.run(statement.format(510)).status is Status.FINISHED
    error = refused(executor, statement.format(511))
    assert (error.rule, error.message) == ("depth", "nested deeper than 512 levels")
    error = refused(executor, statement.format(100_000))
    assert (error.rule, error.message) == ("depth", "nested deeper than 512 levels")


def test_a_lone_surrogate_is_refused(executor: Executor) -> None:
    error = refused(executor, "return [{'a': '\\ud800'}]")
    assert (error.pointer, error.rule) == ("/0/a", "unsupported")
    assert error.message.startswith("the text holds half of a surrogate pair, which JSON cannot carry: write `return ")
    error = refused(executor, "return [{'a': {'\\ud800': 1}}]")
    assert error.message == "the text holds half of a surrogate pair, which JSON cannot carry"


def test_an_integer_of_too_many_digits_is_refused(executor: Executor) -> None:
    assert executor.run("return [{'a': 10 ** 4299}]").rows == [{"a": 10**4299}]
    error = refused(executor, "return [{'a': 10 ** 4300}]")
    assert (error.pointer, error.rule) == ("/0/a", "unsupported")
    assert error.message.startswith("the integer has more digits than Python will write: write `return ")


def test_an_exception_in_a_method_of_a_converted_value_is_the_statements(executor: Executor) -> None:
    statement = """
import datetime
class Odd(datetime.date):
    def isoformat(self):
        raise KeyError("odd")
return [{"a": Odd(2024, 1, 1)}]
"""
    result = executor.run(statement)
    assert result.status is Status.STATEMENT_RAISED
    assert result.error is not None
    assert result.error.message == "KeyError: 'odd' (line 5)"


def test_the_size_of_the_output_is_limited(executor: Executor) -> None:
    rows = [{"text": "x" * 100}] * 10
    size = len(json.dumps(rows, separators=(",", ":")))
    statement = "return [{'text': 'x' * 100}] * 10"
    assert executor.run(statement, limits=Limits(output_bytes=size)).rows == rows
    result = executor.run(statement, limits=Limits(output_bytes=size - 1))
    assert result.status is Status.OUTPUT_REFUSED
    assert isinstance(result.error, OutputLimitError)
    assert result.error.limit == size - 1
    assert executor.run(statement).rows == rows


def test_an_output_of_300_megabytes_is_refused_without_being_built(executor: Executor) -> None:
    result = executor.run("row = {'text': 'x' * 1_000_000}\nreturn [row] * 300")
    assert result.status is Status.OUTPUT_REFUSED
    assert isinstance(result.error, OutputLimitError)
    assert result.usage.peak_memory_bytes < 400_000_000


def test_a_hundred_thousand_rows_come_out_whole(executor: Executor) -> None:
    rows = executor.run("return [{'i': i, 'f': i / 3, 't': str(i)} for i in range(100_000)]").rows
    assert len(rows) == 100_000
    assert rows[77_777] == {"i": 77_777, "f": 77_777 / 3, "t": "77777"}
