"""Steps with one bug each are told, by its kind and a small input; the same steps without it are left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bench.fuzzing import Attempt, is_small, kill_when_it_writes
from tests.fuzz_steps import PLANTED, Planted

import wasmexec
from wasmexec.fuzzing.store import FuzzStore

SLOW = {"slow_regex", "resume_zero", "three_conditions"}
"""What takes seconds to show: the bench finds these too."""
QUICK = [item for item in PLANTED if item.name not in SLOW]


@pytest.mark.parametrize("item", QUICK, ids=[item.name for item in QUICK])
def test_a_bug_is_found_and_made_small(item: Planted, tmp_path: Path, executor: wasmexec.Executor) -> None:
    attempt = Attempt(item, tmp_path, executor, is_wrong=True)
    attempt.run(40, 7, stop_at=item.kind)
    [(finding, _)] = attempt.shrink()
    assert finding.verdict.kind == item.kind
    assert is_small(finding)


@pytest.mark.parametrize("item", PLANTED, ids=[item.name for item in PLANTED])
def test_the_same_step_without_the_bug_is_left_alone(
    item: Planted, tmp_path: Path, executor: wasmexec.Executor
) -> None:  # fmt: skip
    summary = Attempt(item, tmp_path, executor, is_wrong=False).run(20, 7, runs=150)
    assert (summary.findings, summary.runs >= 150) == ([], True)


def test_whatever_a_killed_fuzzer_has_written_can_be_read(tmp_path: Path) -> None:
    step = PLANTED[0]
    step.write(tmp_path, is_wrong=True)
    store = FuzzStore(tmp_path / "kept")
    kill_when_it_writes(tmp_path / f"{step.name}-wrong.step.yaml", store, 0.01)
    assert len(store.corpus()) + len(store.findings()) > 0
    assert store.notes == []


def test_a_file_that_is_damaged_is_left_out_and_named(tmp_path: Path) -> None:
    store = FuzzStore(tmp_path)
    (tmp_path / "findings").mkdir()
    for name, text in {
        "cut": '{"id": "a',
        "list": "[]",
        "kind": '{"kind": "x"}',
        "input": '{"kind": "raised"}',
    }.items():
        (tmp_path / "findings" / f"{name}.json").write_text(text, "utf-8")
    assert store.findings() == []
    assert len(store.notes) == 4
