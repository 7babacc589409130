"""Contract C8: what went wrong is told with the statement's own lines and carets, and with nothing of the guest's."""

import pytest

from wasmexec import Executor, GuestLostError, Limits, MemoryLimitError, StatementRaised, Status


def raised(executor: Executor, statement: str) -> StatementRaised:
    result = executor.run(statement)
    assert result.status is Status.STATEMENT_RAISED
    assert result.rows == []
    assert isinstance(result.error, StatementRaised)
    return result.error


def test_a_traceback_is_that_of_cpython_with_carets(executor: Executor) -> None:
    error = raised(executor, "def ratio(a, b):\n    return a / (b - b)\n\nvalue = ratio(1, 2)\nreturn []")
    assert error.traceback == (
        "Traceback (most recent call last):\n"
        '  File "<statement>", line 4, in <statement>\n'
        "    value = ratio(1, 2)\n"
        "            ^^^^^^^^^^^\n"
        '  File "<statement>", line 2, in ratio\n'
        "    return a / (b - b)\n"
        "           ~~^~~~~~~~~\n"
        "ZeroDivisionError: division by zero\n"
    )
    assert (error.type_name, error.exception_message, error.line) == ("ZeroDivisionError", "division by zero", 2)
    assert error.message == "ZeroDivisionError: division by zero (line 2)"


def test_frames_of_libraries_are_not_shown(executor: Executor) -> None:
    error = raised(executor, "import json\njson.loads('{')\nreturn []")
    assert error.traceback == (
        "Traceback (most recent call last):\n"
        '  File "<statement>", line 2, in <statement>\n'
        "    json.loads('{')\n"
        "json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)\n"
    )
    assert error.type_name == "json.decoder.JSONDecodeError"


def test_frames_of_the_statement_below_a_library_are_shown(executor: Executor) -> None:
    statement = "def key(row):\n    return row['missing']\nimport pandas as pd\npd.Series([{}]).map(key)\nreturn []"
    error = raised(executor, statement)
    assert error.traceback == (
        "Traceback (most recent call last):\n"
        '  File "<statement>", line 4, in <statement>\n'
        "    pd.Series([{}]).map(key)\n"
        '  File "<statement>", line 2, in key\n'
        "    return row['missing']\n"
        "           ~~~^^^^^^^^^^^\n"
        "KeyError: 'missing'\n"
    )
    assert (error.exception_message, error.line) == ("'missing'", 2)


def test_no_path_of_the_guest_or_host_is_ever_shown(executor: Executor) -> None:
    for statement in (
        "import pandas as pd\npd.DataFrame({'a': [1]})['b']",
        "import yaml\nyaml.safe_load('a: [')",
        "import httpx\nhttpx.get('nonsense')",
        "import warnings\nwarnings.warn('x', stacklevel=5)\n1/0",
    ):
        error = raised(executor, statement)
        text = error.traceback + error.message
        for part in ("/lib/", ".py", "site-packages", "wasmexec_guest", "/work", "/root"):
            assert part not in text
        assert 'File "<statement>"' in text


def test_causes_and_contexts_are_shown(executor: Executor) -> None:
    statement = """
try:
    int("x")
except ValueError as error:
    try:
        {}["k"]
    except KeyError:
        raise RuntimeError("outer") from error
"""
    assert raised(executor, statement).traceback == (
        "Traceback (most recent call last):\n"
        '  File "<statement>", line 3, in <statement>\n'
        '    int("x")\n'
        "ValueError: invalid literal for int() with base 10: 'x'\n"
        "\n"
        "The above exception was the direct cause of the following exception:\n"
        "\n"
        "Traceback (most recent call last):\n"
        '  File "<statement>", line 8, in <statement>\n'
        '    raise RuntimeError("outer") from error\n'
        "RuntimeError: outer\n"
    )
    statement = "try:\n    1 / 0\nfinally:\n    [][1]"
    assert raised(executor, statement).traceback == (
        "Traceback (most recent call last):\n"
        '  File "<statement>", line 2, in <statement>\n'
        "    1 / 0\n"
        "    ~~^~~\n"
        "ZeroDivisionError: division by zero\n"
        "\n"
        "During handling of the above exception, another exception occurred:\n"
        "\n"
        "Traceback (most recent call last):\n"
        '  File "<statement>", line 4, in <statement>\n'
        "    [][1]\n"
        "    ~~^^^\n"
        "IndexError: list index out of range\n"
    )


def test_a_cause_that_never_was_in_the_statement_has_no_empty_traceback(executor: Executor) -> None:
    error = raised(executor, "import pandas as pd\npd.DataFrame({'a': [1]})['b']")
    assert error.traceback == (
        "KeyError: 'b'\n"
        "\n"
        "The above exception was the direct cause of the following exception:\n"
        "\n"
        "Traceback (most recent call last):\n"
        '  File "<statement>", line 2, in <statement>\n'
        "    pd.DataFrame({'a': [1]})['b']\n"
        "    ~~~~~~~~~~~~~~~~~~~~~~~~^^^^^\n"
        "KeyError: 'b'\n"
    )


def test_exception_groups_and_notes_are_shown(executor: Executor) -> None:
    statement = """
def bad(text):
    error = ValueError(text)
    error.add_note("a note")
    return error
raise ExceptionGroup("several", [bad("one"), TypeError("two")])
"""
    assert raised(executor, statement).traceback == (
        "  + Exception Group Traceback (most recent call last):\n"
        '  |   File "<statement>", line 6, in <statement>\n'
        '  |     raise ExceptionGroup("several", [bad("one"), TypeError("two")])\n'
        "  | ExceptionGroup: several (2 sub-exceptions)\n"
        "  +-+---------------- 1 ----------------\n"
        "    | ValueError: one\n"
        "    | a note\n"
        "    +---------------- 2 ----------------\n"
        "    | TypeError: two\n"
        "    +------------------------------------\n"
    )


def test_exceptions_of_the_statements_own_classes_have_their_plain_name(executor: Executor) -> None:
    error = raised(executor, "class Outer:\n    class Failed(Exception):\n        pass\nraise Outer.Failed('why')")
    assert error.type_name == "Outer.Failed"
    assert error.traceback.endswith("\nOuter.Failed: why\n")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("length = 1\nreturn lenght", "name 'lenght' is not defined. Did you mean: 'length'?"),
        ("return pint('x')", "name 'pint' is not defined. Did you mean: 'print'?"),
        ("return inputs_of_nobody", "name 'inputs_of_nobody' is not defined"),
        ("'x'.uppper()", "'str' object has no attribute 'uppper'. Did you mean: 'upper'?"),
        ("import math\nmath.teapot", "module 'math' has no attribute 'teapot'"),
    ],
)
def test_misspelt_names_come_with_a_suggestion(executor: Executor, statement: str, message: str) -> None:
    error = raised(executor, statement)
    assert error.exception_message == message
    assert error.traceback.endswith(f"{message}\n")


@pytest.mark.parametrize(
    ("statement", "kind", "message"),
    [
        ("raise KeyboardInterrupt", "KeyboardInterrupt", ""),
        ("raise SystemExit(3)", "SystemExit", "3"),
        ("raise GeneratorExit", "GeneratorExit", ""),
        ("import warnings\nwarnings.sys.exit('bye')", "SystemExit", "bye"),
        ("import warnings\nraise warnings.sys.modules['asyncio'].CancelledError('mine')",
         "asyncio.exceptions.CancelledError", "mine"),
        ("raise MemoryError", "MemoryError", ""),
        ("raise StopAsyncIteration", "StopAsyncIteration", ""),
        ("raise BaseException", "BaseException", ""),
        ("raise 5", "TypeError", "exceptions must derive from BaseException"),
        ("assert 1 == 2, 'sums'", "AssertionError", "sums"),
    ],
)  # fmt: skip
def test_every_exception_ends_the_statement_alone(executor: Executor, statement: str, kind: str, message: str) -> None:
    error = raised(executor, statement)
    assert (error.type_name, error.exception_message) == (kind, message)
    assert error.line == statement.count("\n") + 1


def test_stop_iteration_is_told_as_cpython_does(executor: Executor) -> None:
    error = raised(executor, "raise StopIteration(1)")
    assert (error.type_name, error.exception_message) == ("RuntimeError", "coroutine raised StopIteration")
    assert error.line == 1


def test_exceptions_whose_text_breaks_are_told_all_the_same(executor: Executor) -> None:
    statement = """
class Broken(Exception):
    def __str__(self):
        raise {}
    __repr__ = __str__
raise Broken
"""
    for inner in ("ValueError", "KeyboardInterrupt", "Broken"):
        error = raised(executor, statement.format(inner))
        assert (error.type_name, error.exception_message) == ("Broken", "<exception str() failed>")
        assert error.line == 6


def test_text_that_is_no_unicode_is_told_with_question_marks(executor: Executor) -> None:
    assert raised(executor, "raise ValueError('a\\ud800b')").exception_message == "a?b"


def test_long_messages_and_tracebacks_are_cut_in_the_middle(executor: Executor) -> None:
    error = raised(executor, "raise ValueError('a' * 100_000 + 'end')")
    assert error.exception_message.startswith("a" * 5461)
    assert error.exception_message.endswith("aend")
    assert "(91812 characters left out)" in error.exception_message
    assert len(error.exception_message) < 8300
    assert len(error.traceback) < 33_000


@pytest.mark.parametrize(
    "statement",
    [
        '"x" * 10**10',
        "b'x' * 10**10",
        "[0] * 10**10",
        "import numpy as np\nx = np.ones(2**30)",
    ],
)
def test_what_no_limit_would_allow_is_a_memory_error(executor: Executor, statement: str) -> None:
    result = executor.run(f"{statement}\nreturn []", limits=Limits(memory_bytes=250_000_000))
    assert result.status is Status.STATEMENT_RAISED
    assert isinstance(result.error, StatementRaised)
    assert result.error.type_name in ("MemoryError", "numpy.core._exceptions._ArrayMemoryError")
    assert result.error.line is not None
    assert executor.run("return []").status is Status.FINISHED_NO_DATA


@pytest.mark.parametrize(
    ("statement", "line", "text"),
    [
        ("x = bytearray(1_000_000_000)", 1, ""),
        ("x = 1 << 10**10", 1, ""),
        ("x = 'y' * 10**6\nparts = []\nwhile True:\n    parts.append(x + str(len(parts)))", 4, ""),
        ("import numpy as np\nx = np.ones(50_000_000)", 2, ": Unable to allocate 381. MiB for an array with shape"),
    ],
)
def test_running_out_of_memory_ends_with_the_limit(executor: Executor, statement: str, line: int, text: str) -> None:
    result = executor.run(f"{statement}\nreturn []", limits=Limits(memory_bytes=250_000_000))
    assert result.status is Status.RUNTIME_FAILED
    assert isinstance(result.error, MemoryLimitError)
    assert result.error.line == line
    assert result.error.message.startswith(f"out of memory at line {line}{text}")
    assert result.error.message.endswith(" (limit 250,000,000 bytes)")
    assert executor.run("return []").status is Status.FINISHED_NO_DATA


@pytest.mark.parametrize(
    "statement",
    [
        "rows = []\nwhile True:\n    rows.append({'a': len(rows)})",
        "global kept\nkept = []\nwhile True:\n    kept.append([len(kept)] * 10)",
    ],
)
def test_filling_the_memory_with_small_objects_ends_with_the_limit_too(executor: Executor, statement: str) -> None:
    result = executor.run(statement, limits=Limits(memory_bytes=200_000_000))
    assert result.status is Status.RUNTIME_FAILED
    assert isinstance(result.error, MemoryLimitError)
    assert executor.run("return []").status is Status.FINISHED_NO_DATA


def test_a_memory_error_can_be_caught_and_the_statement_goes_on(executor: Executor) -> None:
    statement = """
def fill():
    parts = []
    while True:
        parts.append("x" * 10_000_000)
try:
    fill()
except MemoryError:
    log.info("no more")
return [{"then": len("y" * 50_000_000)}]
"""
    result = executor.run(statement, limits=Limits(memory_bytes=250_000_000))
    assert result.rows == [{"then": 50_000_000}]
    assert [record.message for record in result.logs] == ["no more"]


def test_leaving_the_interpreter_ends_the_execution_alone(executor: Executor) -> None:
    result = executor.run("import random\nrandom._os._exit(7)")
    assert result.status is Status.RUNTIME_FAILED
    assert isinstance(result.error, GuestLostError)
    assert (result.error.trap, result.error.line) == ("exit", 2)
    result = executor.run("import random\nrandom._os.abort()")
    assert result.status is Status.RUNTIME_FAILED
    assert executor.run("return []").status is Status.FINISHED_NO_DATA


def test_a_statement_that_breaks_the_guest_itself_is_told_apart(executor: Executor) -> None:
    statement = "import warnings\nwarnings.sys.modules['wasmexec_guest.hostcall'].to_frame = None\nreturn []"
    result = executor.run(statement)
    assert result.status is Status.RUNTIME_FAILED
    assert isinstance(result.error, GuestLostError)
    assert "TypeError" in result.error.detail
    assert "'NoneType' object is not callable" in result.error.detail
    assert result.logs == []


def test_an_endless_loop_is_stopped_and_the_error_names_the_line(executor: Executor) -> None:
    result = executor.run("def spin():\n    while True:\n        pass\n\nspin()", limits=Limits(cpu_seconds=0.3))
    assert result.status is Status.TIMED_OUT
    assert result.error is not None
    assert result.error.fields()["line"] in (2, 3)
    assert result.error.fields()["function"] == "spin"


def test_a_time_out_while_awaiting_names_the_line(executor: Executor) -> None:
    statement = "async def nap():\n    x = 1\n    await sleep(60)\n\nawait nap()"
    result = executor.run(statement, limits=Limits(wall_seconds=0.2))
    assert result.status is Status.TIMED_OUT
    assert result.error is not None
    assert (result.error.fields()["line"], result.error.fields()["function"]) == (3, "nap")


def test_exceptions_that_nobody_can_catch_go_to_the_log(executor: Executor) -> None:
    statement = """
class Resource:
    def __del__(self):
        raise ValueError("too late")
r = Resource()
del r
return []
"""
    result = executor.run(statement)
    assert result.status is Status.FINISHED_NO_DATA
    assert [record.level for record in result.logs] == ["warn"]
    assert result.logs[0].message.endswith(": ValueError: too late")


@pytest.mark.parametrize(
    "body",
    [
        "__cause__ = property(lambda self: 1 / 0)",
        "__class__ = property(lambda self: 1 / 0)",
        "__context__ = 5",
        "def __getattribute__(self, name): raise KeyError(name)",
        "def __setattr__(self, *pair): raise KeyError",
        "def __str__(self): raise SystemExit",
    ],
)
def test_an_exception_that_hides_its_parts_is_an_exception_of_the_statement(executor: Executor, body: str) -> None:
    error = raised(executor, f"class Hidden(Exception):\n    {body}\nraise Hidden('why')")
    assert (error.type_name, error.line) == ("Hidden", 3)
    assert executor.run("return [{'next': 1}]").rows == [{"next": 1}]
