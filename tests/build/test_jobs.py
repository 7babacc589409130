"""Jobs run when what they need is done, the longest chain first, and a failure stops the rest."""

import threading
import time

import pytest

from wasmbuild.jobs import Job, run_jobs


def test_needs_come_first_and_the_longest_chain_starts_first() -> None:
    ran: list[str] = []
    jobs = [
        Job("small", lambda: ran.append("small"), cost=1),
        Job("last", lambda: ran.append("last"), cost=1, needs=("long", "small")),
        Job("long", lambda: ran.append("long"), cost=5, needs=("first",)),
        Job("first", lambda: ran.append("first"), cost=0.5),
    ]
    run_jobs(jobs, workers=1)
    assert ran == ["first", "long", "small", "last"]


def test_progress_counts_cost_and_ends_at_the_total() -> None:
    seen: list[tuple[float, float, str]] = []
    jobs = [Job("a", lambda: None, cost=3), Job("b", lambda: None, cost=1, needs=("a",))]
    run_jobs(jobs, workers=2, progress=lambda done, total, what: seen.append((done, total, what)))
    assert seen == [(3, 4, "a"), (4, 4, "b")]


def test_as_many_run_at_once_as_there_are_workers() -> None:
    barrier = threading.Barrier(2, timeout=10)
    run_jobs([Job(str(n), barrier.wait) for n in range(4)], workers=2)


def test_a_failure_lets_running_jobs_end_and_starts_no_more() -> None:
    ran: list[str] = []

    def fail() -> None:
        raise OSError("no space")

    def slow() -> None:
        time.sleep(0.1)
        ran.append("slow")

    jobs = [Job("fail", fail, cost=9), Job("slow", slow, cost=8), Job("never", lambda: ran.append("never"), cost=1)]
    with pytest.raises(OSError, match="no space"):
        run_jobs(jobs, workers=2)
    assert ran == ["slow"]


def test_wrong_lists_are_refused_before_anything_runs() -> None:
    def never() -> None:
        raise AssertionError("ran")

    with pytest.raises(ValueError, match="two jobs are named 'a'"):
        run_jobs([Job("a", never), Job("a", never)], workers=1)
    with pytest.raises(ValueError, match="'a' needs 'b', which is no job"):
        run_jobs([Job("a", never, needs=("b",))], workers=1)
    with pytest.raises(ValueError, match="form a cycle"):
        run_jobs([Job("a", never, needs=("b",)), Job("b", never, needs=("a",)), Job("c", never)], workers=1)
    run_jobs([], workers=1)
