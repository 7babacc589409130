"""Any order of begins, ends and changes by hand gives what a few lines of Python say it must."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wasmexec import Status
from wasmexec.store import Advance, CheckpointConflictError, RunHandle, RunStateError, RunStore

VALUES = st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
RUN = st.integers(0, 5)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("begin")),
        st.tuples(st.just("advance"), RUN, VALUES),
        st.tuples(st.just("fail"), RUN),
        st.tuples(st.just("no data"), RUN),
        st.tuples(st.just("abandon"), RUN),
        st.tuples(st.just("set"), VALUES),
        st.tuples(st.just("reset")),
    ),
    max_size=25,
)
_names = itertools.count()


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(actions=ACTIONS)
def test_any_order_of_actions_gives_what_the_model_says(store: RunStore, actions: list[tuple[Any, ...]]) -> None:
    step = f"step {next(_names)}"
    history: list[Any] = []
    runs: list[tuple[RunHandle, int]] = []
    states: list[str] = []
    for name, *arguments in actions:
        if name == "begin":
            runs.append((store.begin_run(step), len(history)))
            states.append("running")
            assert runs[-1][0].checkpoint.value == (history[-1] if history else None)
        elif name == "set":
            store.set_checkpoint(step, arguments[0])
            history.append(arguments[0])
        elif name == "reset":
            store.reset_checkpoint(step)
            history.append(None)
        elif runs:
            number = arguments[0] % len(runs)
            run, version = runs[number]
            expected = "finished"
            if states[number] != "running":
                expected = "refused"
            elif name == "abandon":
                expected = "abandoned"
            elif name == "advance" and version != len(history):
                expected = "conflict"
            assert end(store, run, name, arguments[-1]) == expected
            if expected != "refused":
                states[number] = expected
            if (name, expected) == ("advance", "finished"):
                history.append(arguments[-1])
    found = [item.value for item in store.checkpoint_history(step, limit=100).checkpoints]
    assert found == history[::-1]
    assert store.checkpoint(step).version == len(history)
    assert [store.get_run(run.run_id).state for run, _ in runs] == states


def end(store: RunStore, run: RunHandle, how: str, value: Any) -> str:
    try:
        match how:
            case "advance":
                return store.finish(run, status=Status.FINISHED, advance=Advance(value)).state
            case "fail":
                return store.finish(run, status=Status.TIMED_OUT).state
            case "no data":
                return store.finish(run, status=Status.FINISHED_NO_DATA).state
        return store.abandon(run.run_id).state
    except CheckpointConflictError:
        return "conflict"
    except RunStateError:
        return "refused"
