"""A list of small jobs with needs, run on a few threads, longest first among those that are ready.

The threads only wait for compilers; what a job does itself in Python should be short.
"""

import heapq
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

Progress = Callable[[float, float, str], None]


@dataclass(frozen=True)
class Job:
    """One piece of work: `run` is called once every job named in `needs` has returned.

    `cost` is relative (any unit, the same for all jobs of one list): it orders the ready jobs and weighs the progress.
    """

    name: str
    run: Callable[[], object]
    cost: float = 1.0
    needs: tuple[str, ...] = ()


def run_jobs(jobs: Iterable[Job], *, workers: int, progress: Progress | None = None) -> None:
    """Run every job; the first failure stops the start of further ones and is raised once the running ones have ended.

    `progress(done_cost, total_cost, name_of_the_job_that_ended)` is called on the calling thread.

    Raises:
        ValueError: two jobs of one name, a need that names no job, or needs that form a cycle (nothing has run).
        Whatever a job raised.
    """
    by_name = _indexed(jobs)
    waiting_for = {name: set(job.needs) for name, job in by_name.items()}
    needed_by: dict[str, list[str]] = {name: [] for name in by_name}
    for name, needs in waiting_for.items():
        for need in needs:
            needed_by[need].append(name)
    urgency = _urgencies(by_name, needed_by)
    ready = [(-urgency[name], name) for name, needs in waiting_for.items() if not needs]
    heapq.heapify(ready)
    total = sum(job.cost for job in by_name.values())
    done = 0.0
    running: dict[Future[object], str] = {}
    failure: BaseException | None = None
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        while ready or running:
            while ready and len(running) < workers and failure is None:
                name = heapq.heappop(ready)[1]
                running[pool.submit(by_name[name].run)] = name
            if not running:
                break
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                name = running.pop(future)
                error = future.exception()
                if error is not None:
                    failure = failure or error
                    continue
                done += by_name[name].cost
                if progress is not None:
                    progress(done, total, name)
                for follower in needed_by[name]:
                    waiting_for[follower].discard(name)
                    if not waiting_for[follower]:
                        heapq.heappush(ready, (-urgency[follower], follower))
    if failure is not None:
        raise failure


def _indexed(jobs: Iterable[Job]) -> dict[str, Job]:
    by_name: dict[str, Job] = {}
    for job in jobs:
        if job.name in by_name:
            raise ValueError(f"two jobs are named {job.name!r}")
        by_name[job.name] = job
    for job in by_name.values():
        for need in job.needs:
            if need not in by_name:
                raise ValueError(f"{job.name!r} needs {need!r}, which is no job")
    return by_name


def _urgencies(by_name: dict[str, Job], needed_by: dict[str, list[str]]) -> dict[str, float]:
    """Cost of a job and of the longest chain that waits for it."""
    urgency: dict[str, float] = {}
    for root in by_name:
        stack: list[tuple[str, bool]] = [(root, False)]
        path: set[str] = set()
        while stack:
            name, left = stack.pop()
            if left:
                path.discard(name)
                urgency[name] = by_name[name].cost + max((urgency[n] for n in needed_by[name]), default=0.0)
            elif name in path:
                raise ValueError(f"the needs of {name!r} form a cycle")
            elif name not in urgency:
                path.add(name)
                stack.append((name, True))
                stack.extend((follower, False) for follower in needed_by[name])
    return urgency
