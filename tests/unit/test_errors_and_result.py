"""Errors travel (pickle, JSON), results tell what happened."""

from __future__ import annotations

import json
import pickle

import pytest

from wasmexec import (
    ConfigError,
    CpuLimitError,
    ExecutionCancelled,
    ExecutorClosedError,
    GuestLostError,
    ImageError,
    InputError,
    LimitError,
    LogRecord,
    MemoryLimitError,
    OutputError,
    OutputLimitError,
    Problem,
    Result,
    StatementError,
    StatementRaised,
    StatementSyntaxError,
    Status,
    TimeLimitError,
    Usage,
    WasmexecError,
)

ERRORS: list[WasmexecError] = [
    ConfigError("bad"),
    ImageError("none"),
    ExecutorClosedError("closed"),
    StatementSyntaxError("no", rule="type-hint", line=3, column=1, text="x: int", rendered="x: int\n^"),
    StatementRaised("KeyError", "'a'", "Traceback ...", 7),
    StatementRaised("KeyError", "", ""),
    ExecutionCancelled("cancelled at line 2", line=2, function="f"),
    TimeLimitError("late", limit=1.5, used=1.6, line=2),
    CpuLimitError("late", limit=1.5, used=1.6),
    MemoryLimitError("full", limit=10, used=10),
    OutputLimitError("long", limit=10, used=11),
    InputError("not JSON"),
    OutputError("/17/price", "type", "'x'", "/17/price: expected a number"),
    GuestLostError("gone", trap="unreachable", detail="abort()", line=1, function="f"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling_with_every_field(error: WasmexecError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (copy.message, copy.args, copy.fields()) == (error.message, error.args, error.fields())
    json.dumps(copy.fields())


def test_the_tree_is_the_documented_one() -> None:
    assert issubclass(ConfigError, ValueError)
    for kind in (StatementSyntaxError, StatementRaised):
        assert issubclass(kind, StatementError)
    for limit in (TimeLimitError, CpuLimitError, MemoryLimitError, OutputLimitError):
        assert issubclass(limit, LimitError)
    assert all(isinstance(error, WasmexecError) for error in ERRORS)


def test_a_raised_statement_names_type_message_and_line() -> None:
    assert StatementRaised("KeyError", "'a'", "", 7).message == "KeyError: 'a' (line 7)"
    assert StatementRaised("KeyError", "", "", 7).message == "KeyError (line 7)"
    assert StatementRaised("KeyError", "'a'", "").message == "KeyError: 'a'"


def test_raise_for_status_raises_the_error_and_only_that() -> None:
    Result(status=Status.FINISHED, rows=[{"a": 1}]).raise_for_status()
    error = InputError("not JSON")
    with pytest.raises(InputError) as caught:
        Result(status=Status.INPUT_REFUSED, error=error).raise_for_status()
    assert caught.value is error


def test_a_result_is_one_json_object() -> None:
    result = Result(
        status=Status.STATEMENT_RAISED,
        logs=[LogRecord(1.5, "warn", "careful")],
        log_dropped=2,
        error=StatementRaised("KeyError", "'a'", "tb", 7),
        usage=Usage(wall_seconds=0.5),
        warnings=["w"],
    )
    record = json.loads(json.dumps(result.as_dict()))
    assert record["status"] == 300
    assert record["logs"] == [{"time": "1970-01-01T00:00:01.500+00:00", "level": "warn", "message": "careful"}]
    assert record["error"] == {
        "type": "StatementRaised", "message": "KeyError: 'a' (line 7)", "type_name": "KeyError",
        "exception_message": "'a'", "traceback": "tb", "line": 7,
    }  # fmt: skip
    assert record["usage"]["wall_seconds"] == 0.5
    assert (record["rows"], record["log_dropped"], record["warnings"]) == ([], 2, ["w"])
    assert pickle.loads(pickle.dumps(result)).as_dict() == result.as_dict()


def test_only_the_statuses_below_300_succeeded() -> None:
    assert [int(status) for status in Status if status.succeeded] == [200, 201, 202]
    assert [int(status) for status in Status] == [200, 201, 202, 300, 302, 303, 304, 306, 307, 400]


def test_a_problem_is_one_json_object() -> None:
    problem = Problem(rule="import", message="no", line=2, column=1, text="import os")
    assert problem.as_dict() == {
        "rule": "import", "message": "no", "line": 2, "column": 1, "end_line": None, "end_column": None,
        "text": "import os",
    }  # fmt: skip
