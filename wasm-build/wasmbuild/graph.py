"""Runs the stages of a build: in the order of their dependencies, in parallel, only those whose output is missing."""

import concurrent.futures
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wasmbuild.cache import Cache, remove_tree
from wasmbuild.errors import BuildError, BuildInterrupted, RecipeError, StageFailed
from wasmbuild.process import Processes, tail_of
from wasmbuild.progress import Progress

_OUTPUT = "output"


@dataclass(slots=True)
class StageRun:
    """What one running stage gets.

    Attributes:
        output: the empty folder to fill; it becomes the stage's output when the action returns.
        work: an empty scratch folder, deleted afterwards.
        inputs: output folders of the stages it depends on, by stage name.
    """

    output: Path
    work: Path
    log: Path
    inputs: Mapping[str, Path]
    processes: Processes
    report: Callable[[int, int, str], None]
    job_budget: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Stage:
    """One node of the graph: a named output, its stamp, and how to make it.

    Attributes:
        is_done: for stages whose result is not an output folder (downloads): whether it is there already.
    """

    name: str
    stamp: str
    action: Callable[[StageRun], None]
    depends: tuple[str, ...] = ()
    estimate_seconds: float = 1.0
    is_done: Callable[[], bool] | None = field(default=None)


class Graph:
    """A checked set of stages over one cache."""

    def __init__(self, stages: Iterable[Stage], cache: Cache) -> None:
        """Check the graph.

        Raises:
            RecipeError: a name is used twice, a dependency is unknown, or the dependencies form a circle.
        """
        self.cache = cache
        self.stages: dict[str, Stage] = {}
        for stage in stages:
            if stage.name in self.stages:
                raise RecipeError(Path("graph"), stage.name, "is the name of two stages")
            self.stages[stage.name] = stage
        for stage in self.stages.values():
            for name in stage.depends:
                if name not in self.stages:
                    raise RecipeError(Path("graph"), stage.name, f"depends on {name!r}, which does not exist")
        self._check_circles()

    def _check_circles(self) -> None:
        state: dict[str, bool] = {}

        def visit(name: str, path: tuple[str, ...]) -> None:
            if state.get(name):
                return
            if name in state:
                raise RecipeError(Path("graph"), name, f"depends on itself: {' -> '.join((*path, name))}")
            state[name] = False
            for dependency in self.stages[name].depends:
                visit(dependency, (*path, name))
            state[name] = True

        for name in self.stages:
            visit(name, ())

    def folder(self, name: str) -> Path:
        """Where the output of a stage is, or will be."""
        return self.cache.stage_folder(name, self.stages[name].stamp)

    def is_done(self, name: str) -> bool:
        stage = self.stages[name]
        return stage.is_done() if stage.is_done is not None else self.folder(name).is_dir()

    def missing(self, targets: Iterable[str]) -> list[str]:
        """Stages that must run for `targets`, dependencies first; what only finished stages need is left alone."""
        order: dict[str, None] = {}

        def visit(name: str) -> None:
            if name in order or self.is_done(name):
                return
            for dependency in self.stages[name].depends:
                visit(dependency)
            order[name] = None

        for target in targets:
            visit(target)
        return list(order)

    def run(self, targets: Iterable[str], progress: Progress, processes: Processes | None = None) -> dict[str, float]:
        """Bring `targets` into the cache; returns the seconds of each stage that ran. Call while holding the lock.

        The first failure stops everything else and is raised; finished stages stay, so the next run goes on there.
        Ctrl-C stops all children and is raised again.

        Raises:
            BuildError: a stage failed.
            KeyboardInterrupt
        """
        order = self.missing(targets)
        if not order:
            return {}
        with _termination_as_interrupt():
            return _Runner(self, order, progress, processes or Processes()).run()


@contextlib.contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: a build that is told to end must not leave compilers running."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Runner:
    def __init__(self, graph: Graph, order: list[str], progress: Progress, processes: Processes) -> None:
        self.graph = graph
        self.order = order
        self.progress = progress
        self.processes = processes
        self.cpus = os.cpu_count() or 1
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()
        self._running: set[str] = set()
        known = graph.cache.durations()
        self.estimates = {name: known.get(name, graph.stages[name].estimate_seconds) for name in order}
        self._remaining: dict[str, float] = {}

    def run(self) -> dict[str, float]:
        waiting = set(self.order)
        self.progress.plan({name: self.estimates[name] for name in self.order}, self._depends_of())
        futures: dict[concurrent.futures.Future[None], str] = {}
        failure: BaseException | None = None
        pool = concurrent.futures.ThreadPoolExecutor(max_workers=max(2, self.cpus), thread_name_prefix="stage")
        try:
            while waiting or futures:
                if failure is None:
                    self._start_ready(pool, waiting, futures)
                elif not futures:
                    break
                done, _ = concurrent.futures.wait(futures, timeout=0.5, return_when="FIRST_COMPLETED")
                self.progress.tick()
                for future in done:
                    del futures[future]
                    error = future.exception()
                    if error is not None and (failure is None or isinstance(failure, BuildInterrupted)):
                        failure = error
                        self.processes.stop_all()
        except KeyboardInterrupt:
            self.progress.note("stopping")
            self.processes.stop_all()
            concurrent.futures.wait(futures, timeout=30)
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            self.progress.close()
        if failure is not None:
            raise failure
        return self.seconds

    def _depends_of(self) -> dict[str, tuple[str, ...]]:
        planned = set(self.order)
        return {n: tuple(d for d in self.graph.stages[n].depends if d in planned) for n in self.order}

    def _start_ready(
        self,
        pool: concurrent.futures.ThreadPoolExecutor,
        waiting: set[str],
        futures: dict[concurrent.futures.Future[None], str],
    ) -> None:
        unfinished = waiting | set(futures.values())
        ready = [n for n in waiting if not any(d in unfinished for d in self.graph.stages[n].depends)]
        # The stage with the most work behind it goes first, or the longest chain would end the build alone.
        ready.sort(key=self._work_behind, reverse=True)
        for name in ready[: max(2, self.cpus) - len(futures)]:
            waiting.discard(name)
            futures[pool.submit(self._run_stage, self.graph.stages[name])] = name

    def _work_behind(self, name: str) -> float:
        if name not in self._remaining:
            behind = [n for n in self.order if name in self.graph.stages[n].depends]
            self._remaining[name] = self.estimates[name] + max(map(self._work_behind, behind), default=0.0)
        return self._remaining[name]

    def _job_budget(self) -> int:
        # Never below two: a neighbour may be in a phase that uses one processor, such as a configure script.
        return max(min(2, self.cpus), -(-self.cpus // max(1, len(self._running))))

    def _run_stage(self, stage: Stage) -> None:
        cache = self.graph.cache
        log = cache.log_file(stage.name, stage.stamp)
        scratch = cache.work / f"{stage.name}-{stage.stamp[:16]}"
        self.processes.check()
        remove_tree(scratch)
        remove_tree(log)
        (scratch / _OUTPUT).mkdir(parents=True)
        (scratch / "work").mkdir()
        log.touch()
        with self._lock:
            self._running.add(stage.name)
        self.progress.started(stage.name)
        begun = time.monotonic()
        try:
            stage.action(
                StageRun(
                    output=scratch / _OUTPUT,
                    work=scratch / "work",
                    log=log,
                    inputs={name: self.graph.folder(name) for name in stage.depends},
                    processes=self.processes,
                    report=lambda done, total, what: self.progress.update(stage.name, done, total, what),
                    job_budget=self._job_budget,
                )
            )
            self.processes.check()
            if stage.is_done is None:
                target = self.graph.folder(stage.name)
                remove_tree(target)
                (scratch / _OUTPUT).rename(target)
        except BuildInterrupted:
            self.progress.finished(stage.name, time.monotonic() - begun, "stopped")
            raise
        except Exception as error:
            # Whatever a builder raises ends the build; it must name its stage and show its log.
            self.progress.finished(stage.name, time.monotonic() - begun, "failed")
            raise _located(error, stage.name, log) from error
        finally:
            with self._lock:
                self._running.discard(stage.name)
            if "WASMEXEC_KEEP_WORK" not in os.environ:
                remove_tree(scratch)
        seconds = time.monotonic() - begun
        with self._lock:
            self.seconds[stage.name] = seconds
            cache.record_duration(stage.name, seconds)
        self.progress.finished(stage.name, seconds, "done")


def _located(error: Exception, name: str, log: Path) -> BuildError:
    if isinstance(error, StageFailed):
        # Whoever kept a command's output away from the log hands it over as the tail.
        if error.tail and error.log is None:
            with log.open("a", encoding="utf-8") as handle:
                handle.write(f"{error.message}\n{error.tail}\n")
        return StageFailed(error.message, stage=name, log=error.log or log, tail=tail_of(log) or error.tail)
    text = str(error) if isinstance(error, BuildError) else f"{type(error).__name__}: {error}"
    if not isinstance(error, BuildError):
        import traceback

        with log.open("a", encoding="utf-8") as handle:
            handle.writelines(traceback.format_exception(error))
    return StageFailed(text, stage=name, log=log, tail=tail_of(log))
