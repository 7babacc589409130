"""Recorders and options: what is kept where, what does not go together."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.guest.replays import as_bytes, replay

from wasmexec import ConfigError, Deterministic, Executor, ForExecution, MemoryRecorder, Recording, Status


def test_a_recorder_may_refuse_or_break(executor: Executor) -> None:
    class Full(MemoryRecorder):
        def add(self, kind: str, payload: bytes, **options: Any) -> bool:
            return kind != "clock" and super().add(kind, payload, **options)

    class Broken(MemoryRecorder):
        def add(self, kind: str, payload: bytes, **options: Any) -> bool:
            raise OSError("disk full")

    full = Full()
    result = executor.run("return [{'a': 1}]", recorder=full)
    assert (result.rows, result.warnings) == (
        [{"a": 1}], ["the recording is incomplete: the recorder takes no more"],
    )  # fmt: skip
    with pytest.raises(ConfigError, match="the recording is incomplete: it has no clock"):
        full.recording()
    result = executor.run("return [{'a': 1}]", recorder=Broken())
    assert (result.rows, result.warnings) == ([{"a": 1}], ["the recording failed: OSError: disk full"])


def test_several_executions_in_one_recorder(executor: Executor) -> None:
    recorder = MemoryRecorder()
    statement = (
        "import random\nreturn [{'in': INPUT_DATA, 'second': INPUT_DATA2, 'c': DATA_CHECKPOINT, 'r': random.random()}]"
    )
    results = [
        executor.run(
            statement,
            input_data=[{"n": number}],
            extra_inputs=[None, "third"],
            checkpoint=number,
            recorder=ForExecution(recorder, number),
        )
        for number in range(3)
    ]
    for number, result in enumerate(results):
        recording = recorder.recording(number)
        assert recording.inputs == (b'[{"n":%d}]' % number, None, b'"third"')
        assert recording.checkpoint == b"%d" % number
        again = executor.run(
            recording.statement,
            input_data=recording.inputs[0],
            checkpoint=orjson.loads(recording.checkpoint),
            replay=recording,
        )
        assert again.rows == result.rows
    with pytest.raises(ConfigError):
        recorder.recording(3)


def test_recording_with_a_seed_and_a_clock(executor: Executor) -> None:
    recorder = MemoryRecorder()
    determinism = Deterministic(seed=5, clock=1_000_000)
    statement = "import time, random\nreturn [{'at': time.time(), 'r': random.random()}]"
    result = executor.run(statement, recorder=recorder, determinism=determinism)
    assert result.rows == executor.run(statement, determinism=determinism).rows
    assert as_bytes(replay(executor, recorder.recording())) == as_bytes(result)


def test_options_that_exclude_each_other(executor: Executor) -> None:
    refused: list[dict[str, Any]] = [
        {"replay": Recording(), "determinism": Deterministic()},
        {"replay": Recording(), "recorder": MemoryRecorder()},
        {"recorder": MemoryRecorder(), "determinism": Deterministic(skip_sleeps=True)},
    ]
    for options in refused:
        result = executor.run("return []", **options)
        assert result.status == Status.CONFIG_REFUSED
        assert isinstance(result.error, ConfigError)
    wrong: list[dict[str, Any]] = [{"replay": 1}, {"recorder": 1}, {"determinism": 1}]
    for options in wrong:
        with pytest.raises(TypeError):
            executor.run("return []", **options)
