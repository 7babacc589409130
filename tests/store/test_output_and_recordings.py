"""Output rows and recordings come back exactly, in order, and only when they are whole."""

from __future__ import annotations

import contextlib
import os
import random
import threading
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Connection, create_engine, event, text

import wasmexec
from wasmexec import ConfigError, ForExecution, Status
from wasmexec.recording.exchange import Operation
from wasmexec.rows.block import RowBlock
from wasmexec.store import (
    Advance,
    CheckpointConflictError,
    HttpExchange,
    RecordedPart,
    RecordingNotFoundError,
    RunStateError,
    RunStore,
    StoreBounds,
    StoreError,
    StoreLimitError,
    StoreLostError,
)
from wasmexec.store.database import resolve_url

ODD = [{"a": 2**70, "b": "€\ud800\0", "c": [None, True, -0.0]}, {}, {"a": 1e300, "nested": {"x": [1, {"y": 2}]}}]


def test_output_rows_come_back_in_order_with_their_source(store: RunStore) -> None:
    run = store.begin_run("s")
    store.append_output(run, ODD, source_rows=[5, 5, 9])
    store.append_output(run, b'[{"z": 1}, {"z": 2}]', count=2, source_rows=[3, 10**12])
    store.append_output(run, [])
    store.append_output(run, ({"tuple": True},))
    with pytest.raises(RunStateError, match=rf"^run {run.run_id} is running, it must be finished$"):
        store.output(run.run_id)
    record = store.finish(run, status=Status.FINISHED)
    assert record.output_rows == 6
    found = list(store.output(run.run_id))
    assert [item.row for item in found] == [*ODD, {"z": 1}, {"z": 2}, {"tuple": True}]
    assert [item.source_row for item in found] == [5, 5, 9, 3, 10**12, None]


def test_much_output_is_kept_in_chunks_and_read_in_little_memory(store: RunStore) -> None:
    rows = [{"id": number, "text": f"row {number} " * 10} for number in range(60_000)]
    run = store.begin_run("s")
    store.append_output(run, rows, source_rows=range(len(rows)))
    record = store.finish(run, status=Status.FINISHED)
    size = len(orjson.dumps(rows))
    assert (record.output_rows, abs(record.output_bytes - size) < 10) == (len(rows), True)
    found = store.output(run.run_id)
    first = next(found)
    assert (first.row, first.source_row) == (rows[0], 0)
    assert [item.row for item in found] == rows[1:]


@pytest.mark.parametrize("count", [0, 1, 3, 90_000])
def test_a_block_of_rows_is_stored_as_its_rows_are(url: str, store: RunStore, count: int) -> None:
    rows = [{"id": number, "text": f"row\n{number} }},{{ " * 10, "none": None} for number in range(count)]
    lines = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    kept = []
    for given in (rows, RowBlock(rows), RowBlock(lines=lines)):
        run = store.begin_run("s")
        store.append_output(run, given, count=count, source_rows=range(count))
        store.finish(run, status=Status.FINISHED)
        assert [(item.source_row, item.row) for item in store.output(run.run_id)] == list(enumerate(rows))
        engine = create_engine(resolve_url(url))
        with engine.connect() as connection:
            chunks = connection.execute(
                text("SELECT row_count, data_bytes, data, source_rows FROM wx_output WHERE run_id = :run ORDER BY seq"),
                {"run": run.run_id},
            )
            kept.append([tuple(map(_plain, chunk)) for chunk in chunks])
        engine.dispose()
    assert kept[0] == kept[1] == kept[2]
    assert (len(kept[0]) > 1) == (count == 90_000)


def _plain(value: object) -> object:
    return bytes(value) if isinstance(value, memoryview) else value


@pytest.mark.parametrize("status", [Status.STATEMENT_RAISED, Status.OUTPUT_REFUSED, Status.CANCELLED])
def test_output_of_a_failed_run_is_dropped(url: str, store: RunStore, status: Status) -> None:
    run = store.begin_run("s")
    store.append_output(run, ODD)
    store.finish(run, status=status)
    engine = create_engine(resolve_url(url))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM wx_output")).scalar() == 0
    engine.dispose()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows": b"[{}]"}, "append_output: rows as bytes need their count"),
        ({"rows": [{}], "count": 2}, "append_output: count is 2, but there are 1 rows"),
        ({"rows": [{}], "source_rows": [1, 2]}, "append_output: 2 source rows for 1 rows"),
        (
            {"rows": [{"a": object()}]},
            "append_output: the rows are not JSON: Type is not JSON serializable: object",
        ),
        (
            {"rows": [{"a": None}, {"a": float("inf")}]},
            "append_output: the rows are not JSON: /1/a is inf, which JSON does not have",
        ),
        (
            {"rows": [{"a": 2**70, "b": float("nan")}]},
            "append_output: the rows are not JSON: /0/b is nan, which JSON does not have",
        ),
    ],
)
def test_output_that_cannot_be_kept_is_refused(store: RunStore, arguments: dict[str, Any], message: str) -> None:
    run = store.begin_run("s")
    with pytest.raises(ConfigError) as caught:
        store.append_output(run, **arguments)
    assert caught.value.message.startswith(message)
    assert store.finish(run, status=Status.FINISHED).output_rows == 0


def test_output_has_bounds(url: str) -> None:
    with RunStore.open(url, bounds=StoreBounds(output_chunk_bytes=20, output_bytes=30)) as store:
        run = store.begin_run("s")
        with pytest.raises(
            StoreLimitError, match=r"^the output of one call is too large for the run store: 21, at most 20$"
        ):
            store.append_output(run, [{"a": "x" * 11}])
        store.append_output(run, [{"a": "x" * 10}])
        with pytest.raises(
            StoreLimitError, match=r"^the output of the run is too large for the run store: 31, at most 30$"
        ):
            store.append_output(run, [{"a": 123}])
        store.append_output(run, [{"a": 12}])
        assert store.finish(run, status=Status.FINISHED).output_bytes == 30


def exchange(number: int, **values: Any) -> HttpExchange:
    body = random.Random(number).randbytes(number * 100)
    return HttpExchange(
        method="POST", url=f"https://api.example.com/{number}?q=€", request_headers=(("A", "1"), ("a", "2"), ("B", "")),
        request_body=b"\0\xff" * number, status=200, reason="OK", http_version="HTTP/2",
        response_headers=(("Content-Type", "application/json"), ("Set-Cookie", "x"), ("Set-Cookie", "y")),
        response_body=body, response_chunks=(len(body),), started=1.5, seconds=0.25, index=number,
        **{"execution": number % 2, "extra": {"hop": number}, **values},
    )  # fmt: skip


def test_a_recording_comes_back_exactly(store: RunStore) -> None:
    run = store.begin_run("s")
    recorder = store.record(run, meta={"seed": 7, "clock": 1700000000.5})
    failed = HttpExchange(method="GET", url="https://x/", error={"type": "ConnectError", "message": "refused"}, index=9)
    exchanges = [exchange(number) for number in range(8)] + [failed]
    assert recorder.add("input", b'[{"a": 1}]', meta={"name": "INPUT_DATA"})
    assert all(recorder.add_exchange(item) for item in exchanges)
    noise = os.urandom(300_000)
    assert recorder.add("randomness", noise, execution=3)
    assert recorder.add("rows", b"")
    recording = store.recording(run.run_id)
    assert (recording.is_complete, recording.incomplete_reason) == (False, "the run was not finished")
    assert store.finish(run, status=Status.FINISHED).has_recording
    recording = store.recording(run.run_id)
    assert (recording.is_complete, recording.parts, recording.meta) == (True, 12, {"seed": 7, "clock": 1700000000.5})
    assert recording.payload_bytes > 300_000
    assert list(store.recorded_exchanges(run.run_id)) == exchanges
    assert list(store.recorded_exchanges(run.run_id, execution=1)) == [
        item for item in exchanges if item.execution == 1
    ]
    parts = list(store.recorded_parts(run.run_id))
    assert [part.seq for part in parts] == list(range(1, 13))
    assert parts[0] == RecordedPart(
        seq=1, kind="input", execution=0, meta={"name": "INPUT_DATA"}, payload=b'[{"a": 1}]'
    )
    assert [part.payload for part in store.recorded_parts(run.run_id, kinds=("randomness", "rows"))] == [noise, b""]
    assert parts[0].as_dict()["payload"] == "W3siYSI6IDF9XQ=="


def test_what_was_recorded_last_is_stored_with_the_end_of_the_run(url: str, store: RunStore) -> None:
    run = store.begin_run("s")
    store.record(run).add("input", b"buffered")
    with RunStore.open(url) as other:
        assert list(other.recorded_parts(run.run_id)) == []
        store.finish(run, status=Status.FINISHED)
        assert [part.payload for part in other.recorded_parts(run.run_id)] == [b"buffered"]


def test_a_recording_that_another_process_finished_is_incomplete(url: str, store: RunStore) -> None:
    run = store.begin_run("s")
    store.record(run).add("input", b"lost in the buffer of this process")
    with RunStore.open(url) as other:
        other.finish(run, status=Status.FINISHED)
        assert not other.recording(run.run_id).is_complete


def test_the_recording_of_a_loser_is_kept(store: RunStore) -> None:
    first, second = store.begin_run("s"), store.begin_run("s")
    recorder = store.record(second)
    recorder.add("input", b"x")
    store.finish(first, status=Status.FINISHED, advance=Advance(1))
    with pytest.raises(CheckpointConflictError):
        store.finish(second, status=Status.FINISHED, advance=Advance(1))
    assert store.recording(second.run_id).is_complete
    with pytest.raises(RunStateError, match=rf"^run {second.run_id} is ended, it must be running$"):
        recorder.add("input", b"late")


def test_small_parts_are_read_many_at_a_time_and_large_ones_alone(store: RunStore) -> None:
    run = store.begin_run("s")
    recorder = store.record(run)
    payloads = [b"%d" % number for number in range(300)] + [b"x" * 900_000, b"y" * 900_000, b"z" * 3_000_000, b"end"]
    for number, payload in enumerate(payloads):
        assert recorder.add("input", payload, execution=number % 7)
    store.finish(run, status=Status.FINISHED)
    began: list[object] = []
    event.listen(store._database.engine, "begin", began.append)
    assert [part.payload for part in store.recorded_parts(run.run_id)] == payloads
    # What is known of the recording; 300 small ones with the first large one; "y", "z" and "end" alone; the end.
    assert len(began) == 1 + 5 + 3 + 1
    third = [part.payload for part in store.recorded_parts(run.run_id, execution=3)]
    assert third == payloads[3::7]


def test_a_recording_whose_store_was_out_of_reach_for_a_moment_is_incomplete(store: RunStore) -> None:
    run = store.begin_run("s")
    recorder = store.record(run)
    write = recorder._write

    def broken() -> contextlib.AbstractContextManager[Connection]:
        raise StoreLostError("gone")

    recorder._write = broken
    taken = [recorder.add("input", b"x") for _ in range(300)]
    recorder._write = write
    assert taken == [True] * 255 + [False] * 45
    store.finish(run, status=Status.FINISHED)
    recording = store.recording(run.run_id)
    assert (recording.is_complete, recording.incomplete_reason, recording.parts) == (False, "after part 256: gone", 256)
    assert len(list(store.recorded_parts(run.run_id))) == 256


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        ({"recording_part_bytes": 101}, "part 3 (input) has 102 bytes, at most 101"),
        ({"recording_bytes": 250}, "it is larger than 250 bytes"),
    ],
)
def test_a_recording_that_is_too_large_is_incomplete_and_the_run_goes_on(
    url: str, bounds: dict[str, int], reason: str
) -> None:
    with RunStore.open(url, bounds=StoreBounds(**bounds)) as store:
        run = store.begin_run("s")
        recorder = store.record(run)
        assert recorder.add("input", b"x" * 99)  # and two bytes of meta
        assert recorder.add("input", b"x" * 99)
        assert not recorder.add("input", b"x" * 100)
        assert not recorder.add("input", b"")
        store.finish(run, status=Status.FINISHED)
        recording = store.recording(run.run_id)
        assert (recording.is_complete, recording.incomplete_reason, recording.parts) == (False, reason, 2)


def test_a_run_is_recorded_once_and_only_if_wanted(store: RunStore) -> None:
    run, other = store.begin_run("s"), store.begin_run("s")
    store.record(run)
    with pytest.raises(ConfigError, match=rf"^run {run.run_id} is being recorded already$"):
        store.record(run)
    for read in (store.recording, store.recorded_parts, store.recorded_exchanges):
        with pytest.raises(RecordingNotFoundError, match=rf"^run {other.run_id} was not recorded$"):
            read(other.run_id)
    for kind in ("", "Input", "a" * 41, "a b"):
        with pytest.raises(ConfigError, match=r"^recording: the kind must be 1 to 40 of a-z, 0-9 and _"):
            store.record(store.begin_run("s")).add(kind, b"")


def test_threads_may_record_at_once(store: RunStore) -> None:
    run = store.begin_run("s")
    recorder = store.record(run)

    def record(execution: int) -> None:
        for number in range(300):
            recorder.add("randomness", b"%d" % number, execution=execution)

    threads = [threading.Thread(target=record, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.finish(run, status=Status.FINISHED)
    for execution in range(4):
        parts = store.recorded_parts(run.run_id, execution=execution)
        assert [part.payload for part in parts] == [b"%d" % number for number in range(300)]
    assert store.recording(run.run_id).parts == 1200


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "UPDATE wx_recorded_parts SET payload_bytes = 4",
            r"part 1 of the recording of run 1 is damaged: 5 of 4 bytes",
        ),
        (
            "UPDATE wx_recorded_parts SET sha256 = 'x'",
            r"part 1 of the recording of run 1 is damaged: its content does not match its hash",
        ),
        ("UPDATE wx_output SET row_count = 3", r"output chunk 1 of run 1 is damaged: it must have 3 rows"),
        ("UPDATE wx_output SET row_count = 2147483647", r"output chunk 1 of run 1 is damaged: it must have 2147483647"),
        ("UPDATE wx_output SET row_count = -1", r"output chunk 1 of run 1 is damaged: it must have -1 rows"),
        ("DELETE FROM wx_output", r"2 output rows of run 1 are missing; was it deleted meanwhile\?"),
        ("DELETE FROM wx_recorded_parts", r"the recording of run 1 ends after part 0 of 1"),
        ("UPDATE wx_definitions SET data = substr(data, 1, 5)", r"definition [0-9a-f]+ is damaged: \d of 4 bytes"),
    ],
)
def test_damage_is_noticed(tmp_path: Path, change: str, message: str) -> None:
    with RunStore.open(tmp_path / "x.db") as store:
        run = store.begin_run("s", definition="text")
        store.record(run).add("input", b"12345")
        store.append_output(run, [{}, {}])
        record = store.finish(run, status=Status.FINISHED)
        assert record.definition_sha256 is not None
        with store._database.write() as connection:
            connection.execute(text(change))
        digest = record.definition_sha256
        with pytest.raises(StoreError, match=message):
            read_everything(store, run.run_id, digest)


def read_everything(store: RunStore, run_id: int, digest: str) -> None:
    list(store.recorded_parts(run_id))
    list(store.output(run_id))
    store.definition(digest)


def test_the_recordings_of_executions_go_through_the_store_unchanged(store: RunStore) -> None:
    recordings = [
        wasmexec.Recording(
            key=bytes(range(32)), clock_start=7, clock_step=3,
            exchanges=tuple(exchange(index, execution=number) for index in (0, 1, 2)),
            strays=(Operation("sleep", 5, 6, 1, "ok", 0, True),), ending="wall", ended=99, statement="return [1] # €",
            inputs=(b'[{"a": 1}]', None, b""), checkpoint=b'"x"', local_variables=b'{"V": 1}',
            rows=b"[]" if number else None, status=300, error={"type": "StatementRaised"}, log_sha256="ab", image="cd",
        )
        for number in range(3)
    ]  # fmt: skip
    run = store.begin_run("s")
    recorder = store.record(run)
    for number, recording in enumerate(recordings):
        assert recording.give_to(ForExecution(recorder, number))
    store.finish(run, status=Status.FINISHED)
    assert store.recording(run.run_id).is_complete
    for number, recording in enumerate(recordings):
        parts = store.recorded_parts(run.run_id, execution=number)
        exchanges = store.recorded_exchanges(run.run_id, execution=number)
        assert wasmexec.Recording.from_parts(parts, exchanges) == recording
