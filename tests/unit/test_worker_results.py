"""Results of worker processes: what is packed comes out equal, and whatever else is said is refused or harmless."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasmexec import Limits, LogRecord, Result, Status, Usage, WasmexecError, errors
from wasmexec.errors import (
    ConfigError,
    CpuLimitError,
    DeliveryError,
    ExecutionCancelled,
    ExecutorClosedError,
    GuestLostError,
    ImageError,
    InputError,
    InputSchemaError,
    LimitError,
    MemoryLimitError,
    OutputError,
    OutputLimitError,
    SchemaError,
    SchemaMistake,
    StatementError,
    StatementRaised,
    StatementSyntaxError,
    TimeLimitError,
)  # fmt: skip
from wasmexec.rows.json_text import decode, encode
from wasmexec.workers.messages import BadMessage
from wasmexec.workers.results import MAX_TEXT, ResultCodec

LIMITS = Limits(log_records=20, log_bytes=1000, output_bytes=10_000)
CODEC = ResultCodec(LIMITS)
ERRORS: list[WasmexecError] = [
    WasmexecError("plain"),
    ConfigError("no such thing"),
    SchemaError("/a", "wrong", [SchemaMistake("/b", "also")], role="input"),
    ImageError("missing"),
    ExecutorClosedError("closed"),
    StatementError("at fault"),
    StatementSyntaxError("invalid syntax", line=2, column=7, text="a b", rendered="a b\n  ^"),
    StatementRaised("KeyError", "'a'", "Traceback ...", 3),
    StatementRaised("KeyError", "", "", None),
    ExecutionCancelled(),
    ExecutionCancelled("cancelled at line 2", line=2, function="f"),
    LimitError("limit", limit=1, used=2.5),
    TimeLimitError("out of time", limit=0.5, used=0.7, line=1, function="f"),
    CpuLimitError("out of processor time", limit=30.0, used=31.0),
    MemoryLimitError("out of memory", limit=2**30, used=2**31),
    OutputLimitError("too much", limit=10, used=11),
    InputError("not JSON"),
    InputError("not JSON", source="a.csv", source_line=7),
    InputSchemaError("/0", "type", "1", "wrong"),
    InputSchemaError("/0", "type", "1", "wrong", source="a.csv", source_line=7),
    OutputError("/0/a", "type", "1", "a number is no text", "str(a)"),
    GuestLostError("trap", trap="exit", detail="last words", line=1, function="f"),
    DeliveryError("out.csv", "disk full", run_id=7),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc"), inner, max_size=4), max_leaves=10,
)  # fmt: skip
ROWS = st.lists(st.dictionaries(st.text("abc", max_size=2), JSON, max_size=3), max_size=4)
USAGE = st.builds(
    Usage, wall_seconds=st.floats(0, 1e6), cpu_seconds=st.floats(0, 1e6), peak_memory_bytes=st.integers(0, 2**32),
    output_bytes=st.integers(0, 2**30), http_requests=st.integers(0, 10**6), http_bytes_sent=st.integers(0, 2**34),
    http_bytes_received=st.integers(0, 2**34),
)  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
LOGS = st.lists(
    st.builds(LogRecord, st.floats(0, 4e9), st.sampled_from(["trace", "debug", "info", "warn", "error"]), TEXT),
    max_size=5,
)
RESULTS = st.one_of(
    st.builds(
        lambda rows, **rest: Result(status=Status.FINISHED if rows else Status.FINISHED_NO_DATA, rows=rows, **rest),
        ROWS, logs=LOGS, log_dropped=st.integers(0, 2**53), usage=USAGE, warnings=st.lists(TEXT, max_size=3),
    ),
    st.builds(
        Result, status=st.sampled_from([status for status in Status if not status.succeeded]),
        error=st.sampled_from(ERRORS), logs=LOGS, usage=USAGE, warnings=st.lists(TEXT, max_size=3),
    ),
)  # fmt: skip


def is_equal(one: Result, other: Result) -> bool:
    return one.as_dict() == other.as_dict() and type(one.error) is type(other.error)


def good(status: Status = Status.FINISHED, error: WasmexecError | None = None) -> Any:
    """The content of a result that is accepted."""
    rows = [{"id": 1}] if status is Status.FINISHED else []
    result = Result(status=status, rows=rows, error=error, logs=[LogRecord(1.5, "info", "x")], warnings=["w"])
    return decode(CODEC.pack(result)[0])


@given(RESULTS)
def test_a_result_comes_out_as_it_went_in(result: Result) -> None:
    assert is_equal(CODEC.unpack(*CODEC.pack(result)), result)


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_an_error_comes_out_with_its_class_and_fields(error: WasmexecError) -> None:
    result = Result(status=Status.RUNTIME_FAILED, error=error)
    made = CODEC.unpack(*CODEC.pack(result)).error
    assert type(made) is type(error)
    assert (made.message, vars(made), made.fields()) == (error.message, vars(error), error.fields())


def test_every_class_of_errors_declares_the_fields_that_it_has() -> None:
    named = {getattr(errors, name) for name in errors.__all__ if isinstance(getattr(errors, name), type)}
    assert {type(error) for error in ERRORS} == {kind for kind in named if issubclass(kind, WasmexecError)}
    for error in ERRORS:
        declared = {name for name in get_type_hints(type(error)) if not name.startswith("_")}
        assert set(vars(error)) <= declared
        assert all(hasattr(error, name) for name in declared)


def test_an_error_of_a_class_of_somebody_else_becomes_one_of_ours() -> None:
    class Own(GuestLostError):
        pass

    error = Own("text", trap="own")
    error.more = object()  # type: ignore[attr-defined]
    made = CODEC.unpack(*CODEC.pack(Result(status=Status.RUNTIME_FAILED, error=error))).error
    assert type(made) is GuestLostError
    assert vars(made) == {"trap": "own", "detail": "", "line": None, "function": None}


LIES: list[Any] = [
    None, True, -1, 0, 1, 10**30, 1.5, -0.5, 1e300, "", "x", "x" * 200_000, [], [[]], [1, 2, 3], {}, {"a": 1},
    [None] * 50_000, ["GuestLostError", "text", {}], [["SystemExit", "text", {}]], [[0, "info", "x", 1]],
    [[1e300, "info", "x"]], [[1, "fatal", "x"]], [[1, ["info"], "x"]], [[1, "info", 7]],
]  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a value, the value itself included."""
    yield at
    if isinstance(value, (list, dict)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*at, key))


CONTENTS = [good(), *(good(Status.RUNTIME_FAILED, error) for error in ERRORS)]


@settings(max_examples=500)
@given(st.data())
def test_a_lie_in_any_field_is_refused_or_gives_a_result_that_holds(data: st.DataObject) -> None:
    content = copy.deepcopy(data.draw(st.sampled_from(CONTENTS)))
    at = data.draw(st.sampled_from(list(places(content))))
    lie = data.draw(st.sampled_from(LIES) | JSON)
    if at:
        inner = content
        for key in at[:-1]:
            inner = inner[key]
        inner[at[-1]] = lie
    else:
        content = lie
    try:
        result = CODEC.unpack(encode(content), b"")
    except BadMessage as error:
        said = str(error)
    else:
        said = "a result"
        holds(result)
    assert 0 < len(said) < 300


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_are_refused(fields: bytes, rows: bytes) -> None:
    with pytest.raises(BadMessage):
        CODEC.unpack(fields, rows)


@given(st.binary(max_size=60) | JSON.map(encode))
def test_rows_are_objects_or_refused(rows: bytes) -> None:
    fields, _ = CODEC.pack(Result(status=Status.FINISHED, rows=[{"id": 1}]))
    try:
        result = CODEC.unpack(fields, rows)
    except BadMessage:
        return
    holds(result)


def holds(result: Result) -> None:
    """Whoever uses the result finds what its types promise, and can put it on record."""
    assert isinstance(result.status, Status)
    assert (result.error is None) is result.status.succeeded
    assert all(type(row) is dict for row in result.rows)
    assert result.log_dropped in range(2**56 + 1)
    assert len(result.logs) <= LIMITS.log_records + 200
    for record in result.logs:
        assert record.level in ("trace", "debug", "info", "warn", "error")
        assert type(record.message) is str
    for name, count in result.usage.as_dict().items():
        assert type(count) in ((int, float) if name.endswith("_seconds") else (int,))
        assert 0 <= count <= 2**42
    if result.error is not None:
        assert type(result.error) in {type(error) for error in ERRORS}
        hints = get_type_hints(type(result.error))
        for name, value in vars(result.error).items():
            assert name in hints
            assert value is None or type(value) in (str, int, float, tuple)
            assert not isinstance(value, str) or len(value) <= MAX_TEXT
    encode(result.as_dict())


@pytest.mark.parametrize(
    ("message", "kept"), [("x" * MAX_TEXT, "x" * MAX_TEXT), ("x" * (MAX_TEXT + 1), "x" * MAX_TEXT)]
)
def test_a_text_of_an_error_is_cut_by_the_worker(message: str, kept: str) -> None:
    error = GuestLostError(message, trap="exit", detail=message)
    made = CODEC.unpack(*CODEC.pack(Result(status=Status.RUNTIME_FAILED, error=error))).error
    assert isinstance(made, GuestLostError)
    assert (made.message, made.detail) == (kept, kept)


def test_a_full_log_of_the_worst_characters_has_room() -> None:
    limits = Limits(log_records=1000, log_bytes=10**6)
    codec = ResultCodec(limits)
    logs = [LogRecord(1764300000.123456, "error", "\x01" * 1000)] * 1000
    logs += [
        LogRecord(1764300000.123456, "error", "\x01" * 4096 + " … [cut: the message has 1,000,000,000 bytes]")
    ] * 200
    result = Result(status=Status.FINISHED_WITH_ERRORS, logs=logs)
    fields, _ = codec.pack(result)
    assert len(fields) < codec.room.fields
    assert is_equal(codec.unpack(fields, b""), result)


def test_rows_that_grew_beyond_their_room_are_refused_by_the_worker() -> None:
    room = LIMITS.output_bytes + 16 * 1024**2
    text = "x" * (room - len('[{"a":""}]'))
    _, rows = CODEC.pack(Result(status=Status.FINISHED, rows=[{"a": text}]))
    assert len(rows) == room == CODEC.room.body
    result = CODEC.unpack(*CODEC.pack(Result(status=Status.FINISHED, rows=[{"a": text + "x"}], log_dropped=7)))
    assert (result.status, result.rows, result.log_dropped) == (306, [], 7)
    assert isinstance(result.error, OutputLimitError)
    assert (result.error.limit, result.error.used) == (room, room + 1)
    assert result.error.message == (
        "the rows have 16,787,217 bytes of JSON once their schema has filled in what was missing; "
        "at most 16,787,216 are allowed"
    )


def test_rows_that_are_no_json_become_a_failure_and_no_exception() -> None:
    result = CODEC.unpack(*CODEC.pack(Result(status=Status.FINISHED, rows=[{"a": float("nan")}])))
    assert (result.status, result.rows) == (304, [])
    assert result.error is not None
    assert result.error.message.startswith("the result cannot be handed over: ")
