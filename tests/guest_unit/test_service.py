"""service.py and execution.py: whole executions by frames, with a test as the host (PROTOCOL.md)."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.guest_unit import stand_in
from tests.reading import marked, read, table

from wasmexec_guest import execution, logs, service
from wasmexec_guest.execution import DONE, WAITING

CALL = "import warnings\ncall = warnings.sys.modules['wasmexec_guest.loop'].host_call\n"
"""How a statement gets at host calls without a client library."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text('aä"\\\0\u2028', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=6,
)


class Guest:
    """One instance's worth of service; `step` sends a frame and gives state, head and blob of the answer."""

    def __enter__(self) -> Guest:
        service.prepare({})
        return self

    def __exit__(self, *error: object) -> None:
        assert service._execution is not None
        service._execution.close()

    def step(self, head: dict[str, Any], blob: bytes = b"") -> tuple[int, Any, bytes]:
        stand_in.host.inbox = stand_in.frame(orjson.dumps(head), blob)
        state = service.step()
        text, body = stand_in.split(stand_in.host.outbox)
        return state, json.loads(text), body

    def run(self, statement: str, *inputs: object, **fields: Any) -> tuple[int, Any, bytes]:
        blob, places = b"", []
        for value in inputs:
            data = value if isinstance(value, bytes) else orjson.dumps(value)
            places.append([len(blob), len(data)])
            blob += data
        head = {
            "kind": "run", "statement": statement, "inputs": places, "checkpoint": None, "locals": {},
            "max_output_bytes": 10_000, **fields,
        }  # fmt: skip
        return self.step(head, blob)

    def rows(self, statement: str, *inputs: object, **fields: Any) -> Any:
        state, head, blob = self.run(statement, *inputs, **fields)
        assert (state, head["outcome"]) == (DONE, "rows"), head
        start, length = head["rows"]
        return json.loads(blob[start : start + length])

    def error(self, statement: str, *inputs: object, **fields: Any) -> Any:
        state, head, _ = self.run(statement, *inputs, **fields)
        assert (state, head["outcome"]) == (DONE, "failed"), head
        return head["error"]


@pytest.fixture
def guest() -> Iterator[Guest]:
    with Guest() as made:
        yield made


def rows_of(statement: str, *inputs: object, **fields: Any) -> Any:
    """What an instance of its own gives."""
    with Guest() as made:
        return made.rows(statement, *inputs, **fields)


@given(JSON, JSON, JSON)
def test_inputs_checkpoint_and_locals_arrive_and_rows_go_out_as_they_were(first: Any, second: Any, stored: Any) -> None:
    statement = "return [{'a': INPUT_DATA, 'b': INPUT_DATA2, 'c': DATA_CHECKPOINT, 'd': LocalVariable.X}]"
    found = rows_of(statement, first, second, checkpoint=stored, locals={"X": 1})
    assert found == [{"a": first, "b": second, "c": stored, "d": 1}]


@given(st.binary(max_size=12))
def test_an_input_is_json_or_refused_and_never_anything_else(data: bytes) -> None:
    with Guest() as guest:
        state, head, blob = guest.run("return [{'v': INPUT_DATA}]", data)
    assert state == DONE
    try:
        value = json.loads(data.decode(), parse_constant=lambda name: 1 / 0)
    except (ValueError, ZeroDivisionError):
        assert (head["error"]["kind"], head["error"]["message"][:10]) == ("input", "INPUT_DATA")
    else:
        if head["outcome"] == "rows":
            assert json.loads(blob) == [{"v": value}]


@pytest.mark.parametrize("data", [b"NaN", b"[Infinity]", b"\xff", b"", b"1 2", b"[" * 100_000, b'{"a":'])
def test_what_is_no_json_is_refused_as_an_input(guest: Guest, data: bytes) -> None:
    assert guest.error("return []", data)["kind"] == "input"


def test_unwired_inputs_are_none(guest: Guest) -> None:
    state, head, blob = guest.step(
        {
            "kind": "run", "statement": "return [{'a': INPUT_DATA, 'b': INPUT_DATA12}]", "inputs": [None],
            "checkpoint": None, "locals": {}, "max_output_bytes": 1000,
        }
    )  # fmt: skip
    assert (state, json.loads(blob)) == (DONE, [{"a": None, "b": None}])
    assert head["count"] == 1


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("return [", "syntax"),
        ("x: int = 1", "syntax"),
        ("yield", "syntax"),
        ("raise ValueError('x')", "raised"),
        ("import os", "raised"),
        ("raise SystemExit(3)", "raised"),
        ("await sleep(0)\nraise SystemExit(3)", "raised"),
        ("class E(Exception):\n    def __getattribute__(self, name): raise KeyError(name)\nraise E", "raised"),
        ("class E(Exception):\n    __class__ = property(lambda s: 1 / 0)\nraise E", "raised"),
        ("await sleep('x')", "raised"),
        ("await sleep(float('nan'))", "raised"),
        ("raise MemoryError", "memory"),
        ("class M(MemoryError): pass\nraise M", "memory"),
        ("return None", "output"),
        ("x = 1", "output"),
        ("return [{1: 2}]", "output"),
        ("return [{'a': float('inf')}]", "output"),
        ("return [{'a': 'x' * 20000}]", "output-limit"),
        ("class L(dict):\n    __class__ = property(lambda s: 1 / 0)\nreturn L()", "raised"),
    ],
)
def test_what_goes_wrong_has_a_kind_of_the_protocol(guest: Guest, statement: str, kind: str) -> None:
    columns = ("error kind", "fields besides `message`", "status")
    kinds = [marked(row["error kind"])[0] for row in table(read("guest/PROTOCOL.md"), *columns)]
    assert kind in kinds
    assert guest.error(statement)["kind"] == kind


def test_a_sleep_is_a_waiting_frame_and_goes_on_after_an_empty_resume(guest: Guest) -> None:
    state, head, _ = guest.run("log.info('before')\nawait sleep(0.01)\nlog.info('after')\nreturn []")
    assert (state, head["kind"], head["calls"], head["cancels"]) == (WAITING, "waiting", [], [])
    assert 0 < head["timer_seconds"] <= 0.01
    assert head["where"][-1]["line"] == 2 or head["where"][0]["line"] == 2
    while state == WAITING:
        state, head, _ = guest.step({"kind": "resume", "completions": []})
    assert (state, head["outcome"]) == (DONE, "rows")
    assert [message for _, message in stand_in.host.records] == ["before", "after"]


@given(st.permutations(range(5)), st.sets(st.integers(0, 4)))
def test_calls_are_answered_in_any_order_and_in_any_number_of_frames(order: list[int], breaks: set[int]) -> None:
    with Guest() as guest:
        answer_in_order(guest, order, breaks)


def answer_in_order(guest: Guest, order: list[int], breaks: set[int]) -> None:
    text = CALL + "futures = [call('echo', {'n': n}, bytes([n])) for n in range(5)]\n"
    state, head, blob = guest.run(text + "return [{'n': (await f)[0]['n'], 'b': list((await f)[1])} for f in futures]")
    assert state == WAITING
    sent = {call["n"]: call for call in head["calls"]}
    assert [blob[slice(call["blob"][0], sum(call["blob"]))] for call in head["calls"]] == [bytes([n]) for n in range(5)]
    batch: list[int] = []
    for position, number in enumerate(order):
        batch.append(number)
        if position in breaks or position == len(order) - 1:
            completions = [{"id": sent[n]["id"], "ok": {"n": n, "blob": [i, 1]}} for i, n in enumerate(batch)]
            assert state == WAITING
            state, head, blob = guest.step({"kind": "resume", "completions": completions}, bytes(batch))
            batch = []
    assert (state, json.loads(blob)) == (DONE, [{"n": n, "b": [n]} for n in range(5)])


def test_a_call_that_failed_raises_where_it_is_awaited(guest: Guest) -> None:
    text = CALL + "try:\n    await call('echo', {})\nexcept Exception as e:\n    return [{'e': e.code, 'm': str(e)}]"
    _, head, _ = guest.run(text)
    failure = {"id": head["calls"][0]["id"], "error": {"code": "denied", "message": "no"}}
    state, _, blob = guest.step({"kind": "resume", "completions": [failure]})
    assert (state, json.loads(blob)) == (DONE, [{"e": "denied", "m": "no"}])


def test_a_call_that_is_given_up_is_cancelled_on_the_host_once(guest: Guest) -> None:
    state, head, _ = guest.run(
        CALL + "c = call('echo', {})\nawait sleep(0)\nawait sleep(0.001)\nc.cancel()\nawait sleep(0.001)\nreturn []"
    )
    [number] = [call["id"] for call in head["calls"]]
    cancels = []
    while state == WAITING:
        cancels += head["cancels"]
        state, head, _ = guest.step({"kind": "resume", "completions": []})
    assert cancels == [number]


def test_a_statement_that_waits_for_nothing_is_told_so(guest: Guest) -> None:
    text = (
        "import warnings\nasyncio = warnings.sys.modules['asyncio']\nawait asyncio.get_running_loop().create_future()"
    )
    assert "can never happen" in guest.error(text)["message"]


def test_a_coroutine_that_nobody_awaits_is_named_in_the_log(guest: Guest) -> None:
    shown = warnings._warn_unawaited_coroutine  # type: ignore[attr-defined]
    warnings._warn_unawaited_coroutine = logs._warn_unawaited_coroutine  # type: ignore[attr-defined]
    try:
        guest.rows("async def forgotten(): pass\nforgotten()\nreturn []")
    finally:
        warnings._warn_unawaited_coroutine = shown  # type: ignore[attr-defined]
    assert (logs.WARN, "coroutine 'forgotten' was never awaited") in stand_in.host.records


def test_a_done_frame_counts_what_the_host_did_not_take(guest: Guest) -> None:
    stand_in.host.takes = 2
    _, head, _ = guest.run("for n in range(5): log.info(n)\nlog.error('x')\nreturn []")
    assert len(stand_in.host.records) == 2
    assert sum(head["log_dropped"]) == 4


def test_every_execution_draws_anew() -> None:
    statement = "import random\nreturn [{'r': random.random()}]"
    assert len({str(rows_of(statement)) for _ in range(5)}) == 5
    assert stand_in.host.reseeded == 5


def test_nothing_of_one_execution_is_seen_by_the_next() -> None:
    assert rows_of("global x\nx = 1\nprint('a', end='')\nreturn [{'x': x}]") == [{"x": 1}]
    with Guest() as guest:
        assert guest.error("return [{'x': x}]")["type"] == "NameError"


@pytest.mark.parametrize("head", [{}, {"kind": "nonsense"}, {"kind": "run"}, {"kind": "check"}])
def test_a_frame_that_the_host_never_sends_leaves_the_guest_with_an_exception(
    guest: Guest, head: dict[str, Any]
) -> None:
    with pytest.raises((KeyError, ValueError)):
        guest.step(head)


@pytest.mark.parametrize("statement", ["import os", "x: int = 1\nreturn []", "return [", "yield", ""])
def test_a_check_reports_what_a_run_would_refuse_and_runs_nothing(guest: Guest, statement: str) -> None:
    state, head, _ = guest.step({"kind": "check", "statement": statement})
    assert (state, head["outcome"]) == (DONE, "checked")
    fields = ["rule", "message", "line", "column", "end_line", "end_column", "text"]
    assert head["problems"]
    assert all(list(problem) == fields for problem in head["problems"])
    assert stand_in.host.records == []


@pytest.fixture(autouse=True)
def standard_error() -> Iterator[None]:
    """`step` puts the real standard error back when the guest is lost."""
    kept = sys.stderr
    yield
    sys.stderr = kept


def test_the_states_are_those_of_the_page() -> None:
    numbers: Callable[[str], int] = {
        row["name"]: int(row["state"]) for row in table(read("guest/PROTOCOL.md"), "state", "name", "meaning")
    }.__getitem__
    assert (numbers("waiting"), numbers("done")) == (execution.WAITING, execution.DONE)
