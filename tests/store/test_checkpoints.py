"""Checkpoints: values, versions, history, by hand, and what happens when two want to advance one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.store import contend_worker

from wasmexec import ConfigError, Status
from wasmexec.store import Advance, Checkpoint, CheckpointConflictError, RunHandle, RunStore, StoreBounds


def advance(store: RunStore, run: RunHandle, value: Any) -> None:
    store.finish(run, status=Status.FINISHED, advance=Advance(value))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -1,
        2**100,
        1.5,
        1e300,
        "",
        "text",
        "€\0\ud800 \\u0000",
        "10/16/2036 09:22:33",
        [1, [2]],
        {"a": None},
    ],
)
def test_a_checkpoint_comes_back_as_it_was_stored(store: RunStore, value: Any) -> None:
    assert store.begin_run("s").checkpoint == Checkpoint(step="s")
    run = store.begin_run("s")
    advance(store, run, value)
    found = store.begin_run("s").checkpoint
    assert found.value == value
    assert type(found.value) is type(value)
    assert (found.version, found.cause, found.run_id) == (1, "run", run.run_id)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", {1, 2}, object()])
def test_a_checkpoint_is_json(store: RunStore, value: Any) -> None:
    run = store.begin_run("s")
    with pytest.raises(ConfigError, match=r"^the checkpoint is not JSON: "):
        advance(store, run, value)
    advance(store, run, 1)  # the run can still be finished


def test_without_an_advance_the_checkpoint_stays(store: RunStore) -> None:
    advance(store, store.begin_run("s"), 1)
    record = store.finish(store.begin_run("s"), status=Status.FINISHED_NO_DATA)
    assert record.checkpoint_version_after is None
    assert store.checkpoint("s").version == 1


def test_the_history_says_who_changed_it(store: RunStore) -> None:
    first = store.begin_run("s")
    advance(store, first, "a")
    store.set_checkpoint("s", "b")
    store.reset_checkpoint("s")
    last = store.begin_run("s")
    advance(store, last, "c")
    page = store.checkpoint_history("s")
    assert [(item.version, item.value, item.cause, item.run_id) for item in page.checkpoints] == [
        (4, "c", "run", last.run_id), (3, None, "reset", None), (2, "b", "set", None), (1, "a", "run", first.run_id),
    ]  # fmt: skip
    assert page.checkpoints[0] == store.checkpoint("s")
    page = store.checkpoint_history("s", limit=3)
    assert page.next_before_version == 2
    page = store.checkpoint_history("s", limit=3, before_version=2)
    assert ([item.version for item in page.checkpoints], page.next_before_version) == ([1], None)


def test_steps_have_checkpoints_of_their_own(store: RunStore) -> None:
    advance(store, store.begin_run("a"), 1)
    assert store.begin_run("b").checkpoint.value is None
    assert store.checkpoint("nobody ran this") == Checkpoint(step="nobody ran this")
    assert [step.name for step in store.steps()] == ["a", "b"]


def test_a_checkpoint_is_changed_by_hand_only_from_the_expected_version(store: RunStore) -> None:
    assert store.set_checkpoint("s", 1, expect_version=0).version == 1
    with pytest.raises(CheckpointConflictError) as caught:
        store.set_checkpoint("s", 2, expect_version=0)
    assert (caught.value.run_id, caught.value.expected_version, caught.value.found_version) == (None, 0, 1)
    assert (caught.value.winner_run_id, caught.value.winner_cause) == (None, "set")
    with pytest.raises(CheckpointConflictError):
        store.reset_checkpoint("s", expect_version=2)
    assert store.reset_checkpoint("s", expect_version=1).value is None
    assert store.set_checkpoint("s", 3).version == 3


def test_only_the_newest_of_a_long_history_are_kept(url: str) -> None:
    with RunStore.open(url, bounds=StoreBounds(checkpoint_history=3)) as store:
        for value in range(3):
            store.set_checkpoint("s", value)
        assert [item.version for item in store.checkpoint_history("s").checkpoints] == [3, 2, 1]
        advance(store, store.begin_run("s"), "more")
        assert [item.version for item in store.checkpoint_history("s").checkpoints] == [4, 3, 2]


def test_of_two_runs_at_once_one_advances_and_the_other_is_told(store: RunStore) -> None:
    first, second = store.begin_run("s"), store.begin_run("s")
    store.append_output(second, [{"a": 1}])
    advance(store, first, "first")
    with pytest.raises(CheckpointConflictError) as caught:
        advance(store, second, "second")
    error = caught.value
    assert error.message == (
        f"the checkpoint of step 's' was changed by run {first.run_id} in the meantime "
        f"(version 1, run {second.run_id} started from 0); nothing was advanced"
    )
    assert (error.step, error.run_id, error.winner_run_id, error.winner_cause) == (
        "s",
        second.run_id,
        first.run_id,
        "run",
    )
    assert (error.expected_version, error.found_version) == (0, 1)
    assert store.checkpoint("s").value == "first"
    loser = store.get_run(second.run_id)
    assert (loser.state, loser.status, loser.checkpoint_version_after) == ("conflict", Status.CANCELLED, None)
    assert loser.error == {"type": "CheckpointConflictError", "message": error.message, **error.fields()}
    assert (loser.output_rows, store.get_run(first.run_id).state) == (0, "finished")
    advance(store, store.begin_run("s"), "third")  # and the step goes on


def test_a_run_loses_against_a_change_by_hand(store: RunStore) -> None:
    run = store.begin_run("s")
    store.set_checkpoint("s", "mine")
    with pytest.raises(CheckpointConflictError, match=r"was changed by hand \(set\) in the meantime"):
        advance(store, run, "theirs")
    assert store.checkpoint("s").value == "mine"


def test_a_run_that_does_not_advance_does_not_lose(store: RunStore) -> None:
    first, second = store.begin_run("s"), store.begin_run("s")
    advance(store, first, 1)
    assert store.finish(second, status=Status.FINISHED_NO_DATA).state == "finished"


def test_threads_that_finish_at_the_same_moment_advance_once(store: RunStore) -> None:
    threads = 6
    barrier = threading.Barrier(threads)

    def finish(run: RunHandle) -> bool:
        barrier.wait()
        try:
            advance(store, run, run.run_id)
        except CheckpointConflictError:
            return False
        return True

    with ThreadPoolExecutor(threads) as pool:
        for number in range(1, 11):
            runs = [store.begin_run("s") for _ in range(threads)]
            assert sorted(pool.map(finish, runs)) == [False] * (threads - 1) + [True]
            checkpoint = store.checkpoint("s")
            assert checkpoint.version == number
            states = {store.get_run(run.run_id).state for run in runs if run.run_id != checkpoint.run_id}
            assert states == {"conflict"}
            assert store.get_run(checkpoint.value).state == "finished"  # type: ignore[arg-type]


def compete(url: str) -> list[tuple[int, int]]:
    """How often each of three processes won and lost, which go on until each has won 25 times."""
    script = Path(contend_worker.__file__)
    workers = [
        subprocess.Popen(
            [sys.executable, script, url, "25"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ},
        )
        for _ in range(3)
    ]  # fmt: skip
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    found = []
    for worker in workers:
        text, _ = worker.communicate(timeout=240)
        assert worker.returncode == 0
        won, lost = text.split()
        found.append((int(won), int(lost)))
    return found


def test_processes_that_compete_lose_no_step_and_count_none_twice(url: str, store: RunStore) -> None:
    """Each adds 1 to the checkpoint as often as it wins; in the end the sum is the number of wins."""
    won = lost = rounds = 0
    # A busy machine may let them run one after the other; then they have not competed yet.
    while not lost and rounds < 5:
        rounds += 1
        for more_won, more_lost in compete(url):
            won, lost = won + more_won, lost + more_lost
        assert won == 75 * rounds
    assert lost > 0
    assert store.checkpoint("s").value == store.checkpoint("s").version == won
    assert [item.value for item in store.checkpoint_history("s", limit=won + 1).checkpoints] == list(range(won, 0, -1))
    states = [run.state for run in store.runs("s", limit=10_000).runs]
    assert (states.count("finished"), states.count("conflict")) == (won, lost)
