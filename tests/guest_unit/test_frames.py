"""hostcall.py: heads go into frames and come back as they were, and every part of a blob goes to its own call."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.guest_unit import stand_in

from wasmexec_guest import hostcall
from wasmexec_guest.errors import HostCallError
from wasmexec_guest.loop import GuestLoop

TEXT = st.text('ab"\\/\0\x1f\x7fä\u2028\uffff𝄞', max_size=5)
LEAF = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
SAFE = LEAF | st.lists(LEAF | st.dictionaries(TEXT, LEAF, max_size=3), max_size=3)
HEADS = st.dictionaries(TEXT, SAFE, max_size=4)


@given(HEADS)
def test_a_head_of_the_guest_is_what_the_hosts_parser_reads(head: dict[str, Any]) -> None:
    assert orjson.loads(hostcall.to_frame(head)) == head


@given(HEADS)
def test_a_head_of_the_hosts_writer_is_what_the_guest_reads(head: dict[str, Any]) -> None:
    assert hostcall.from_frame(orjson.dumps(head).decode()) == head


@given(st.text(), st.text())
def test_lone_surrogates_become_question_marks_and_nothing_else_changes(key: str, value: str) -> None:
    def replaced(text: str) -> str:
        return "".join("?" if "\ud800" <= letter <= "\udfff" else letter for letter in text)

    assert orjson.loads(hostcall.to_frame({key: value})) == {replaced(key): replaced(value)}


def test_integers_of_any_size_pass_both_ways() -> None:
    head = {"n": 10**30, "m": -(2**64)}
    assert json.loads(hostcall.to_frame(head)) == head == hostcall.from_frame(json.dumps(head, separators=(",", ":")))


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", 1j, float("nan"), float("inf"), -float("inf")])
def test_what_is_no_json_never_gets_into_a_frame(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        hostcall.to_frame({"a": [value]})


@given(st.lists(st.binary(max_size=20), max_size=8), st.sets(st.integers(0, 7)))
def test_every_new_call_goes_out_once_with_its_own_part_of_the_blob(bodies: list[bytes], given_up: set[int]) -> None:
    loop = GuestLoop()
    try:
        calls = [loop.submit("echo", {"n": number}, body) for number, body in enumerate(bodies)]
        for number in given_up & set(range(len(bodies))):
            calls[number].cancel()
        head, blob = hostcall.waiting_frame(loop, [])
        sent: Any = head["calls"]
        left = [number for number in range(len(bodies)) if number not in given_up]
        assert [call["n"] for call in sent] == left
        assert [call["id"] for call in sent] == sorted(call["id"] for call in sent)
        for call in sent:
            start, length = call.get("blob", (0, 0))
            assert blob[start : start + length] == bodies[call["n"]]
        # A call that never went out needs no cancelling, one that did is cancelled once.
        assert head["cancels"] == []
        for number in left:
            calls[number].cancel()
            calls[number].cancel()
        again, _ = hostcall.waiting_frame(loop, [])
        assert (again["calls"], again["cancels"]) == ([], [call["id"] for call in sent])
    finally:
        loop.close()


@given(st.lists(st.binary(max_size=20) | st.sampled_from(["denied", "connect"]), min_size=1, max_size=8), st.randoms())
def test_answers_reach_their_calls_in_any_order(answers: list[bytes | str], random: Any) -> None:
    loop = GuestLoop()
    try:
        calls = [loop.submit("echo", {}) for _ in answers]
        head, _ = hostcall.waiting_frame(loop, [])
        numbers = [call["id"] for call in head["calls"]]  # type: ignore[attr-defined]
        order = list(range(len(answers)))
        random.shuffle(order)
        completions: list[dict[str, Any]] = []
        blob = b""
        for index in order:
            answer = answers[index]
            if isinstance(answer, str):
                completions.append({"id": numbers[index], "error": {"code": answer, "message": f"m{index}"}})
            else:
                completions.append({"id": numbers[index], "ok": {"n": index, "blob": [len(blob), len(answer)]}})
                blob += answer
        hostcall.complete_calls(loop, completions, memoryview(blob))
        for index, answer in enumerate(answers):
            if isinstance(answer, str):
                error = calls[index].exception()
                assert isinstance(error, HostCallError)
                assert (error.code, error.message) == (answer, f"m{index}")
            else:
                assert calls[index].result() == ({"n": index}, answer)
    finally:
        loop.close()


def test_an_answer_to_a_call_that_was_given_up_is_dropped() -> None:
    loop = GuestLoop()
    call = loop.submit("echo", {})
    hostcall.waiting_frame(loop, [])
    call.cancel()
    hostcall.complete_calls(loop, [{"id": 1, "ok": {}}, {"id": 77, "ok": {}}], memoryview(b""))
    assert call.cancelled()
    loop.close()


def test_a_synchronous_call_sends_one_frame_and_takes_its_reply_apart() -> None:
    heard: list[tuple[Any, bytes]] = []

    def answer(head: str, blob: bytes) -> tuple[object, bytes]:
        heard.append((json.loads(head), blob))
        return {"ok": {"n": 1, "blob": [2, 3]}}, b"..abc"

    stand_in.host.answer = answer
    assert hostcall.call_sync("echo", {"a": "ä"}, b"body") == ({"n": 1}, b"abc")
    assert hostcall.call_sync("echo", {}) == ({"n": 1}, b"abc")
    assert heard == [({"op": "echo", "a": "ä", "blob": [0, 4]}, b"body"), ({"op": "echo"}, b"")]


def test_a_synchronous_call_that_fails_raises_with_code_and_message() -> None:
    stand_in.host.answer = lambda head, blob: ({"error": {"code": "denied", "message": "no"}}, b"")
    with pytest.raises(HostCallError, match=r"^no$") as caught:
        hostcall.call_sync("echo", {})
    assert caught.value.code == "denied"


def test_timers_are_announced_soonest_first_and_never_beyond_the_longest() -> None:
    loop = GuestLoop()
    assert loop.next_timer_seconds() is None
    loop.call_later(10**9, lambda: None)
    assert loop.next_timer_seconds() == 86_400
    soon = loop.call_later(5, lambda: None)
    announced = hostcall.waiting_frame(loop, [])[0]["timer_seconds"]
    assert isinstance(announced, float)
    assert 4 < announced <= 5
    soon.cancel()
    assert loop.next_timer_seconds() == 86_400
    assert not loop.waits_for_nothing()
    loop.close()


def test_a_loop_refuses_what_would_block_it() -> None:
    loop = GuestLoop()
    with pytest.raises(RuntimeError, match="await instead"):
        loop.run_forever()
    with pytest.raises(RuntimeError, match="no threads"):
        loop.run_in_executor(None, print)
    assert asyncio._get_running_loop() is None
    loop.close()
