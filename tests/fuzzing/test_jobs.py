"""`wasmexec fuzz --jobs`: searches in processes of their own, what they tell, and how they end."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from tests.fuzzing.test_fuzz_command import MENDED, SHARES, Folder

import wasmexec
from wasmexec.fuzzing import FuzzInput, Target, TargetOptions, jobs
from wasmexec.fuzzing.campaign import Bounds, Campaign
from wasmexec.fuzzing.jobs import Assignment, Gone, Heard, Job, JobEvent
from wasmexec.fuzzing.notices import Counts, Notice, Novelty, Suspicion, read_notice
from wasmexec.fuzzing.store import FuzzStore
from wasmexec.step import Step

COUNTS = b'{"counts": {"runs": %d, "made": 0, "unfit": 0, "undecided": 0, "checked": 0, "unstable": 0}}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with the step of the shares, without its bug."""
    made = Folder(tmp_path)
    made.write(MENDED)
    return made


def until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def jobs_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes of its jobs."""
    return [child for child in psutil.Process(process.pid).children() if "fuzzing.job_child" in child.cmdline()]


@contextmanager
def running(folder: Folder, *arguments: str, count: int = 1) -> Iterator[subprocess.Popen[str]]:
    """The fuzzer, once so many jobs have been started, and each has used some processor time."""
    process = subprocess.Popen(
        [sys.executable, "-m", "wasmexec", "fuzz", "shares.step.yaml", *arguments], cwd=folder.path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with process:
        try:
            until(lambda: len(jobs_of(process)) == count)
            until(lambda: all(sum(job.cpu_times()[:2]) > 1.0 for job in jobs_of(process)))
            yield process
        finally:
            process.kill()


def listened(events: queue.SimpleQueue[JobEvent], is_enough: Callable[[Notice], bool]) -> list[Notice]:
    """What a job tells until it has told that."""
    told: list[Notice] = []
    while not told or not is_enough(told[-1]):
        event = events.get(timeout=60)
        assert isinstance(event, Heard)
        told.append(event.notice)
    return told


def note_counts(job: Job, events: queue.SimpleQueue[JobEvent], runs: int) -> None:
    """Have a job's counts noted once it has told of so many runs."""
    told = listened(events, lambda notice: isinstance(notice, Counts) and notice.runs >= runs)[-1]
    assert isinstance(told, Counts)
    assert job.note(told)


def assignment(step: Step, executor: wasmexec.Executor, stream: str) -> Assignment:
    return Assignment(
        definition=step.definition, options=TargetOptions(), image=executor.image.manifest, stream=stream, first=0
    )


def searched(step: Step, executor: wasmexec.Executor, stream: str) -> list[Notice]:
    """What a job tells of its first runs; then it ends when it is told to."""
    events: queue.SimpleQueue[JobEvent] = queue.SimpleQueue()
    job = Job(1, assignment(step, executor, stream), events.put)
    job.grant(200)
    assert job.owed == 0, "it has nothing while it loads"
    note_counts(job, events, 0)
    job.grant(200)
    told = listened(events, lambda notice: isinstance(notice, Counts) and notice.runs >= 200)
    job.end()
    while not isinstance(event := events.get(timeout=30), Gone):
        told.append(event.notice)
    assert event.why == "its process has ended with 0"
    job.kill()
    return told


def test_a_job_tells_of_each_run_that_it_was_granted_before_it_waits_for_more(
    folder: Folder, executor: wasmexec.Executor
) -> None:
    """Else both wait: a campaign has nothing to grant as long as it has not heard of what it has granted."""
    folder.write(SHARES)
    events: queue.SimpleQueue[JobEvent] = queue.SimpleQueue()
    job = Job(1, assignment(Step.load(folder.path / "shares.step.yaml"), executor, "1.1"), events.put)
    try:
        note_counts(job, events, 0)
        for _ in range(30):
            job.grant(1)
            # What it looks at more closely it runs more than once: these are told before they are granted.
            if job.owed:
                note_counts(job, events, job.granted)
        assert job.counts.runs >= 30
    finally:
        job.kill()


def test_a_job_tells_what_is_new_and_what_is_wrong_and_its_seed_decides_what_it_draws(
    folder: Folder, executor: wasmexec.Executor
) -> None:
    folder.write(SHARES)
    step = Step.load(folder.path / "shares.step.yaml")
    first, again, other = (searched(step, executor, stream) for stream in ("1.1", "1.1", "1.2"))
    assert {type(notice) for notice in first} == {Novelty, Suspicion, Counts}
    first_inputs = [next(item.input for item in told if isinstance(item, Novelty)) for told in (first, again, other)]
    assert first_inputs[0] == first_inputs[1] != first_inputs[2]
    counts = [notice for notice in first if isinstance(notice, Counts)]
    assert counts[-1].made >= 190


def test_all_jobs_together_make_the_runs_that_are_asked_for(folder: Folder) -> None:
    out = folder("fuzz", "shares.step.yaml", "--runs", "2500", "--seed", "1", "--jobs", "3", code=0)
    assert 2500 <= int(out.split()[0].replace(",", "")) <= 2600


def test_what_a_job_finds_is_a_finding(folder: Folder, executor: wasmexec.Executor) -> None:
    """Only the jobs draw: the search of the campaign itself has nothing to run."""
    folder.write(SHARES)
    step = Step.load(folder.path / "shares.step.yaml")
    store = FuzzStore(folder.path / "kept")
    with Target(step, executor=executor) as target:
        campaign = Campaign(target, store, Bounds(seconds=40, seed=1), lambda _: os.kill(os.getpid(), signal.SIGINT))
        campaign._search.fill = lambda most: None  # type: ignore[method-assign]
        summary = campaign.run()
    assert [finding.verdict.exception for finding in summary.findings] == ["ZeroDivisionError"]
    assert store.findings() == summary.findings
    assert summary.notes == []


def test_a_job_that_is_killed_is_told_and_the_others_go_on(folder: Folder) -> None:
    with running(folder, "--time", "600", "--jobs", "3", count=2) as process:
        killed, other = jobs_of(process)
        killed.kill()
        until(lambda: not psutil.pid_exists(killed.pid))
        used = sum(other.cpu_times()[:2])
        until(lambda: sum(other.cpu_times()[:2]) > used + 0.5)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "was lost, the others have gone on without it: its process has ended with -9" in errors
    assert " of 1 branches" in out


def test_no_job_outlives_a_fuzzer_that_is_killed(folder: Folder) -> None:
    with running(folder, "--time", "600", "--jobs", "3", count=2) as process:
        left = jobs_of(process)
        process.kill()
        process.wait(10)
    gone, alive = psutil.wait_procs(left, timeout=10)
    assert (len(gone), alive) == (2, [])


def test_an_interrupt_ends_it_with_3_and_what_was_learnt_is_kept(folder: Folder) -> None:
    with running(folder, "--time", "600", "--seed", "5") as process:
        left = jobs_of(process)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in errors) == (3, False)
    assert out.rstrip().endswith(" · seed 5")
    assert psutil.wait_procs(left, timeout=10)[1] == []
    store = FuzzStore.beside(folder.path / "shares.step.yaml", "shares")
    assert len(store.corpus()) > 0
    assert store.state()["seed"] == 5
    assert store.state()["made"] > 0
    assert store.notes == []


@pytest.mark.parametrize(
    "line",
    [
        b"nothing", b"[]", b'{"counts": {"runs": 1}}', b'{"suspicion": {"input": {"inputs": []}, "mark": "a"}}',
        b'{"new": {"input": {"inputs": [[]]}, "hits": [[0]], "shape": [200, 0, ""], "clean": true}}',
        b'{"new": {"input": {"inputs": [[]]}, "hits": [], "shape": [200, 0.5, ""], "clean": true}}', COUNTS % -1,
    ],
)  # fmt: skip
def test_a_notice_that_is_none_is_refused(line: bytes) -> None:
    read_notice(COUNTS % 1)
    with pytest.raises(ValueError, match=" "):
        read_notice(line)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (b"nothing\n", "it has told what nobody understands: "),
        (
            b'{"new": {"input": {"inputs": [[]]}, "hits": [[9, 1]], "shape": [200, 0, ""], "clean": true}}\n',
            "cannot be",
        ),
        # Counts that go back.
        (COUNTS % 5 + COUNTS % 4, "it has told what cannot be"),
    ],
)
def test_a_job_that_tells_what_cannot_be_is_ended(
    lines: bytes, why: str, folder: Folder, executor: wasmexec.Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"import sys, time; sys.stdout.buffer.write({lines!r}); sys.stdout.flush(); time.sleep(600)"
    monkeypatch.setattr(jobs, "child_command", lambda *_: [sys.executable, "-c", script])
    with Target(Step.load(folder.path / "shares.step.yaml"), executor=executor) as target:
        campaign = Campaign(target, FuzzStore(folder.path / "kept"), Bounds(seconds=60), print)
        fill = campaign._search.fill

        def until_it_is_lost(most: int) -> None:
            if campaign._jobs.notes:
                raise KeyboardInterrupt
            fill(most)

        campaign._search.fill = until_it_is_lost  # type: ignore[method-assign]
        summary = campaign.run()
    [note] = summary.notes
    assert why in note
    assert summary.runs > 0


def test_a_notice_is_the_same_when_it_is_read_again() -> None:
    given = FuzzInput(inputs=[[{"a": 10**30, "b": None}], None], checkpoint=0)
    for notice in (
        Novelty(input=given, hits=frozenset({(0, 1), (3, 16)}), shape=(300, 0, "StatementRaised"), is_clean=False),
        Suspicion(input=given, mark="abc:None"),
        Counts(runs=1, made=2, unfit=3, undecided=4, checked=5, unstable=6),
    ):
        assert read_notice(notice.line()) == notice


def test_the_search_goes_on_where_it_stopped(folder: Folder) -> None:
    """With the seed and the number of the next input: nothing is drawn twice."""
    store = FuzzStore.beside(folder.path / "shares.step.yaml", "shares")
    folder("fuzz", "shares.step.yaml", "--runs", "100", "--seed", "5", code=0)
    before = store.state()
    out = folder("fuzz", "shares.step.yaml", "--runs", "60", "--continue", code=0)
    after = store.state()
    assert out.rstrip().endswith(" · seed 5")
    assert (before["seed"], after["seed"]) == (5, 5)
    corpus = len(store.corpus())
    assert before["made"] < after["made"] <= before["made"] + 60
    assert after["made"] >= before["made"] + 60 - corpus - 20
    folder("fuzz", "shares.step.yaml", "--runs", "60", "--seed", "5", code=0)
    assert store.state()["made"] < before["made"], "without it the search begins anew"


def test_a_stored_finding_is_made_smaller_on_demand(folder: Folder) -> None:
    folder.write(SHARES)
    folder("fuzz", "shares.step.yaml", "--runs", "200", "--seed", "1", code=1)
    store = FuzzStore.beside(folder.path / "shares.step.yaml", "shares")
    [finding] = store.findings()
    path = store.folder / "findings" / f"{finding.id}.json"
    content = json.loads(path.read_text("utf-8"))
    rows = [{"city": f"town {number}", "amount": number} for number in range(1, 12)]
    content["input"] = {"inputs": [[*rows, {"city": "x", "amount": 12}, {"city": "x", "amount": -12}]]}
    content["is_minimal"] = False
    path.write_text(json.dumps(content), "utf-8")
    out = folder("fuzz", "shares.step.yaml", "--minimize", finding.id[:6], code=1)
    assert '  INPUT_DATA: [{"city": "", "amount": 0}]\n' in out
    [smaller] = store.findings()
    assert (smaller.id, smaller.is_minimal) == (finding.id, True)
    assert smaller.shrink_runs > finding.shrink_runs
    folder("fuzz", "shares.step.yaml", "--minimize", "0" * 12, code=2)
