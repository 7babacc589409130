"""Runs: what goes in comes out, how they end, and finding them again."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from wasmexec import ConfigError, LogRecord, OutputError, StatementRaised, Status, Usage
from wasmexec.store import Advance, RowError, RunNotFoundError, RunStateError, RunStore, StepNotFoundError, StoreError


def finished(store: RunStore, step: str = "s", status: Status = Status.FINISHED) -> int:
    return store.finish(store.begin_run(step), status=status).run_id


def test_a_run_is_found_as_it_was_finished(store: RunStore) -> None:
    before = datetime.now(UTC)
    run = store.begin_run(
        "orders", definition="text of the step", processing="bulk", trigger="cli", attributes={"seed": 7}, replay_of=3
    )
    usage = Usage(wall_seconds=0.5, cpu_seconds=0.25, peak_memory_bytes=10**10, http_requests=3)
    record = store.finish(
        run, status=Status.FINISHED_WITH_ERRORS, usage=usage, rows_in=10, rows_out=9, rows_failed=1, executions=10,
        log_dropped=4, warnings=["careful"], logs=[LogRecord(1.5, "error", "bad")], local_variables={"Last": 9},
        advance=Advance({"id": 2**70}),
    )  # fmt: skip
    assert store.get_run(run.run_id) == record
    assert record.state == "finished"
    assert (record.status, record.status_name) == (Status.FINISHED_WITH_ERRORS, "finished_with_errors")
    assert record.usage == usage
    assert (record.rows_in, record.rows_out, record.rows_failed, record.executions) == (10, 9, 1, 10)
    assert (record.log_records, record.log_dropped, record.warnings) == (1, 4, ("careful",))
    assert (record.checkpoint_version_before, record.checkpoint_before) == (0, None)
    assert (record.checkpoint_version_after, record.checkpoint_after) == (1, {"id": 2**70})
    assert (record.processing, record.trigger, record.attributes, record.replay_of) == ("bulk", "cli", {"seed": 7}, 3)
    assert record.local_variables == {"Last": 9}
    assert record.process.endswith(f":{os.getpid()}")
    assert record.definition_sha256 is not None
    assert store.definition(record.definition_sha256) == "text of the step"
    assert record.ended_at is not None
    assert before <= run.started_at == record.started_at <= record.ended_at <= datetime.now(UTC)
    plain = record.as_dict()
    assert plain["status"] == 202
    assert plain["ended_at"] == record.ended_at.isoformat(timespec="milliseconds")


@pytest.mark.parametrize(
    ("status", "error", "fields"),
    [
        (
            Status.STATEMENT_RAISED,
            StatementRaised("KeyError", "'x'", "Traceback …", 3),
            {"type_name": "KeyError", "exception_message": "'x'", "traceback": "Traceback …", "line": 3},
        ),
        (
            Status.OUTPUT_REFUSED,
            OutputError("/17/price", "type", "'a'", "no number", "write `1`"),
            {"pointer": "/17/price", "rule": "type", "value": "'a'", "fix": "write `1`"},
        ),
    ],
)
def test_a_failed_run_keeps_its_error_and_the_checkpoint_stays(
    store: RunStore, status: Status, error: StatementRaised | OutputError, fields: dict[str, object]
) -> None:
    store.finish(store.begin_run("s"), status=Status.FINISHED, advance=Advance("first"))
    run = store.begin_run("s")
    assert run.checkpoint.value == "first"
    store.append_output(run, [{"a": 1}])
    record = store.finish(run, status=status, error=error)
    assert record.error == {"type": type(error).__name__, "message": error.message, **fields}
    assert (record.checkpoint_after, record.checkpoint_version_after) == (None, None)
    assert store.checkpoint("s").version == 1
    assert list(store.output(run.run_id)) == []
    assert record.output_rows == 0
    with pytest.raises(ConfigError, match=rf"^a run with status {int(status)} cannot advance the checkpoint$"):
        store.finish(store.begin_run("s"), status=status, error=error, advance=Advance(2))


def test_a_run_ends_once(store: RunStore) -> None:
    run = store.begin_run("s")
    store.finish(run, status=Status.FINISHED, advance=Advance(1))
    for again in (
        lambda: store.finish(run, status=Status.FINISHED, advance=Advance(2)),
        lambda: store.append_logs(run, [LogRecord(0, "info", "late")]),
        lambda: store.append_output(run, [{}]),
        lambda: store.append_row_errors(run, []),
        lambda: store.abandon(run.run_id),
        lambda: store.record(run),
    ):
        with pytest.raises(RunStateError, match=rf"^run {run.run_id} is finished, it must be running$"):
            again()
    assert store.checkpoint("s").value == 1
    assert store.logs(run.run_id).records == ()


def test_runs_are_listed_newest_first_in_pages(store: RunStore) -> None:
    ids = [finished(store, step) for step in ("a", "b", "a", "a", "b")]
    newest = [ids[3], ids[2], ids[0]]
    assert [run.run_id for run in store.runs("a").runs] == newest
    assert [run.run_id for run in store.runs().runs] == ids[::-1]
    page = store.runs("a", limit=2)
    assert [run.run_id for run in page.runs] == newest[:2]
    assert page.next_before_id == newest[1]
    page = store.runs("a", limit=2, before_id=page.next_before_id)
    assert ([run.run_id for run in page.runs], page.next_before_id) == (newest[2:], None)
    assert store.runs("a", limit=3).next_before_id is None
    assert store.runs("no such step").runs == ()
    for limit in (0, 10_001):
        with pytest.raises(ConfigError, match=r"^a page has 1 to 10,000 entries"):
            store.runs(limit=limit)


def test_runs_are_filtered_by_state_and_status(store: RunStore) -> None:
    good, bad, none = (finished(store, "s", status) for status in (Status(200), Status(300), Status(201)))
    running = store.begin_run("s").run_id

    def ids(**filters: object) -> list[int]:
        return [run.run_id for run in store.runs("s", **filters).runs]  # type: ignore[arg-type]

    assert ids(statuses=[Status.STATEMENT_RAISED]) == [bad]
    assert ids(statuses=[Status.FINISHED, Status.FINISHED_NO_DATA]) == [none, good]
    assert ids(states=["running"]) == [running]
    assert ids(states=["finished"], statuses=[Status.FINISHED]) == [good]
    with pytest.raises(
        ConfigError, match=r"^runs: a state is one of running, finished, conflict, abandoned, not 'done'$"
    ):
        ids(states=["done"])


def test_steps_are_listed_by_name_with_their_checkpoint_and_last_run(store: RunStore) -> None:
    store.set_checkpoint("b", 5)
    first, last = finished(store, "a"), finished(store, "a")
    steps = store.steps()
    assert [(step.name, step.checkpoint.value, step.last_run_id) for step in steps] == [
        ("a", None, last),
        ("b", 5, None),
    ]
    assert first < last
    assert store.get_step("a") == steps[0]
    with pytest.raises(StepNotFoundError, match=r"^nothing is stored of a step named 'c'$"):
        store.get_step("c")


@pytest.mark.parametrize("number", [0, -1, 999_999, 2**63, 2**80])
def test_an_unknown_run_has_an_error_of_its_own(store: RunStore, number: int) -> None:
    finished(store)
    for call in (store.get_run, store.logs, store.row_errors, store.output, store.delete_run, store.abandon):
        with pytest.raises(RunNotFoundError, match=rf"^there is no run {number}$"):
            call(number)


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "a\0", "\ud800", 3])
def test_a_step_needs_a_printable_name(store: RunStore, name: str) -> None:
    with pytest.raises(ConfigError, match=r"^a step's name is 1 to 200 printable characters"):
        store.begin_run(name)
    with pytest.raises(ConfigError, match=r"^a step's name is 1 to 200 printable characters"):
        store.set_checkpoint(name, 1)


@pytest.mark.parametrize("name", ["x" * 200, "Objednávky 2024 😀", "'; DROP TABLE wx_runs; --", "%s {} :name"])
def test_a_step_may_have_any_printable_name(store: RunStore, name: str) -> None:
    number = finished(store, name)
    assert store.get_run(number).step == name
    assert [run.run_id for run in store.runs(name).runs] == [number]


def test_logs_keep_order_execution_and_text(store: RunStore) -> None:
    run = store.begin_run("s")
    store.append_logs(run, [LogRecord(1.25, "debug", "one"), LogRecord(2.0, "warn", "zwei €\0\ud800")], execution=4)
    store.append_logs(run, [(7, LogRecord(3.0, "error", "seven")), LogRecord(4.0, "trace", "plain")])
    store.finish(
        run, status=Status.FINISHED, logs=[LogRecord(5.0, "info", "last"), (9, LogRecord(6.0, "info", "nine"))]
    )
    found = [(log.seq, log.time, log.level, log.message, log.execution) for log in store.logs(run.run_id).records]
    assert found == [
        (1, 1.25, "debug", "one", 4),
        (2, 2.0, "warn", "zwei €\N{SYMBOL FOR NULL}?", 4),
        (3, 3.0, "error", "seven", 7),
        (4, 4.0, "trace", "plain", None),
        (5, 5.0, "info", "last", None),
        (6, 6.0, "info", "nine", 9),
    ]
    assert store.get_run(run.run_id).log_records == 6
    page = store.logs(run.run_id, limit=2, min_level="info")
    assert ([log.seq for log in page.records], page.next_after) == ([2, 3], 3)
    page = store.logs(run.run_id, limit=2, min_level="info", after=3)
    assert ([log.seq for log in page.records], page.next_after) == ([5, 6], None)


def test_row_errors_are_kept_in_order(store: RunStore) -> None:
    run = store.begin_run("s")
    errors = [
        RowError(
            row=row, status=Status.OUTPUT_REFUSED, error={"type": "OutputError", "message": "m", "pointer": f"/{row}"}
        )
        for row in (5, 1_000_000, 7)
    ]
    store.append_row_errors(run, errors[:1])
    store.append_row_errors(run, iter(errors[1:]))
    record = store.finish(run, status=Status.FINISHED, rows_failed=3)
    assert (record.row_errors, record.row_errors_dropped) == (3, 0)
    assert list(store.row_errors(run.run_id).errors) == errors
    page = store.row_errors(run.run_id, limit=2)
    assert (list(page.errors), page.next_after) == (errors[:2], 2)
    assert list(store.row_errors(run.run_id, after=2).errors) == errors[2:]


def test_equal_definitions_are_kept_once_and_go_with_their_last_run(store: RunStore) -> None:
    first = store.finish(store.begin_run("s", definition="same"), status=Status.FINISHED)
    second = store.finish(store.begin_run("s", definition="same"), status=Status.FINISHED)
    other = store.finish(store.begin_run("s", definition="other \ud800"), status=Status.FINISHED)
    assert first.definition_sha256 == second.definition_sha256 != other.definition_sha256
    assert first.definition_sha256 is not None
    assert other.definition_sha256 is not None
    assert store.definition(other.definition_sha256) == "other \ud800"
    store.delete_run(first.run_id)
    assert store.definition(first.definition_sha256) == "same"
    store.delete_run(second.run_id)
    with pytest.raises(StoreError, match=r"^there is no definition"):
        store.definition(first.definition_sha256)


def test_a_deleted_run_takes_everything_but_the_checkpoint_with_it(store: RunStore) -> None:
    run = store.begin_run("s")
    store.append_output(run, [{"a": 1}])
    store.record(run).add("input", b"x")
    store.append_row_errors(run, [RowError(row=0, status=Status.OUTPUT_REFUSED, error={})])
    with pytest.raises(RunStateError, match=rf"^run {run.run_id} is running, it must be ended$"):
        store.delete_run(run.run_id)
    store.finish(run, status=Status.FINISHED, logs=[LogRecord(0, "info", "x")], advance=Advance(3))
    store.delete_run(run.run_id)
    with pytest.raises(RunNotFoundError):
        store.get_run(run.run_id)
    assert store.checkpoint("s").value == 3
    assert store.checkpoint_history("s").checkpoints[0].run_id == run.run_id
    assert store.begin_run("s").run_id > run.run_id  # a number is never used again


def test_prune_keeps_the_newest_and_what_runs(store: RunStore) -> None:
    other = finished(store, "other")
    running = store.begin_run("s").run_id
    ids = [finished(store) for _ in range(5)]
    assert store.prune("s", keep=2) == 3
    assert [run.run_id for run in store.runs("s").runs] == [ids[4], ids[3], running]
    assert store.prune("s", keep=2) == 0
    assert store.prune("s", keep=0) == 2
    assert [run.run_id for run in store.runs().runs] == [running, other]
    with pytest.raises(StepNotFoundError):
        store.prune("unknown", keep=1)


def test_the_run_of_a_dead_process_is_abandoned_and_a_live_one_is_not(url: str, store: RunStore) -> None:
    mine = store.begin_run("s").run_id
    code = (
        "import sys\nfrom wasmexec.store import RunStore\n"
        "store = RunStore.open(sys.argv[1])\nrun = store.begin_run('s')\nstore.append_output(run, [{}])\n"
        "print(run.run_id, flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        theirs = int(process.stdout.readline())
        assert store.abandon_dead() == []
        assert store.get_run(theirs).output_rows == 1
        process.kill()
    assert store.get_run(theirs).state == "running"
    next_run = store.begin_run("s")
    record = store.get_run(theirs)
    assert (record.state, record.status, record.output_rows) == ("abandoned", None, 0)
    assert record.error == {"type": "Abandoned", "message": "the run was abandoned: its process died"}
    assert {store.get_run(number).state for number in (mine, next_run.run_id)} == {"running"}


def test_a_run_can_be_abandoned_by_hand(store: RunStore) -> None:
    run = store.begin_run("s")
    record = store.abandon(run.run_id, "the machine is gone")
    assert record.state == "abandoned"
    assert record.error == {"type": "Abandoned", "message": "the run was abandoned: the machine is gone"}
    with pytest.raises(RunStateError, match=r"is abandoned, it must be running$"):
        store.finish(run, status=Status.FINISHED, advance=Advance(1))
    assert store.checkpoint("s").version == 0
