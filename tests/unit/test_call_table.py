"""Host calls under way: answers reach the guest once, cancelled ones never, and nothing runs on after the end."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pytest

from wasmexec import Grants, Limits
from wasmexec._execution.threads import LoopThread
from wasmexec._guest.channel import BadFrame, Frame, pack_frame, parse_frame
from wasmexec._hostcalls.call_table import MAX_OPEN_CALLS, CallTable
from wasmexec._hostcalls.error import HostCallError
from wasmexec._hostcalls.http.capability import HttpCapability
from wasmexec._hostcalls.live import MAX_BODY_BYTES, Live
from wasmexec._hostcalls.usage import UsageCounter


class FakeHttp(HttpCapability):
    """Operations that answer, fail, break or take for ever."""

    def __init__(self) -> None:
        super().__init__(Grants(), Limits(), UsageCounter())
        self.log: list[str] = []

    async def perform(self, op: str, args: Mapping[str, object], blob: bytes) -> tuple[dict[str, object], bytes]:
        self.log.append(op)
        match op:
            case "http.echo":
                return dict(args), blob
            case "http.fail":
                raise HostCallError("denied", "no")
            case "http.break":
                raise ValueError("secret detail")
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.log.append("cancelled")
            raise
        return {}, b""

    async def aclose(self) -> None:
        self.log.append("closed")


class Bench:
    """A table with its loop, and how often it woke the execution."""

    def __init__(self) -> None:
        self.calls = FakeHttp()
        self.loop = LoopThread()
        self.woken = threading.Semaphore(0)
        self.table = CallTable(Live(lambda: self.calls, self.loop), self.woken.release)

    def submit(self, *calls: Mapping[str, object], cancels: list[int] | None = None, blob: bytes = b"") -> None:
        self.table.submit(Frame({"calls": list(calls), "cancels": cancels or []}, memoryview(blob)))

    def wait(self, count: int = 1) -> None:
        for _ in range(count):
            assert self.woken.acquire(timeout=5)

    def settle(self) -> None:
        """Let the loop do what it has been told so far."""
        for _ in range(3):
            done = threading.Event()
            self.loop.call(done.set)
            assert done.wait(5)

    def collect(self) -> list[dict[str, Any]]:
        head, blobs = self.table.collect()
        frame = orjson.loads(head)
        assert frame["kind"] == "resume"
        body = b"".join(blobs)
        for answer in frame["completions"]:
            if "blob" in answer.get("ok", {}):
                start, length = answer["ok"]["blob"]
                answer["ok"]["blob"] = body[start : start + length]
        completions: list[dict[str, Any]] = frame["completions"]
        return completions


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.loop.close()


def test_answers_come_with_their_bodies_and_only_once(bench: Bench) -> None:
    bench.submit(
        {"id": 1, "op": "http.echo", "a": 1, "blob": [0, 3]},
        {"id": 2, "op": "http.echo", "blob": [3, 2]},
        blob=b"abcde",
    )
    bench.wait(2)
    assert bench.collect() == [{"id": 1, "ok": {"a": 1, "blob": b"abc"}}, {"id": 2, "ok": {"blob": b"de"}}]
    assert (bench.collect(), bench.table.has_open, bench.table.has_answers) == ([], False, False)


@pytest.mark.parametrize("second", [[0, 3], [2, 2], [1, 1], [0, 5]])
def test_no_two_calls_name_the_same_bytes(bench: Bench, second: list[int]) -> None:
    first = {"id": 1, "op": "http.echo", "blob": [0, 3]}
    with pytest.raises(BadFrame, match=r"^two calls name the same bytes, or the later one earlier ones$"):
        bench.submit(first, {"id": 2, "op": "http.echo", "blob": second}, blob=b"abcde")
    bench.submit(
        {"id": 3, "op": "http.echo", "blob": [0, 0]}, {"id": 4, "op": "http.echo", "blob": [0, 5]}, blob=b"abcde"
    )
    bench.wait(3)
    assert [answer["ok"].get("blob") for answer in bench.collect()] == [b"abc", None, b"abcde"]


def test_the_bodies_of_calls_under_way_are_bounded(bench: Bench) -> None:
    half = bytes(MAX_BODY_BYTES // 2)
    for number in (1, 2, 3):
        bench.submit({"id": number, "op": "http.wait", "blob": [0, len(half)]}, blob=half)
    bench.wait()
    text = f"more than {MAX_BODY_BYTES:,} bytes in the calls under way"
    assert bench.collect() == [{"id": 3, "error": {"code": "limit", "message": text}}]
    bench.submit(cancels=[1])
    bench.settle()
    bench.submit({"id": 4, "op": "http.echo", "blob": [0, 9]}, blob=b"x" * 9)
    bench.wait()
    assert [answer["id"] for answer in bench.collect()] == [4]


def test_submitting_stops_between_two_calls(bench: Bench) -> None:
    checks = 0

    def stop() -> None:
        nonlocal checks
        checks += 1
        if checks == 2:
            raise KeyError

    calls = [{"id": number, "op": "http.wait"} for number in (1, 2, 3)]
    with pytest.raises(KeyError):
        bench.table.submit(Frame({"calls": calls, "cancels": []}, memoryview(b"")), stop)
    bench.settle()
    assert bench.calls.log == ["http.wait"]


def test_failures_are_told_by_code_and_our_own_faults_without_detail(bench: Bench) -> None:
    bench.submit({"id": 1, "op": "http.fail"}, {"id": 2, "op": "http.break"}, {"id": 3, "op": "shell"})
    bench.wait(3)
    assert bench.collect() == [
        {"id": 1, "error": {"code": "denied", "message": "no"}},
        {"id": 2, "error": {"code": "internal", "message": "the host call failed (ValueError)"}},
        {"id": 3, "error": {"code": "bad_request", "message": "there is no host call 'shell'"}},
    ]


def test_a_cancelled_call_ends_and_is_never_answered(bench: Bench) -> None:
    bench.submit({"id": 1, "op": "http.wait"}, {"id": 2, "op": "http.echo"})
    bench.wait()
    assert bench.table.has_open
    bench.submit(cancels=[1, 2, 99])
    bench.settle()
    assert (bench.collect(), bench.calls.log) == ([], ["http.wait", "http.echo", "cancelled"])
    assert not bench.table.has_open


def test_a_number_is_used_only_once(bench: Bench) -> None:
    bench.submit({"id": 5, "op": "http.wait"})
    for number in (5, 4):
        with pytest.raises(BadFrame, match=rf"^call {number} was started before$"):
            bench.submit({"id": number, "op": "http.echo"}, cancels=[5])


def test_calls_cancelled_at_once_count_until_they_have_ended(bench: Bench) -> None:
    gate = threading.Event()
    bench.loop.call(gate.wait)
    half = MAX_OPEN_CALLS // 2 + 1
    bench.submit(*({"id": number, "op": "http.wait"} for number in range(1, half + 1)))
    with pytest.raises(BadFrame, match=rf"^more than {MAX_OPEN_CALLS} calls at once$"):
        bench.submit(
            *({"id": number, "op": "http.wait"} for number in range(half + 1, 2 * half + 1)),
            cancels=list(range(1, half + 1)),
        )
    gate.set()
    bench.settle()
    bench.submit({"id": 3 * half, "op": "http.echo"}, cancels=list(range(1, 2 * half)))
    bench.wait()


def test_a_blocking_call_returns_its_answer_as_a_frame(bench: Bench) -> None:
    request = memoryview(pack_frame({"op": "http.echo", "a": 1, "blob": [0, 2]}, b"xy"))
    reply = parse_frame(memoryview(bench.table.call(request, lambda event: check(event.wait(5)))))
    assert (reply.head, bytes(reply.blob)) == ({"ok": {"a": 1, "blob": [0, 2]}}, b"xy")
    reply = parse_frame(memoryview(bench.table.call(memoryview(pack_frame({"op": "shell"})), lambda event: None)))
    assert reply.head == {"error": {"code": "bad_request", "message": "there is no host call 'shell'"}}


def check(value: bool) -> None:
    assert value


def test_a_blocking_call_that_is_given_up_is_cancelled(bench: Bench) -> None:
    def give_up(event: threading.Event) -> None:
        time.sleep(0.05)
        raise KeyError

    with pytest.raises(KeyError):
        bench.table.call(memoryview(pack_frame({"op": "http.wait"})), give_up)
    bench.settle()
    assert bench.calls.log == ["http.wait", "cancelled"]


def test_closing_cancels_what_is_under_way_and_then_releases(bench: Bench) -> None:
    bench.submit({"id": 1, "op": "http.wait"}, {"id": 2, "op": "http.wait"})
    bench.settle()
    bench.table.close()
    bench.loop.close()
    assert bench.calls.log == ["http.wait", "http.wait", "cancelled", "cancelled", "closed"]


def test_a_call_after_the_loop_was_closed_leaves_nothing_behind(bench: Bench) -> None:
    bench.loop.close()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bench.submit({"id": 1, "op": "http.echo"})
        gc.collect()
    assert [str(item.message) for item in caught] == []
    assert bench.calls.log == []
