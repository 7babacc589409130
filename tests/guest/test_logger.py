"""`log` written as `logging` has it: the error says exactly how it is written here, and what it says works."""

from __future__ import annotations

import re

import pytest
from tests.guest.test_api import log_of, raised

from wasmexec import Executor, Status

FIVE = "log.trace, log.debug, log.info, log.warn and log.error take one message each"
ERROR = 'log.error(f"{type(error).__name__}: {error}")'


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("warning", "warn"), ("Warn", "warn"), ("WARNING", "warn"), ("warns", "warn"), ("critical", "error"),
        ("fatal", "error"), ("err", "error"), ("errors", "error"), ("eror", "error"), ("Error", "error"),
        ("log", "info"), ("notice", "info"), ("success", "info"), ("print", "info"), ("inf", "info"), ("INFO", "info"),
        ("verbose", "trace"), ("dbg", "debug"), ("degub", "debug"),
    ],
)  # fmt: skip
def test_a_method_that_does_not_exist_names_the_one_that_does(executor: Executor, name: str, level: str) -> None:
    kind, message = raised(executor, f"log.{name}('x')")
    assert (kind, message) == (
        "AttributeError", f"'Log' object has no attribute '{name}': write log.{level}(message)",
    )  # fmt: skip
    advice = re.search(r"write (log\.\w+)\(message\)", message)
    assert advice is not None
    assert log_of(executor, f"{advice[1]}('x')") == [(level, "x")]


@pytest.mark.parametrize(
    "use",
    ["setLevel(10)", "level", "addHandler(None)", "isEnabledFor(20)", "handlers", "getChild('x')", "bind(user=1)"],
)
def test_there_is_nothing_to_set(executor: Executor, use: str) -> None:
    kind, message = raised(executor, f"log.{use}")
    name = re.split(r"\W", use)[0]
    assert kind == "AttributeError"
    assert message == (
        f"'Log' object has no attribute '{name}': it has no levels, handlers or filters to set, every record is kept; "
        f"{FIVE}"
    )


def test_a_name_that_nothing_is_like_lists_the_five(executor: Executor) -> None:
    assert raised(executor, "log.xyzzy('x')") == (
        "AttributeError", f"'Log' object has no attribute 'xyzzy': {FIVE}",
    )  # fmt: skip


def test_exception_is_written_with_the_error_in_it(executor: Executor) -> None:
    kind, message = raised(
        executor, "try: 1 / 0\nexcept ValueError as error: pass\nexcept Exception: log.exception('x')"
    )
    assert (kind, message) == (
        "AttributeError",
        f"'Log' object has no attribute 'exception': in `except Exception as error:` write {ERROR}",
    )
    assert log_of(executor, f"try: 1 / 0\nexcept Exception as error: {ERROR}") == [
        ("error", "ZeroDivisionError: division by zero")
    ]


@pytest.mark.parametrize(
    ("call", "advice", "values", "text"),
    [
        ("log.info('%s', x)", "log.info('%s' % (value,))", 1, "7"),
        ("log.warn('%s of %d', x, y)", "log.warn('%s of %d' % (value1, value2))", 2, "7 of 8"),
        ("log.error('100%', x)", None, 1, ""),
        ("log.debug('got', x)", 'log.debug(f"got {value}")', 1, "got 7"),
        ("log.trace('say \"hi\"', x, y)", 'log.trace(f"say \\"hi\\" {value1} {value2}")', 2, 'say "hi" 7 8'),
        ("log.info('{} and {}', x, y)", "log.info('{} and {}'.format(value1, value2))", 2, "7 and 8"),
    ],
)  # fmt: skip
def test_one_message_and_the_advice_runs(
    executor: Executor, call: str, advice: str | None, values: int, text: str
) -> None:
    kind, message = raised(executor, f"x, y = 7, 8\n{call}")
    level = call[4 : call.index("(")]
    assert kind == "TypeError"
    assert message.startswith(
        f"log.{level}() takes one message, not {values + 1} values, and formats nothing: write log.{level}("
    )
    if advice is not None:
        assert f"write {advice}" in message
        assert log_of(executor, f"value = value1 = 7\nvalue2 = 8\n{advice}") == [(level, text)]


MANY = 'log.info() takes one message, not 2 values, and formats nothing: write log.info(f"... {value} ...")'


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("log.info(1, 2)", MANY),
        ("log.info('%s' + 'x' * 100, 2)", MANY),
        (
            "log.error('x', exc_info=True)",
            f"log.error() takes a message only, no exc_info: in `except Exception as error:` write {ERROR}",
        ),
        (
            "log.warn('x', stacklevel=2)",
            f"log.warn() takes a message only, no stacklevel: in `except Exception as error:` write {ERROR}",
        ),
        (
            "log.info('x', extra={})",
            'log.info() takes a message only, no extra: put it into the text, log.info(f"... {extra}")',
        ),
        (
            "log.info('x', user=1)",
            'log.info() takes a message only, no user: put it into the text, log.info(f"... {user}")',
        ),
        (
            "log.info(msg='x')",
            "log.info() takes its message without a name: write log.info(...) instead of log.info(msg=...)",
        ),
        ("log.info()", 'log.info() needs a message: write log.info("...")'),
        ("log('x')", "log is no function: write log.info(message)"),
    ],
)
def test_a_call_that_logging_would_take_says_how_it_is_written(executor: Executor, call: str, expected: str) -> None:
    assert raised(executor, call) == ("TypeError", expected)


def test_what_worked_still_works(executor: Executor) -> None:
    statement = """
log.info("50% of {all} %s")
log.warn(message="named")
for write in (log.error, log.trace): write("through a name")
log.debug(hasattr(log, "warning"))
log.info(repr(log))
"""
    assert log_of(executor, statement) == [
        ("info", "50% of {all} %s"), ("warn", "named"), ("error", "through a name"), ("trace", "through a name"),
        ("debug", "False"), ("info", "<log: trace, debug, info, warn, error>"),
    ]  # fmt: skip


@pytest.mark.parametrize("target", ["'out.txt'", "log", "1", "warnings"])
def test_print_into_what_is_no_file_says_what_is_one(executor: Executor, target: str) -> None:
    kind, message = raised(executor, f"import warnings\nprint('x', file={target})")
    assert kind == "AttributeError"
    assert "has no attribute 'write': print(..., file=...) takes an open file, such as io.StringIO()" in message
    assert message.endswith("without it the text goes to the log at info, and log.warn(message) writes at warn")


def test_the_hint_is_in_the_traceback_once_and_masked(executor: Executor) -> None:
    result = executor.run("log.info('token s3cret-value', 1)", secrets={"TOKEN": "s3cret-value"})
    assert result.status is Status.STATEMENT_RAISED
    assert result.error is not None
    assert "s3cret-value" not in result.error.message
    assert 'write log.info(f"token *** {value}")' in result.error.message
    assert executor.run("log.warns('x')").error is not None
    assert "Did you mean" not in str(executor.run("log.warns('x')").error)
