"""The graph: order, parallel runs, failure, resuming, and what stays in the cache."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from wasmbuild.cache import Cache
from wasmbuild.errors import BuildError, RecipeError, StageFailed
from wasmbuild.graph import Graph, Stage, StageRun
from wasmbuild.progress import SilentProgress


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    made = Cache(tmp_path / "cache")
    made.prepare()
    return made


def stage(name: str, *depends: str, stamp: str = "0" * 64, action: Callable[[StageRun], None] | None = None) -> Stage:
    def write(run: StageRun) -> None:
        texts = [(folder / "text").read_text() for _, folder in sorted(run.inputs.items())]
        (run.output / "text").write_text(name + "(" + ",".join(texts) + ")")

    return Stage(name=name, stamp=stamp, action=action or write, depends=depends)


def run(graph: Graph, *targets: str) -> dict[str, float]:
    return graph.run(targets, SilentProgress())


def test_stages_run_after_what_they_depend_on(cache: Cache) -> None:
    graph = Graph([stage("d", "b", "c"), stage("b", "a"), stage("c", "a"), stage("a")], cache)
    assert set(run(graph, "d")) == {"a", "b", "c", "d"}
    assert (graph.folder("d") / "text").read_text() == "d(b(a()),c(a()))"


def test_nothing_runs_twice_and_only_what_changed_runs_again(cache: Cache) -> None:
    run(Graph([stage("b", "a"), stage("a")], cache), "b")
    assert run(Graph([stage("b", "a"), stage("a")], cache), "b") == {}
    changed = Graph([stage("b", "a", stamp="1" * 64), stage("a")], cache)
    assert set(run(changed, "b")) == {"b"}


def test_what_only_finished_stages_need_is_not_built(cache: Cache) -> None:
    graph = Graph([stage("b", "a"), stage("a")], cache)
    graph.folder("b").mkdir()
    assert run(graph, "b") == {}


def test_independent_stages_run_at_the_same_time(cache: Cache) -> None:
    both = threading.Barrier(2, timeout=10)

    def meet(run: StageRun) -> None:
        both.wait()

    last = stage("c", "a", "b", action=lambda run: None)
    graph = Graph([stage("a", action=meet), stage("b", action=meet), last], cache)
    assert set(run(graph, "c")) == {"a", "b", "c"}


@pytest.mark.timing
def test_failure_names_the_stage_keeps_its_log_and_stops_the_rest(cache: Cache) -> None:
    def fail(run: StageRun) -> None:
        run.processes.run(["sh", "-c", "echo so it goes; exit 1"], run.work, dict(os.environ), run.log)
        raise StageFailed("the compiler gave up")

    def sleep(run: StageRun) -> None:
        run.processes.run(["sleep", "60"], run.work, dict(os.environ), run.log)

    graph = Graph([stage("slow", action=sleep), stage("bad", action=fail), stage("end", "slow", "bad")], cache)
    begun = time.monotonic()
    with pytest.raises(StageFailed, match="bad: the compiler gave up") as caught:
        run(graph, "end")
    assert time.monotonic() - begun < 20
    assert caught.value.tail == "so it goes"
    assert caught.value.log is not None
    assert caught.value.log.read_text() == "so it goes\n"
    assert not list(cache.stages.iterdir())
    assert not list(cache.work.iterdir())


def test_an_unexpected_error_of_a_builder_is_a_failed_stage_with_its_traceback_in_the_log(cache: Cache) -> None:
    def fail(run: StageRun) -> None:
        raise KeyError("nowhere")

    with pytest.raises(StageFailed, match="bad: KeyError: 'nowhere'") as caught:
        run(Graph([stage("bad", action=fail)], cache), "bad")
    assert "Traceback" in caught.value.tail


def test_a_failed_build_goes_on_where_it_stopped(cache: Cache) -> None:
    broken = True

    def sometimes(run: StageRun) -> None:
        if broken:
            raise StageFailed("not yet")
        (run.output / "text").write_text("b")

    graph = Graph([stage("a"), stage("b", "a", action=sometimes), stage("c", "b")], cache)
    with pytest.raises(StageFailed):
        run(graph, "c")
    broken = False
    assert set(run(graph, "c")) == {"b", "c"}


def test_a_half_written_output_never_counts(cache: Cache) -> None:
    def half(run: StageRun) -> None:
        (run.output / "text").write_text("half")
        raise StageFailed("power cut")

    graph = Graph([stage("a", action=half)], cache)
    with pytest.raises(StageFailed):
        run(graph, "a")
    assert not graph.is_done("a")


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([stage("a", "b"), stage("b", "a")], "depends on itself: a -> b -> a"),
        ([stage("a", "nothing")], "depends on 'nothing', which does not exist"),
        ([stage("a"), stage("a")], "is the name of two stages"),
    ],
)
def test_a_graph_that_makes_no_sense_is_refused(cache: Cache, stages: list[Stage], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Graph(stages, cache)


def test_durations_are_remembered_and_used_as_estimates(cache: Cache) -> None:
    run(Graph([stage("a")], cache), "a")
    assert set(cache.durations()) == {"a"}
    (cache.root / "durations.json").write_text("[broken")
    assert cache.durations() == {}


def test_a_cache_that_cannot_work_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="has a space in its path; set WASMEXEC_CACHE to another"):
        Cache(tmp_path / "my cache").prepare()
    (tmp_path / "file").touch()
    with pytest.raises(BuildError, match="cannot be made: Not a directory"):
        Cache(tmp_path / "file").prepare()


def test_a_second_build_waits_for_the_first(cache: Cache) -> None:
    order: list[str] = []
    said: list[str] = []
    inside = threading.Event()

    def first() -> None:
        with cache.lock():
            inside.set()
            time.sleep(0.3)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(5)
    with cache.lock(said.append):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert f"another build holds {cache.root} (process {os.getpid()}); waiting" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_a_build_kills_its_children_and_leaves_a_clean_cache(
    tmp_path: Path, number: signal.Signals
) -> None:
    script = tmp_path / "build.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, sys
            from pathlib import Path
            from wasmbuild.cache import Cache
            from wasmbuild.graph import Graph, Stage
            from wasmbuild.progress import SilentProgress
            cache = Cache(Path(sys.argv[1]))
            cache.prepare()
            def hang(run):
                (run.output / "half").write_text("half")
                argv = ["sh", "-c", "sleep 300 & echo $! > child; touch ready; wait"]
                run.processes.run(argv, cache.root, dict(os.environ), run.log)
            with cache.lock():
                try:
                    Graph([Stage(name="a", stamp="0" * 64, action=hang)], cache).run(["a"], SilentProgress())
                except KeyboardInterrupt:
                    sys.exit(130)
            """
        )
    )
    root = tmp_path / "cache"
    process = subprocess.Popen([sys.executable, str(script), str(root)])
    deadline = time.monotonic() + 20
    while not (root / "ready").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(30) == 130
    child = int((root / "child").read_text())
    time.sleep(0.2)
    assert not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2]
    assert not list((root / "stages").iterdir())
    assert not list((root / "work").iterdir())
