"""Contract C4: the names a statement sees."""

from typing import Any

import pytest

from wasmexec import Executor, Limits, Result, StatementRaised, Status


def run(executor: Executor, statement: str, **options: Any) -> Result:
    result = executor.run(statement, **options)
    result.raise_for_status()
    return result


def raised(executor: Executor, statement: str, **options: Any) -> tuple[str, str]:
    result = executor.run(statement, **options)
    assert result.status is Status.STATEMENT_RAISED
    assert isinstance(result.error, StatementRaised)
    return result.error.type_name, result.error.exception_message


def log_of(executor: Executor, statement: str, **options: Any) -> list[tuple[str, str]]:
    return [(record.level, record.message) for record in run(executor, f"{statement}\nreturn []", **options).logs]


@pytest.mark.parametrize(
    "value",
    [None, [], [{"a": 1}], {"a": {"b": [1, 2.5, None, True, "é\u2028😀"]}}, "text", 12, 1.5, True, [[]], 2**70, ""],
)
def test_input_data_arrives_as_it_is(executor: Executor, value: object) -> None:
    assert run(executor, "return [{'value': INPUT_DATA}]", input_data=value).rows == [{"value": value}]


def test_json_bytes_are_an_input_too(executor: Executor) -> None:
    text = b' [ {"a": 1, "a": 2, "\\u00e9": -0.0, "n": 1e400} ] '
    statement = "return [{'value': repr(INPUT_DATA)}]"
    assert run(executor, statement, input_data=text).rows == [{"value": "[{'a': 2, 'é': -0.0, 'n': inf}]"}]


def test_no_input_is_none_and_an_input_without_rows_is_an_empty_list(executor: Executor) -> None:
    statement = "return [{'value': repr(INPUT_DATA)}]"
    assert run(executor, statement).rows == [{"value": "None"}]
    assert run(executor, statement, input_data=[]).rows == [{"value": "[]"}]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "INPUT_DATA is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b"", "INPUT_DATA is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"[1] x", "INPUT_DATA is not JSON: Extra data: line 1 column 5 (char 4)"),
        (b"[NaN]", "INPUT_DATA is not JSON: NaN is not JSON"),
        (b"[-Infinity]", "INPUT_DATA is not JSON: -Infinity is not JSON"),
        (b"[" * 100_000, "INPUT_DATA is nested too deeply"),
    ],
)
def test_an_input_that_is_not_json_is_refused_before_anything_runs(
    executor: Executor, data: bytes, message: str
) -> None:
    result = executor.run("log.info('ran')\nreturn []", input_data=data)
    assert result.status is Status.INPUT_REFUSED
    assert result.error is not None
    assert result.error.message == message
    assert result.logs == []


def test_an_input_that_is_not_utf8_is_refused(executor: Executor) -> None:
    result = executor.run("return []", input_data=b'["\xff"]')
    assert result.status is Status.INPUT_REFUSED
    assert result.error is not None
    assert "INPUT_DATA is not UTF-8: byte 0xff at position 2" in result.error.message


def test_further_inputs_are_numbered_from_two(executor: Executor) -> None:
    statement = "return [{'v': [INPUT_DATA, INPUT_DATA2, INPUT_DATA3, INPUT_DATA4, INPUT_DATA12]}]"
    result = run(executor, statement, input_data=[1], extra_inputs=[[2], None, []])
    assert result.rows == [{"v": [[1], [2], None, [], None]}]


def test_an_input_that_is_not_wired_is_none_also_inside_functions(executor: Executor) -> None:
    statement = "def f():\n    return INPUT_DATA2\nreturn [{'v': f(), 'w': eval('INPUT_DATA7')}]"
    assert run(executor, statement).rows == [{"v": None, "w": None}]


@pytest.mark.parametrize("name", ["INPUT_DATA1", "INPUT_DATA0", "INPUT_DATA02", "INPUT_DATA2x"])
def test_names_that_only_look_like_inputs_do_not_exist(executor: Executor, name: str) -> None:
    kind, message = raised(executor, f"return [{{'v': {name}}}]")
    assert kind == "NameError"
    assert message.startswith(f"name '{name}' is not defined")


def test_changing_the_input_has_no_effect_outside(executor: Executor) -> None:
    data = [{"a": [1]}]
    result = run(executor, "INPUT_DATA[0]['a'].append(2)\nreturn INPUT_DATA", input_data=data)
    assert result.rows == [{"a": [1, 2]}]
    assert data == [{"a": [1]}]


@pytest.mark.parametrize("value", [None, 0, 17, "2024-01-01", 1.5, {"a": [1]}])
def test_the_checkpoint_arrives_as_it_is(executor: Executor, value: object) -> None:
    assert run(executor, "return [{'v': DATA_CHECKPOINT}]", checkpoint=value).rows == [{"v": value}]


def test_local_variables_are_read_by_attribute(executor: Executor) -> None:
    statement = """
return [{
    "v": [LocalVariable.Name, LocalVariable.Count, LocalVariable.Unset, getattr(LocalVariable, "Flag")],
    "names": dir(LocalVariable),
    "has": [hasattr(LocalVariable, "Name"), hasattr(LocalVariable, "name"), hasattr(LocalVariable, "get")],
    "repr": repr(LocalVariable),
}]
"""
    variables = {"Name": "n", "Count": 3, "Unset": None, "Flag": True}
    assert run(executor, statement, local_variables=variables).rows == [{
        "v": ["n", 3, None, True], "names": ["Count", "Flag", "Name", "Unset"], "has": [True, False, False],
        "repr": "<LocalVariable: Count, Flag, Name, Unset>",
    }]  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("LocalVariable.nope", "there is no local variable 'nope'; the local variables are: A, B"),
        ("LocalVariable.A = 1", "local variables cannot be assigned: LocalVariable.A"),
        ("LocalVariable.nope = 1", "local variables cannot be assigned: LocalVariable.nope"),
        ("del LocalVariable.A", "local variables cannot be deleted: LocalVariable.A"),
        ("LocalVariable.A += 1", "local variables cannot be assigned: LocalVariable.A"),
    ],
)
def test_unknown_local_variables_and_assignments_are_attribute_errors(
    executor: Executor, statement: str, message: str
) -> None:
    assert raised(executor, statement, local_variables={"A": 1, "B": 2}) == ("AttributeError", message)


def test_without_local_variables_every_name_is_unknown(executor: Executor) -> None:
    message = "there is no local variable 'A'; the local variables are: none"
    assert raised(executor, "LocalVariable.A") == ("AttributeError", message)


def test_the_logger_has_five_levels(executor: Executor) -> None:
    statement = "log.trace('t')\nlog.debug('d')\nlog.info('i')\nlog.warn('w')\nlog.error('e')"
    assert log_of(executor, statement) == [
        ("trace", "t"), ("debug", "d"), ("info", "i"), ("warn", "w"), ("error", "e"),
    ]  # fmt: skip


def test_messages_that_are_not_text_are_made_text(executor: Executor) -> None:
    statement = "log.info(None)\nlog.info({'a': 1.5})\nlog.info(ValueError('v'))\nlog.info(b'x')\nlog.info('')"
    assert log_of(executor, statement) == [("info", t) for t in ("None", "{'a': 1.5}", "v", "b'x'", "")]


def test_messages_keep_every_character(executor: Executor) -> None:
    assert log_of(executor, "log.info('é\\n\\x00\\t😀 \\ud800')") == [("info", "é\n\x00\t😀 \\ud800")]


def test_a_logged_error_ends_in_202_with_the_rows_kept(executor: Executor) -> None:
    result = run(executor, "log.error('bad row')\nreturn [{'a': 1}]")
    assert (result.status, result.rows) == (Status.FINISHED_WITH_ERRORS, [{"a": 1}])


@pytest.mark.parametrize("name", ["warning", "exception", "critical", "log"])
def test_the_logger_has_no_other_methods(executor: Executor, name: str) -> None:
    kind, message = raised(executor, f"log.{name}('x')")
    assert kind == "AttributeError"
    assert message.startswith(f"'Log' object has no attribute '{name}'")


def test_the_log_keeps_what_came_before_a_failure(executor: Executor) -> None:
    result = executor.run("log.info('one')\nprint('two', end='')\n1 / 0")
    assert [(record.level, record.message) for record in result.logs] == [("info", "one"), ("info", "two")]
    assert result.status is Status.STATEMENT_RAISED


@pytest.mark.parametrize(
    ("call", "records"),
    [
        ("print('a', 1, None)", ["a 1 None"]),
        ("print()", [""]),
        ("print('a', 'b', sep='-')", ["a-b"]),
        ("print('a', 'b', sep='')", ["ab"]),
        ("print('two\\nlines')", ["two\nlines"]),
        ("print('a', end='')\nprint('b')", ["ab"]),
        ("print('a', end=', ')\nprint('b', end=', ')\nprint('c')", ["a, b, c"]),
        ("print('a', end='!\\n')", ["a!"]),
        ("print('a', end='')", ["a"]),
        ("print('a', end='', flush=True)\nprint('b')", ["a", "b"]),
        ("print('a', end='')\nlog.info('b')", ["a", "b"]),
        ("print('a', end=None, sep=None)", ["a"]),
        ("import warnings\nwarnings.sys.stdout.write('x\\ny')\nprint('z')", ["x", "yz"]),
    ],
)
def test_print_writes_to_the_log_at_info(executor: Executor, call: str, records: list[str]) -> None:
    assert log_of(executor, call) == [("info", text) for text in records]


def test_print_into_a_file_is_the_ordinary_print(executor: Executor) -> None:
    statement = """
import io
file = io.StringIO()
print(1, 2, sep="+", end="=3", file=file)
return [{"t": file.getvalue()}]
"""
    result = run(executor, statement)
    assert (result.rows, result.logs) == ([{"t": "1+2=3"}], [])


def test_print_refuses_the_same_options_as_the_ordinary_one(executor: Executor) -> None:
    assert raised(executor, "print(1, sep=2)") == ("TypeError", "sep must be None or a string, not int")
    assert raised(executor, "print(1, end=b'')") == ("TypeError", "end must be None or a string, not bytes")


def test_what_libraries_print_goes_to_the_log(executor: Executor) -> None:
    statement = "import pandas as pd\npd.DataFrame({'a': [1]}).info(memory_usage=False)"
    records = log_of(executor, statement)
    assert records[0] == ("info", "<class 'pandas.core.frame.DataFrame'>")
    assert records[-1] == ("info", "dtypes: int64(1)")


def test_warnings_go_to_the_log_at_warn_with_their_line(executor: Executor) -> None:
    statement = """
import warnings
warnings.warn("first")
warnings.simplefilter("ignore")
warnings.warn("second")
warnings.sys.stderr.write("half a line")
"""
    assert log_of(executor, statement) == [("warn", "UserWarning: first (line 3)"), ("warn", "half a line")]


def test_input_and_breakpoint_raise_at_once(executor: Executor) -> None:
    message = "input() is not available: nobody sits at a terminal; read INPUT_DATA instead"
    assert raised(executor, "input('name? ')") == ("RuntimeError", message)
    message = "breakpoint() is not available: there is no debugger; use log.debug() instead"
    assert raised(executor, "breakpoint()") == ("RuntimeError", message)


@pytest.mark.parametrize("name", ["exit", "quit", "help", "copyright", "credits", "license"])
def test_the_names_of_the_interactive_interpreter_do_not_exist(executor: Executor, name: str) -> None:
    kind, message = raised(executor, f"{name}()")
    assert kind == "NameError"
    assert message.startswith(f"name '{name}' is not defined")


def test_open_meets_a_file_system_with_nothing_of_the_host(executor: Executor) -> None:
    statement = """
import random
def attempt(path):
    try:
        with open(path) as file:
            return file.read(10)
    except OSError as error:
        return type(error).__name__
return [{
    "host": [attempt(p) for p in ("/etc/passwd", "/proc/self/environ", "/root", "/home", "../../../etc/passwd")],
    "root": sorted(random._os.listdir("/")),
    "tmp": random._os.listdir("/tmp"),
    "environment": sorted(random._os.environ),
}]
"""
    row = run(executor, statement).rows[0]
    assert row["host"] == ["FileNotFoundError"] * 5
    assert row["root"] == ["dev", "lib", "tmp", "wasmexec"]
    assert row["tmp"] == []
    assert row["environment"] == ["HOME", "MPLBACKEND", "MPLCONFIGDIR"]


def test_files_in_tmp_can_be_written_and_read_and_vanish_with_the_execution(executor: Executor) -> None:
    statement = """
with open("/tmp/note.txt", "x", encoding="utf-8") as file:
    file.write("é")
with open("/tmp/note.txt", "rb") as file:
    return [{"data": file.read()}]
"""
    for _ in range(2):
        assert run(executor, statement).rows == [{"data": "w6k="}]


def test_the_image_itself_cannot_be_changed(executor: Executor) -> None:
    kind, _ = raised(executor, "open('/lib/python3.11/evil.py', 'w')")
    assert kind in ("PermissionError", "OSError")


@pytest.mark.timing
def test_sleep_suspends_for_the_time_given(executor: Executor) -> None:
    result = run(executor, "import time\nt = time.monotonic()\nawait sleep(0.05)\nreturn [{'t': time.monotonic() - t}]")
    assert 0.049 <= result.rows[0]["t"] < 1.0
    assert result.usage.wall_seconds >= 0.049


@pytest.mark.parametrize("seconds", ["0", "-1", "0.0", "True", "__import__('numpy').float32(0.001)"])
def test_sleep_takes_every_kind_of_number(executor: Executor, seconds: str) -> None:
    assert run(executor, f"return [{{'v': await sleep({seconds})}}]").rows == [{"v": None}]


@pytest.mark.parametrize(
    ("seconds", "kind", "message"),
    [
        ("'1'", "TypeError", "sleep() takes seconds as a number, not str"),
        ("None", "TypeError", "sleep() takes seconds as a number, not NoneType"),
        ("float('nan')", "ValueError", "sleep() takes seconds as a number, not nan"),
    ],
)
def test_sleep_refuses_what_is_no_number(executor: Executor, seconds: str, kind: str, message: str) -> None:
    assert raised(executor, f"await sleep({seconds})") == (kind, message)


def test_an_endless_sleep_ends_at_the_time_limit(executor: Executor) -> None:
    result = executor.run("await sleep(float('inf'))\nreturn []", limits=Limits(wall_seconds=0.2))
    assert result.status is Status.TIMED_OUT


def test_sleep_is_a_coroutine_function(executor: Executor) -> None:
    statement = "c = sleep(0)\nkind = type(c).__name__\nawait c\nreturn [{'kind': kind, 'name': sleep.__name__}]"
    assert run(executor, statement).rows == [{"kind": "coroutine", "name": "sleep"}]
