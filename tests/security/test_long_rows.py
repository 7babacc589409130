"""A row as long as an output keeps nobody waiting, wherever the host has to do with it once more."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.neighbour import MOST_SECONDS, least_delay

from wasmexec import Executor, Limits, MemoryRecorder, Result, Status
from wasmexec.recording.check import check_recording
from wasmexec.rows.block import RowBlock
from wasmexec.store import RunStore
from wasmexec.workers.results import ResultCodec

pytestmark = pytest.mark.timing
MB = 1024 * 1024
VALUES = {
    "numbers": b"[%b0]" % (b"0," * (15 * MB)),
    "objects": b"[%b{}]" % (b'{"a":1},' * (4 * MB)),
    "a text": b'"%b"' % (b"x" * (30 * MB)),
    "escapes": b'"%b"' % (rb"\u00e9" * (5 * MB)),
    "members": b"{%b}" % b",".join(b'"k%d":%d' % (number, number) for number in range(1_900_000)),
}
"""What a column of the row has, 30 MB of it."""


def row_of(shape: str) -> bytes:
    return b'{"a":%b,"id":7}' % VALUES[shape]


def hardly_waits(executor: Executor, work: Callable[[], object]) -> None:
    delay = least_delay(executor, work)
    assert delay.runs > 0
    assert delay.added < MOST_SECONDS


@pytest.mark.parametrize("shape", VALUES)
def test_a_column_of_the_last_row_is_found_in_its_text(executor: Executor, shape: str) -> None:
    block = RowBlock(lines=row_of(shape) + b"\n")
    found = []
    hardly_waits(executor, lambda: found.append(block.last_members(["id"])))
    assert found[0] == {"id": 7}


def test_a_run_store_takes_rows(executor: Executor, tmp_path: Path) -> None:
    """Rows of an ordinary length, 8 MB of them, which is what a step hands over at a time."""
    lines = b'{"a":[1,2,3],"b":{}}\n' * (8 * MB // 21)
    with RunStore.open(tmp_path / "runs.sqlite3") as store:
        run = store.begin_run("a step")
        hardly_waits(executor, lambda: store.append_output(run, RowBlock(lines=lines)))


@pytest.mark.parametrize("shape", VALUES)
def test_a_run_store_takes_a_long_row(executor: Executor, tmp_path: Path, shape: str) -> None:
    block = RowBlock(lines=row_of(shape) + b"\n")
    with RunStore.open(tmp_path / "runs.sqlite3") as store:
        run = store.begin_run("a step")
        hardly_waits(executor, lambda: store.append_output(run, block, source_rows=[0]))


@pytest.mark.parametrize("shape", VALUES)
def test_the_checkpoint_of_a_recording_is_checked_in_pieces(executor: Executor, shape: str) -> None:
    recorder = MemoryRecorder()
    executor.run("return []", recorder=recorder)
    recording = replace(recorder.recording(), checkpoint=row_of(shape))
    hardly_waits(executor, lambda: check_recording(recording))


@pytest.mark.parametrize("shape", ["a text", "escapes"])
def test_a_long_row_of_a_worker_process_is_checked_elsewhere(executor: Executor, shape: str) -> None:
    limits = Limits(output_bytes=256 * MB, output_keys=4 * MB, cpu_seconds=60)
    block = RowBlock(lines=row_of(shape) + b"\n")
    with closing(ResultCodec(limits)) as codec:
        fields, rows = codec.pack(Result(status=Status.FINISHED, rows=block))
        found: list[Result] = []
        hardly_waits(executor, lambda: found.append(codec.unpack(fields, rows)))
    assert len(found[-1].block) == 1
    assert found[-1].block.last_members(["id"]) == {"id": 7}
