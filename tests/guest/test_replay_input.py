"""What a replay is given: the recorded input, checkpoint and variables, each unless the caller says another."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from wasmexec import ConfigError, Executor, MemoryRecorder, Recording, Status

SHOW = """
shown = {"a": INPUT_DATA, "b": INPUT_DATA2, "c": INPUT_DATA3, "checkpoint": DATA_CHECKPOINT, "city": LocalVariable.City}
return [{key: repr(value) for key, value in shown.items()}]
"""
GIVEN: dict[str, Any] = {
    "input_data": [{"n": 2**70, "é": "\\u2028"}],
    "extra_inputs": [None, b'{"raw": 1.0}'],
    "checkpoint": {"seen": [1, None]},
    "local_variables": {"City": "Brno"},
}
OTHERS: dict[str, Any] = {
    "input_data": "another",
    "extra_inputs": [1, 2],
    "checkpoint": None,
    "local_variables": {"City": None},
}


def record(executor: Executor, **options: Any) -> tuple[list[Any], Recording]:
    recorder = MemoryRecorder()
    result = executor.run(SHOW, recorder=recorder, **options)
    result.raise_for_status()
    return result.rows, recorder.recording()


def test_what_is_not_given_is_the_recorded(executor: Executor) -> None:
    rows, recording = record(executor, **GIVEN)
    again = executor.run(SHOW, replay=recording)
    assert (again.status, again.rows) == (Status.FINISHED, rows)
    assert again.replay is not None
    assert again.replay.is_identical
    assert again.replay.from_recording == tuple(GIVEN)
    assert again.as_dict()["replay"]["from_recording"] == tuple(GIVEN)  # type: ignore[index]


@pytest.mark.parametrize("name", list(OTHERS))
def test_what_is_given_is_used_instead(executor: Executor, name: str) -> None:
    _, recording = record(executor, **GIVEN)
    again = executor.run(SHOW, replay=recording, **{name: OTHERS[name]})
    expected = executor.run(SHOW, **{**GIVEN, name: OTHERS[name]})
    assert again.rows == expected.rows
    assert again.replay is not None
    assert not again.replay.are_rows_identical
    assert again.replay.from_recording == tuple(other for other in GIVEN if other != name)


def test_everything_given_takes_nothing_from_the_recording(executor: Executor) -> None:
    rows, recording = record(executor, **GIVEN)
    again = executor.run(SHOW, replay=recording, **GIVEN)
    assert again.rows == rows
    assert again.replay is not None
    assert (again.replay.is_identical, again.replay.from_recording) == (True, ())


def test_no_input_is_recorded_as_none_and_no_rows_as_no_rows(executor: Executor) -> None:
    statement = "log.info(repr(INPUT_DATA))\nreturn []"
    for data, shown in ((None, "None"), ([], "[]")):
        recorder = MemoryRecorder()
        executor.run(statement, input_data=data, recorder=recorder)
        again = executor.run(statement, replay=recorder.recording())
        assert [record.message for record in again.logs] == [shown]


def test_the_recorded_input_counts_like_any_other(executor: Executor) -> None:
    from wasmexec import InputError, Limits

    _, recording = record(executor, **{**GIVEN, "input_data": "x" * 2_000})
    assert executor.run(SHOW, replay=recording, limits=Limits(input_bytes=3_000)).status == Status.FINISHED
    result = executor.run(SHOW, replay=recording, limits=Limits(input_bytes=1_000))
    assert (result.status, type(result.error)) == (Status.INPUT_REFUSED, InputError)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("checkpoint", b"{"),
        ("checkpoint", b"[" * 100_000),
        ("checkpoint", b"\xff"),
        ("local_variables", b"[1]"),
        ("local_variables", b'{"City": [1]}'),
        ("local_variables", b'{"a b": 1}'),
    ],
)
def test_a_damaged_recording_is_refused(executor: Executor, name: str, value: bytes) -> None:
    _, recording = record(executor, **GIVEN)
    damaged = dataclasses.replace(recording, **{name: value})  # type: ignore[arg-type]
    result = executor.run(SHOW, replay=damaged)
    assert (result.status, type(result.error)) == (Status.CONFIG_REFUSED, ConfigError)
    assert name.rstrip("s").replace("_", " ") in str(result.error).replace("_", " ")
