"""Contract C3 and C9: a statement is the body of an async function, and what it returns is the output."""

from typing import Any

import pytest

import wasmexec
from wasmexec import Executor, OutputError, StatementSyntaxError, Status


def rows_of(executor: Executor, statement: str, **options: Any) -> list[dict[str, Any]]:
    result = executor.run(statement, **options)
    result.raise_for_status()
    return result.rows


def test_the_product_pages_own_statement_returns_its_three_rows(executor: Executor) -> None:
    statement = """
people = [
    { "name": "Ann" },
    { "name": "Ben" },
    { "name": "Cleo" },
]

return people
"""
    schema = [{"name": "name", "type": "text", "allow_null": False}]
    result = executor.run(statement, output_schema=schema)
    assert result.status is Status.FINISHED
    assert result.rows == [{"name": "Ann"}, {"name": "Ben"}, {"name": "Cleo"}]
    assert result.logs == []
    assert result.error is None


def test_imports_of_listed_modules_pass_and_of_others_fail_one_by_one(executor: Executor) -> None:
    passing = """
import string
import pandas as frames
from json import dumps
from xml import etree
return [{"a": string.digits[:3], "b": frames.__name__, "c": dumps({}), "d": etree.__name__}]
"""
    assert rows_of(executor, passing) == [{"a": "012", "b": "pandas", "c": "{}", "d": "xml.etree"}]
    for line in ("import os", "import sys", "from xml.etree import ElementTree"):
        result = executor.run(f"{line}\nreturn []")
        assert result.status is Status.STATEMENT_RAISED
        assert isinstance(result.error, wasmexec.StatementRaised)
        assert (result.error.type_name, result.error.line) == ("ImportError", 1)


def test_a_plain_assignment_runs_and_an_annotated_one_is_a_syntax_error(executor: Executor) -> None:
    assert rows_of(executor, 'count = 1\nreturn [{"count": count}]') == [{"count": 1}]
    result = executor.run('count: int = 1\nreturn [{"count": count}]')
    assert result.status is Status.CONFIG_REFUSED
    error = result.error
    assert isinstance(error, StatementSyntaxError)
    assert (error.rule, error.line, error.column) == ("type-hint", 1, 8)
    assert error.message == "type hints are not allowed: remove the one of 'count'"
    assert error.text == "count: int = 1"
    assert error.rendered == (
        '  File "<statement>", line 1\n'
        "    count: int = 1\n"
        "           ^^^\n"
        "SyntaxError: type hints are not allowed: remove the one of 'count'\n"
    )


def test_the_vendors_seven_column_statement_runs_in_lenient_mode(executor: Executor) -> None:
    statement = """
import json;
log.warn(json.dumps(INPUT_DATA));
log.warn(LocalVariable.Title);
log.warn(LocalVariable.Amount);

row = {
    "Text": "some text",
    "Integer": 42,
    "Double": 4.5,
    "Boolean": True,
    "Date": "10/16/2036 09:22:33",
    "Base64": "certainly not Base64!",
    "Json": "[]",
};
return [row];
"""
    kinds = ("text", "integer", "double", "boolean", "datetime", "base64", "json")
    names = ("Text", "Integer", "Double", "Boolean", "Date", "Base64", "Json")
    columns = [{"name": name, "type": kind, "allow_null": True} for name, kind in zip(names, kinds, strict=True)]
    schema = wasmexec.Schema.prepare(columns, mode="lenient")
    result = executor.run(statement, output_schema=schema, local_variables={"Title": "monthly", "Amount": None})
    assert result.status is Status.FINISHED
    assert [(record.level, record.message) for record in result.logs] == [
        ("warn", "null"),
        ("warn", "monthly"),
        ("warn", "None"),
    ]
    row = result.rows[0]
    assert {name: row[name] for name in ("Text", "Integer", "Double", "Boolean")} == {
        "Text": "some text", "Integer": 42, "Double": 4.5, "Boolean": True,
    }  # fmt: skip
    assert row["Base64"] == "certainly not Base64!"


def test_await_and_return_are_legal_at_the_top_level(executor: Executor) -> None:
    statement = """
async def double(number):
    await sleep(0)
    return number * 2

if INPUT_DATA is None:
    return [{"doubled": await double(21)}]
return []
"""
    assert rows_of(executor, statement) == [{"doubled": 42}]


def test_async_for_async_with_and_async_comprehensions_work_at_the_top_level(executor: Executor) -> None:
    statement = """
class Source:
    async def __aenter__(self):
        return self
    async def __aexit__(self, *details):
        return None
    async def __aiter__(self):
        for number in range(3):
            await sleep(0)
            yield number

async with Source() as source:
    first = [number async for number in source]
    second = []
    async for number in source:
        second.append(number)
return [{"first": first, "second": second}]
"""
    assert rows_of(executor, statement) == [{"first": [0, 1, 2], "second": [0, 1, 2]}]


def test_multi_line_strings_keep_their_indentation(executor: Executor) -> None:
    statement = 'text = """a\n  b\n\tc\n"""\nif True:\n    other = """\nd"""\nreturn [{"text": text, "other": other}]'
    assert rows_of(executor, statement) == [{"text": "a\n  b\n\tc\n", "other": "\nd"}]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_keeps_the_line_numbers(executor: Executor, newline: str) -> None:
    result = executor.run(newline.join(["first = 1", "second = 2", "third = first / 0", "return []"]))
    assert isinstance(result.error, wasmexec.StatementRaised)
    assert result.error.line == 3
    assert "    third = first / 0\n            ~~~~~~^~~\n" in result.error.traceback


def test_a_byte_order_mark_in_front_is_ignored(executor: Executor) -> None:
    assert rows_of(executor, '\ufeffreturn [{"a": 1}]') == [{"a": 1}]


def test_trailing_semicolons_are_legal(executor: Executor) -> None:
    assert rows_of(executor, 'a = 1; b = 2;\nreturn [{"sum": a + b}];') == [{"sum": 3}]


def test_nothing_else_of_the_language_is_restricted(executor: Executor) -> None:
    statement = '''
"""a docstring"""
import itertools
class _Point:
    __slots__ = ("__x",)
    def __init__(self, x):
        self.__x = x
    @property
    def x(self):
        return self.__x
def apply(function, /, *args, key=None, **rest):
    return function(*args), key, rest
def numbers():
    received = yield 1
    yield received
steps = numbers()
next(steps)
match {"kind": "point", "at": [1, 2]}:
    case {"kind": "point", "at": [x, *others]}:
        found = (x, others)
exec("made = 40 + 2", scope := {})
global shared
shared = 7
def read():
    return shared
total = 0
for _private in itertools.chain([1], (2,)):
    total += _private
return [{
    "point": _Point(3).x,
    "apply": apply(lambda a, b=2: a + b, 1, key="k", z=0),
    "sent": steps.send("hello"),
    "match": found,
    "exec": scope["made"],
    "shared": read(),
    "total": total,
    "walrus": [y for n in range(4) if (y := n * n) > 1],
    "name": __name__,
}]
'''
    assert rows_of(executor, statement) == [{
        "point": 3, "apply": [3, "k", {"z": 0}], "sent": "hello", "match": [1, [2]], "exec": 42, "shared": 7,
        "total": 3, "walrus": [4, 9], "name": "__main__",
    }]  # fmt: skip


def test_falling_off_the_end_is_an_output_failure_that_says_so(executor: Executor) -> None:
    result = executor.run("users = [1]")
    assert result.status is Status.OUTPUT_REFUSED
    assert isinstance(result.error, OutputError)
    assert result.error.rule == "missing-return"
    assert result.error.message == (
        "the statement ended without a return: its last line must return a list of objects, [] when there are no rows"
    )


def test_an_empty_statement_falls_off_its_end_too(executor: Executor) -> None:
    for statement in ("", "\n", "# nothing\n", "pass"):
        result = executor.run(statement)
        assert isinstance(result.error, OutputError)
        assert result.error.rule == "missing-return"


def test_returning_none_is_not_the_same_as_falling_off_the_end(executor: Executor) -> None:
    result = executor.run("return None")
    assert isinstance(result.error, OutputError)
    assert result.error.rule == "list"
    assert result.error.message == (
        "the statement returned None, not a list of objects: write `return []` when there are no rows, or `return rows`"
    )


def test_each_execution_starts_from_fresh_globals(executor: Executor) -> None:
    first = """
import json, math
global kept
kept = 1
json.kept = 2
math.pi = 3
return [{"kept": kept}]
"""
    second = """
import json, math
return [{"kept": "kept" in globals(), "json": hasattr(json, "kept"), "pi": math.pi}]
"""
    assert rows_of(executor, first) == [{"kept": 1}]
    assert rows_of(executor, second) == [{"kept": False, "json": False, "pi": 3.141592653589793}]


def test_the_globals_of_a_statement_hold_the_api_and_nothing_else(executor: Executor) -> None:
    statement = "return [{'names': sorted(globals())}]"
    assert rows_of(executor, statement, input_data=[], extra_inputs=[[]]) == [{
        "names": [
            "DATA_CHECKPOINT", "INPUT_DATA", "INPUT_DATA2", "LocalVariable", "__builtins__", "__doc__", "__name__",
            "gather", "log", "sleep",
        ]
    }]  # fmt: skip
