"""Contract C5: a refused output names pointer and value, and the line of code that mends it really does."""

import re
from typing import Any

import pytest

from wasmexec import Executor, OutputError, Status

PANDAS = """
import pandas as pd
import numpy as np
df = pd.DataFrame({"city": ["Brno", "Oslo", "Brno"], "year": [2023, 2023, 2024], "amount": [1.5, 2.0, 3.5]})
"""
COLLECTIONS = "import warnings\ncollections = warnings.sys.modules['collections']\n"


def refused(executor: Executor, statement: str, **options: Any) -> OutputError:
    result = executor.run(statement, **options)
    assert result.status is Status.OUTPUT_REFUSED, result.error
    assert isinstance(result.error, OutputError)
    return result.error


def advice(error: OutputError) -> str:
    found = re.search(r": write `(.*)`$", error.message)
    assert found is not None, error.message
    return found[1]


def mended(statement: str, line: str) -> str:
    """The statement with the advised line: in the place of its last return, or above it."""
    lines = statement.split("\n")
    at = max(index for index, text in enumerate(lines) if text.startswith("return"))
    lines[at : at + (1 if line.startswith("return") else 0)] = [line]
    return "\n".join(lines)


def mend(executor: Executor, statement: str, **options: Any) -> tuple[OutputError, str, list[dict[str, Any]]]:
    """The refusal, the advised line, and the rows that come of taking the advice."""
    error = refused(executor, statement, **options)
    line = advice(error)
    imports = "import json\n" if "json.loads" in line and "import json" not in statement else ""
    result = executor.run(imports + mended(statement, line), **options)
    assert result.error is None, (line, result.error)
    return error, line, result.rows


@pytest.mark.parametrize(
    ("frame", "key", "line", "names"),
    [
        ("t = df.groupby('city').agg({'amount': ['sum', 'mean']})", "('amount', 'sum')",
         't.columns = ["_".join(filter(None, map(str, name))) for name in t.columns]', ["amount_sum", "amount_mean"]),
        ("t = df.groupby('city').agg({'amount': ['sum', 'mean']}).reset_index()", "('city', '')",
         't.columns = ["_".join(filter(None, map(str, name))) for name in t.columns]',
         ["city", "amount_sum", "amount_mean"]),
        ("t = df.groupby(['city', 'year'])['amount'].agg(['sum']).unstack()", "('sum', 2023)",
         't.columns = ["_".join(filter(None, map(str, name))) for name in t.columns]', ["sum_2023", "sum_2024"]),
        ("t = df.pivot_table(index='city', columns='year', values='amount')", "2023",
         "t.columns = t.columns.map(str)", ["2023", "2024"]),
        ("t = df.pivot_table(index='city', columns='year', values='amount').reset_index()", "2023",
         "t.columns = t.columns.map(str)", ["city", "2023", "2024"]),
        ("t = pd.DataFrame([[1, 2]])", "0", "t.columns = t.columns.map(str)", ["0", "1"]),
        ("t = pd.DataFrame([[1, 2]], columns=[np.int64(7), 'a'])", "7", "t.columns = t.columns.map(str)", ["7", "a"]),
        ("t = pd.DataFrame([[1, 2]], columns=['a', None])", "None", "t.columns = t.columns.map(str)", ["a", "None"]),
        ("t = pd.DataFrame([[1, 2]], columns=['a', np.nan])", "nan", "t.columns = t.columns.map(str)", ["a", "nan"]),
        ("t = pd.DataFrame([[1]], columns=pd.date_range('2024-01-01', periods=1))",
         "Timestamp('2024-01-01 00:00:00')", "t.columns = t.columns.map(str)", ["2024-01-01 00:00:00"]),
        ("t = pd.DataFrame([[1]], columns=pd.period_range('2024-01', periods=1, freq='M'))",
         "Period('2024-01', 'M')", "t.columns = t.columns.map(str)", ["2024-01"]),
        ("t = pd.crosstab(df['city'], pd.cut(df['amount'], [0, 2, 4]))", "Interval(0, 2, closed='right')",
         "t.columns = t.columns.map(str)", ["(0, 2]", "(2, 4]"]),
        ("t = pd.DataFrame([[1, 2]], columns=['a', ('b', 'c')])", "('b', 'c')",
         ('t.columns = ["_".join(filter(None, map(str, name))) if isinstance(name, tuple) else str(name) '
         "for name in t.columns]"), ["a", "b_c"]),
    ],
)  # fmt: skip
def test_columns_that_are_no_texts(executor: Executor, frame: str, key: str, line: str, names: list[str]) -> None:
    error, advised, rows = mend(executor, f"{PANDAS}{frame}\nreturn t.to_dict('records')")
    assert (error.pointer, error.rule, error.value, advised) == ("/0", "key", key, line)
    assert list(rows[0]) == names


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        ("return df.pivot(columns='year', values='amount').to_dict('records')",
         [{"2023": 1.5, "2024": None}, {"2023": 2.0, "2024": None}, {"2023": None, "2024": 3.5}]),
        ("rows = df.groupby('city').agg({'amount': ['sum']}).to_dict('records')\nreturn rows",
         [{"amount_sum": 5.0}, {"amount_sum": 2.0}]),
        ("t = pd.DataFrame([[1]])\nrows = t.to_dict('records')\nreturn rows", [{"0": 1}]),
    ],
)  # fmt: skip
def test_columns_of_a_frame_without_a_name_or_taken_apart_before(
    executor: Executor, statement: str, rows: list[dict[str, Any]]
) -> None:
    assert mend(executor, PANDAS + statement)[2] == rows


@pytest.mark.parametrize(
    ("statement", "value", "rows"),
    [
        ("rows = [{1: 'a'}]\nreturn rows", "1", [{"1": "a"}]),
        ("return [{(1, 2): 'a', None: 3}]", "(1, 2)", [{"(1, 2)": "a", "None": 3}]),
        ("import datetime\nreturn [{datetime.date(2024, 1, 1): 1}]", "datetime.date(2024, 1, 1)", [{"2024-01-01": 1}]),
        ("return [{'a': 0}, {True: 1, 2.5: 1}]", "True", [{"a": 0}, {"True": 1, "2.5": 1}]),
    ],
)
def test_keys_of_plain_rows(executor: Executor, statement: str, value: str, rows: list[dict[str, Any]]) -> None:
    error, line, found = mend(executor, statement)
    assert (error.rule, error.value, found) == ("key", value, rows)
    assert line.startswith("return [{str(key): value for key, value in row.items()} for row in ")


def test_a_key_inside_a_row_is_mended_where_it_is_made(executor: Executor) -> None:
    error = refused(executor, "return [{'a': {1: 2}}]")
    assert (error.pointer, advice(error)) == ("/0/a", "{str(key): value for key, value in inner.items()}")
    statement = "inner = {1: 2}\nreturn [{'a': {str(key): value for key, value in inner.items()}}]"
    assert executor.run(statement).rows == [{"a": {"1": 2}}]


@pytest.mark.parametrize(
    ("statement", "pointer", "rows"),
    [
        ("df['r'] = df.amount / 0\nreturn df[['r']].to_dict('records')", "/0/r", [{"r": None}] * 3),
        ("df['r'] = [1, -np.inf, None]\nt = df[['r']]\nreturn t.to_dict('records')", "/1/r",
         [{"r": 1.0}, {"r": None}, {"r": None}]),
        ("t = pd.DataFrame({'r': np.array([1, np.inf], dtype='float32')})\nrows = t.to_dict('records')\nreturn rows",
         "/1/r", [{"r": 1.0}, {"r": None}]),
        ("return [{'r': np.inf, 'tags': [1, 2], 'n': None}, {'r': np.float32('-inf')}]", "/0/r",
         [{"r": None, "tags": [1, 2], "n": None}, {"r": None}]),
    ],
)  # fmt: skip
def test_infinite_numbers(executor: Executor, statement: str, pointer: str, rows: list[dict[str, Any]]) -> None:
    error, _, found = mend(executor, PANDAS + statement)
    assert (error.pointer, error.rule, found) == (pointer, "finite", rows)


FRAMES = [
    "df.values.tolist()", "df.values", "df.to_numpy()", "df.to_numpy().tolist()", "[row for _, row in df.iterrows()]",
    "list(df.iterrows())", "df.iterrows()", "df.itertuples()", "list(df.itertuples(index=False))", "df.to_dict()",
    "df.to_dict('list')", "df.to_dict('series')", "df.to_dict('split')", "df.to_json()",
    "df.to_json(orient='records')", "df.to_csv(index=False)", "df.to_string()", "df", "[df]",
    "[df.iloc[n] for n in range(3)]", "df.to_records(index=False)", "tuple(df.to_dict('records'))",
    "iter(df.to_dict('records'))",
]  # fmt: skip


@pytest.mark.parametrize("expression", FRAMES)
@pytest.mark.parametrize("form", ["return {}", "result = {}\nreturn result"])
def test_every_way_to_return_a_frame_wrongly_ends_in_its_records(
    executor: Executor, expression: str, form: str
) -> None:
    rows = mend(executor, PANDAS + form.format(expression))[2]
    assert rows == [
        {"city": "Brno", "year": 2023, "amount": 1.5}, {"city": "Oslo", "year": 2023, "amount": 2.0},
        {"city": "Brno", "year": 2024, "amount": 3.5},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "rows"),
    [
        ("df.groupby('city')[['amount']].sum()", [{"city": "Brno", "amount": 5.0}, {"city": "Oslo", "amount": 2.0}]),
        ("df.groupby('city')['amount'].sum()", [{"city": "Brno", "amount": 5.0}, {"city": "Oslo", "amount": 2.0}]),
        ("df.groupby('city')['amount'].sum().to_dict()", [{"Brno": 5.0, "Oslo": 2.0}]),
        ("df.groupby('year')['amount'].sum().to_dict()", [{"key": 2023, "value": 3.5}, {"key": 2024, "value": 3.5}]),
        ("df.groupby(['city', 'year']).size()",
         [{"city": "Brno", "year": 2023, "value": 1}, {"city": "Brno", "year": 2024, "value": 1},
          {"city": "Oslo", "year": 2023, "value": 1}]),
        ("df.groupby('city').size()", [{"city": "Brno", "value": 2}, {"city": "Oslo", "value": 1}]),
        ("df['city'].value_counts()", [{"city": "Brno", "count": 2}, {"city": "Oslo", "count": 1}]),
        ("df.groupby('city')", [{"city": "Brno", "count": 2}, {"city": "Oslo", "count": 1}]),
        ("df.amount * 2 > 3", [{"amount": False}, {"amount": True}, {"amount": True}]),
        ("pd.Series([1, 2])", [{"value": 1}, {"value": 2}]),
        ("pd.Series({1: 2})", [{"index": 1, "value": 2}]),
        ("pd.Series([1], index=pd.Index(['x'], name=5))", [{"key": "x", "value": 1}]),
        ("df.amount.rename(5)", [{"value": 1.5}, {"value": 2.0}, {"value": 3.5}]),
        ("df.columns", [{"value": "city"}, {"value": "year"}, {"value": "amount"}]),
        ("df.city.unique()", [{"value": "Brno"}, {"value": "Oslo"}]),
        ("df.amount.sum()", [{"value": 7.0}]),
        ("np.array([[1, 2], [3, 4]])", [{"column1": 1, "column2": 2}, {"column1": 3, "column2": 4}]),
        ("list(np.array([[1, 2]]))", [{"column1": 1, "column2": 2}]),
        ("np.array(5)", [{"value": 5}]),
        ("np.int64(1)", [{"value": 1}]),
        ("df['amount'].tolist()", [{"value": 1.5}, {"value": 2.0}, {"value": 3.5}]),
        ("df.to_dict('records')[0]", [{"city": "Brno", "year": 2023, "amount": 1.5}]),
        ("list(df[['year']].head(1).groupby('year'))", [{"year": 2023}]),
    ],
)  # fmt: skip
def test_what_pandas_and_numpy_hold_becomes_rows(
    executor: Executor, expression: str, rows: list[dict[str, Any]]
) -> None:
    assert mend(executor, f"{PANDAS}return {expression}")[2] == rows


@pytest.mark.parametrize(
    ("statement", "line", "rows"),
    [
        ("return {'a': 1}", "return [{'a': 1}]", [{"a": 1}]),
        ("row = {'a': 1}\nreturn row", "return [row]", [{"a": 1}]),
        ("return {'x': {'a': 1}, 'y': {'a': 2}}", "return list({'x': {'a': 1}, 'y': {'a': 2}}.values())",
         [{"a": 1}, {"a": 2}]),
        ("return {1: 2}", 'return [{"key": key, "value": value} for key, value in {1: 2}.items()]',
         [{"key": 1, "value": 2}]),
        ("rows = ({'a': 1},)\nreturn rows", "return list(rows)", [{"a": 1}]),
        ("return {'a': 1}, {'a': 2}", "return list(({'a': 1}, {'a': 2}))", [{"a": 1}, {"a": 2}]),
        ("return 5", 'return [{"value": (5)}]', [{"value": 5}]),
        ("return 'abc'", "return [{\"text\": ('abc')}]", [{"text": "abc"}]),
        ("text = '[{\"a\": 1}]'\nreturn text", "return json.loads(text)", [{"a": 1}]),
        ("text = '{\"a\": 1}'\nreturn text", "return [json.loads(text)]", [{"a": 1}]),
        ("import json\nrows = [{'a': 1}]\nreturn json.dumps(rows, indent=2)", "return rows", [{"a": 1}]),
        ("import json\nrows = [{'a': 1}]\ntext = json.dumps(rows)\nreturn text", "return rows", [{"a": 1}]),
        ("return range(2)", 'return [{"value": row} for row in range(2)]', [{"value": 0}, {"value": 1}]),
        ("return {1}", 'return [{"value": row} for row in {1}]', [{"value": 1}]),
        ("return {'a': 1}.items()", 'return [dict(zip(["column1", "column2"], row)) for row in {\'a\': 1}.items()]',
         [{"column1": "a", "column2": 1}]),
        ("return {'k': {'a': 1}}.items()", "return [row for _, row in {'k': {'a': 1}}.items()]", [{"a": 1}]),
        ("return {'k': {'a': 1}}.values()", "return list({'k': {'a': 1}}.values())", [{"a": 1}]),
        ("return zip([1], 'b')", None, [{"column1": 1, "column2": "b"}]),
        ("return (row for row in INPUT_DATA)", "return list((row for row in INPUT_DATA))", [{"a": 1}]),
        ("return map(dict, INPUT_DATA)", "return list(map(dict, INPUT_DATA))", [{"a": 1}]),
        ("def gen():\n    yield {'a': 1}\nreturn gen()", "return list(gen())", [{"a": 1}]),
        ("def gen():\n    yield {'a': 1}\nreturn gen", "return list(gen())", [{"a": 1}]),
        ("def make():\n    return [{'a': 1}]\nreturn make", "return make()", [{"a": 1}]),
        ("async def gen():\n    yield {'a': 1}\nreturn gen()", "return [row async for row in gen()]", [{"a": 1}]),
        ("async def get():\n    return [{'a': 1}]\nreturn get()", "return await get()", [{"a": 1}]),
        ("async def get():\n    return [{'a': 1}]\nreturn get", "return await get()", [{"a": 1}]),
        ("async def get():\n    return {'a': 1}\nreturn [get(), get()]", "return await gather(*[get(), get()])",
         [{"a": 1}, {"a": 1}]),
        ("return [1, 2]", 'return [{"value": row} for row in [1, 2]]', [{"value": 1}, {"value": 2}]),
        ("return ['{\"a\": 1}']", "return [json.loads(row) for row in ['{\"a\": 1}']]", [{"a": 1}]),
        ("return [{'a': 1}, None]", "return [row for row in [{'a': 1}, None] if row is not None]", [{"a": 1}]),
        ("return [{'a': 1}, 5]",
         'return [row if isinstance(row, dict) else {"value": row} for row in [{\'a\': 1}, 5]]',
         [{"a": 1}, {"value": 5}]),
        ("rows = [[1, 'x']]\nreturn rows", 'return [dict(zip(["column1", "column2"], row)) for row in rows]',
         [{"column1": 1, "column2": "x"}]),
        ("return [list(range(13))]", None, [{f"column{n + 1}": n for n in range(13)}]),
        ("return [{1}]", 'return [{"value": list(row)} for row in [{1}]]', [{"value": [1]}]),
        ("class P:\n    def __init__(self):\n        self.x = 1\nreturn [P()]", "return [vars(row) for row in [P()]]",
         [{"x": 1}]),
        ("class P:\n    def __init__(self):\n        self.x = 1\nreturn P()", "return [vars(P())]", [{"x": 1}]),
        (COLLECTIONS + "P = collections.namedtuple('P', 'x y')\nreturn [P(1, 2)]",
         "return [row._asdict() for row in [P(1, 2)]]", [{"x": 1, "y": 2}]),
        (COLLECTIONS + "return collections.deque([{'a': 1}])", "return list(collections.deque([{'a': 1}]))",
         [{"a": 1}]),
        ("import httpx\nreturn httpx.Response(200, json=[{'a': 1}])", None, [{"a": 1}]),
        ("import httpx\nreturn [httpx.Response(200, json={'a': 1})]", None, [{"a": 1}]),
        ("import httpx\nreturn httpx.Headers({'a': 'b'})", "return [dict(httpx.Headers({'a': 'b'}))]", [{"a": "b"}]),
        ("import datetime\nreturn [datetime.date(2024, 1, 1)]", None, [{"value": "2024-01-01"}]),
        ("return [len]", None, [{"value": "<built-in function len>"}]),
    ],
)  # fmt: skip
def test_whatever_else_is_returned_becomes_rows(
    executor: Executor, statement: str, line: str | None, rows: list[dict[str, Any]]
) -> None:
    _, advised, found = mend(executor, statement, input_data=[{"a": 1}])
    assert found == rows
    assert line is None or advised == line


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        ("return [{'a': {1}, 'b': 2}]", [{"a": [1], "b": 2}]),
        ("return [{'a/b': frozenset({1})}]", [{"a/b": [1]}]),
        ("return [{'a': range(2)}, {'a': [5]}]", [{"a": [0, 1]}, {"a": [5]}]),
        ("return [{'a': {'k': 1}.keys()}]", [{"a": ["k"]}]),
        ("return [{'a': (n for n in 'xy')}]", [{"a": ["x", "y"]}]),
        ("return [{'a': 1j}]", [{"a": "1j"}]),
        ("import warnings\nhalf = warnings.sys.modules['fractions'].Fraction(1, 2)\nreturn [{'a': half}]",
         [{"a": 0.5}]),
        ("async def get():\n    return 1\nreturn [{'a': get()}]", [{"a": 1}]),
        ("class P:\n    def __init__(self):\n        self.x = 1\nreturn [{'a': P()}]", [{"a": {"x": 1}}]),
        ("return [{'a': ...}]", [{"a": "Ellipsis"}]),
        ("return [{'a': 'x\\ud800'}]", [{"a": "x?"}]),
        ("return [{'a': 16 ** 4000}]", [{"a": "0x1" + "0" * 4000}]),
        (PANDAS + "return [{'a': np.timedelta64(2, 'M')}]", [{"a": 2}]),
        (PANDAS + "return [{'a': np.complex128(1j)}]", [{"a": "1j"}]),
        (PANDAS + "return [{'a': df.year}]", [{"a": [2023, 2023, 2024]}]),
        (PANDAS + "return [{'a': df[['year']].head(1)}]", [{"a": [{"year": 2023}]}]),
        (PANDAS + "return [{'a': df.columns}]", [{"a": ["city", "year", "amount"]}]),
        (PANDAS + "return [{'a': pd.Interval(0, 1)}]", [{"a": "(0, 1]"}]),
        (PANDAS + "t = pd.DataFrame({'a': [{1}, {2}]})\nreturn t.to_dict('records')", [{"a": [1]}, {"a": [2]}]),
        (PANDAS + "t = df.groupby('city').agg({'year': set}).reset_index()\nrows = t.to_dict('records')\nreturn rows",
         [{"city": "Brno", "year": [2024, 2023]}, {"city": "Oslo", "year": [2023]}]),
    ],
)  # fmt: skip
def test_a_value_without_a_json_form(executor: Executor, statement: str, rows: list[dict[str, Any]]) -> None:
    error, _, found = mend(executor, statement)
    assert (error.rule, error.pointer.count("/")) == ("unsupported", 2)
    assert [{key: value if not isinstance(value, list) or key != "year" else sorted(value, reverse=True)
             for key, value in row.items()} for row in found] == rows  # fmt: skip


def test_advice_about_hostile_objects_is_left_out(executor: Executor) -> None:
    statement = """
class Row:
    @property
    def __dict__(self):
        raise KeyboardInterrupt
    def __getattr__(self, name):
        raise SystemExit
return [Row()]
"""
    assert refused(executor, statement).message == "every row must be a dict, not Row"


def test_nothing_returned_says_which_line_was_meant(executor: Executor) -> None:
    start = (
        "the statement ended without a return: its last line must return a list of objects, [] when there are no rows"
    )
    main = "def main():\n    return [{'a': 1}]\nif __name__ == '__main__':\n    main()"
    for statement, more in (
        ("rows = [{'a': 1}]", ""),
        ("rows = [{'a': 1}]\nrows", "; write `return rows`"),
        ("async def f():\n    return [{'a': 1}]\nawait f()", "; write `return await f()`"),
        ("rows = []\nlog.info('done')", ""),
        (main, "; write `return main()` there"),
    ):
        assert refused(executor, statement).message == start + more
        found = executor.check(statement)
        assert found[0].message.endswith(more or "must return a list of objects")
    assert executor.run(main.replace("    main()", "    return main()")).rows == [{"a": 1}]


# What the schema refuses: two lines each, for rows as they are and for the frame that they came from.

OF_COLUMNS = [
    ("text", 5, "5"), ("text", True, "True"), ("text", {"a": 1}, '{"a": 1}'), ("text", [1], "[1]"),
    ("integer", "3", 3), ("integer", "1,234", 1234), ("integer", "3.0", 3), ("integer", 3.0, 3), ("integer", 3.7, 4),
    ("integer", True, 1), ("double", "1.5", 1.5), ("double", "1,5", 1.5), ("double", "1e3", 1000.0),
    ("double", True, 1.0), ("double", "1,234.5", 1234.5), ("boolean", 1, True), ("boolean", 0, False),
    ("boolean", "true", True), ("boolean", "No", False), ("boolean", 1.0, True),
    ("datetime", "16.10.2036", "2036-10-16T00:00:00"),
    ("datetime", "16/10/2036 09:22", "2036-10-16T09:22:00"), ("datetime", "Oct 16, 2036", "2036-10-16T00:00:00"),
    ("datetime", "10/16/2036", "2036-10-16T00:00:00"), ("base64", "hello!", "aGVsbG8h"), ("json", '{"a": 1}', {"a": 1}),
]  # fmt: skip


def lines(error: OutputError) -> tuple[str, str]:
    found = re.fullmatch(r"write `(.*)`, with pandas `(.*)`(?:, or let the column allow null)?", error.fix)
    assert found is not None, error.message
    assert error.message.endswith(f"; {error.fix}")
    return found[1], found[2]


def both_ways(executor: Executor, row: dict[str, Any], schema: Any) -> list[Any]:
    """The refusal of one row, and what comes of each of the two lines."""
    imports = "import json, datetime\nimport pandas as pd\n"
    plain = f"{imports}rows = INPUT_DATA\n@\nreturn rows"
    framed = f"{imports}df = pd.DataFrame(INPUT_DATA)\n@\nreturn df.to_dict('records')"
    error = refused(executor, plain.replace("@", ""), input_data=[row], output_schema=schema)
    found: list[Any] = [error]
    for statement, line in zip((plain, framed), lines(error), strict=True):
        result = executor.run(statement.replace("@", line), input_data=[row], output_schema=schema)
        assert result.error is None, (line, result.error)
        found.append(result.rows)
    return found


@pytest.mark.parametrize(("kind", "value", "wanted"), OF_COLUMNS, ids=repr)
def test_a_value_of_another_type_is_converted_by_either_line(
    executor: Executor, kind: str, value: object, wanted: object
) -> None:
    schema = [{"name": "v", "type": kind}]
    error, plain, framed = both_ways(executor, {"v": value}, schema)
    assert (error.pointer, error.rule) == ("/0/v", "type" if error.rule == "type" else kind)
    assert plain == framed == [{"v": wanted}]


def test_seconds_since_1970_become_a_time(executor: Executor) -> None:
    for number in (2107588953, 2107588953000, 2107588953.5):
        _, plain, framed = both_ways(executor, {"v": number}, [{"name": "v", "type": "datetime"}])
        assert plain[0]["v"].startswith("2036-10-14T09:22:33")
        assert framed[0]["v"].startswith("2036-10-14T09:22:33")


@pytest.mark.parametrize(
    ("row", "rule", "wanted"),
    [
        ({"City": "Oslo"}, "missing", {"city": "Oslo"}),
        ({"CITY": "Oslo"}, "missing", {"city": "Oslo"}),
        ({"ci ty": "Oslo"}, "missing", {"city": "Oslo"}),
        ({"citty": "Oslo"}, "missing", {"city": "Oslo"}),
        ({"nothing": None, "city": "Oslo"}, "extra", {"city": "Oslo"}),
        ({"City": "Oslo", "city": "Brno"}, "extra", {"city": "Brno"}),
        ({"city": None}, "null", {"city": ""}),
    ],
)
def test_names_and_nulls_are_put_right_by_either_line(
    executor: Executor, row: dict[str, Any], rule: str, wanted: dict[str, Any]
) -> None:
    error, plain, framed = both_ways(executor, row, [{"name": "city", "type": "text"}])
    assert error.rule == rule
    assert plain == framed == [wanted]


def test_short_names_that_differ_in_case_only_are_seen(executor: Executor) -> None:
    schema = {"properties": {"id": {"type": "integer"}}, "required": ["id"], "additionalProperties": False}
    for form in ([{"name": "id", "type": "integer"}], schema):
        error, plain, framed = both_ways(executor, {"ID": 1}, form)
        assert 'row["id"] = row.pop("ID")' in error.fix
        assert plain == framed == [{"id": 1}]


@pytest.mark.parametrize(
    ("schema", "value", "wanted"),
    [
        ({"type": "integer"}, "3", 3), ({"type": ["null", "number"]}, "1.5", 1.5), ({"type": "string"}, 5, "5"),
        ({"type": "boolean"}, 1, True),
        ({"type": "string", "format": "date-time"}, "16.10.2036", "2036-10-16T00:00:00"),
        ({"type": "string"}, None, ""), ({"type": "array"}, "[1]", [1]),
    ],
)  # fmt: skip
def test_a_json_schema_is_answered_alike(
    executor: Executor, schema: dict[str, Any], value: object, wanted: object
) -> None:
    _, plain, framed = both_ways(executor, {"v": value}, {"properties": {"v": schema}})
    assert plain == framed == [{"v": wanted}]


@pytest.mark.parametrize(
    ("statement", "line", "rows"),
    [
        ("return [{n: 'x'} for n in df.year]", "return [{str(key): value", {"2023": "x"}),
        ("rows = [{(1, 'a'): 2, 3: 4}]\nreturn rows", 'return [{"_".join(map(str, key))', {"1_a": 2, "3": 4}),
        ("rows = [{None: int(df.year.max())}]\nreturn rows", "return [{str(key): value", {"None": 2024}),
    ],
)
def test_keys_that_no_frame_has_given_are_mended_in_the_rows(
    executor: Executor, statement: str, line: str, rows: dict[str, Any]
) -> None:
    _, told, found = mend(executor, PANDAS + statement)
    assert told.startswith(line)
    assert found[0] == rows


def test_pages_of_rows_are_put_together(executor: Executor) -> None:
    pages = "async def page(n):\n    return [{'n': n}, {'n': n + 1}]\nreturn await gather(page(1), page(5))"
    error, line, rows = mend(executor, pages)
    assert error.pointer == "/0"
    assert line == "return [row for part in (await gather(page(1), page(5))) for row in part]"
    assert [row["n"] for row in rows] == [1, 2, 5, 6]


@pytest.mark.parametrize(
    ("statement", "said", "value"),
    [
        ("import io\nbuffer = io.BytesIO()\nbuffer.write(b'abc')\nreturn [{'a': buffer}]", "what it holds", "YWJj"),
        ("import io\nbuffer = io.StringIO()\nbuffer.write('abc')\nreturn [{'a': buffer}]", "what it holds", "abc"),
        ("import httpx\nreturn [{'a': httpx.Response(200, json=[1])}]", "return text", [1]),
        ("import httpx\nreturn [{'a': httpx.Headers({'b': 'c'})}]", "return dict(...) of it", {"b": "c"}),
        ("import matplotlib.pyplot as plt\nreturn [{'a': plt.figure(figsize=(1, 1))}]", "text", "Figure(100x100)"),
    ],
)
def test_objects_of_libraries_are_mended(executor: Executor, statement: str, said: str, value: object) -> None:
    """A buffer that was just written is at its end: `list` of it would be empty."""
    error, _, rows = mend(executor, statement)
    assert said in error.message
    assert rows == [{"a": value}]
