"""transports/request.py: what a request asks of the host, however it is cut, answered, interrupted or failing."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.guest_unit.request_host import RequestHost

from wasmexec_guest import hostcall
from wasmexec_guest.errors import HostCallError
from wasmexec_guest.transports.request import WRITE_BYTES, HostRequest, Steps, T

DATA = random.Random(11).randbytes(3 * WRITE_BYTES)
SIZES = st.integers(0, 9) | st.integers(0, 3).map(lambda n: n * WRITE_BYTES) | st.integers(0, 3 * WRITE_BYTES)
PARTS = st.lists(SIZES, max_size=5).map(lambda sizes: [DATA[: size - n] for n, size in enumerate(sizes) if size >= n])
RESPONSES = st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=4) | st.just([b""])
EARLY = st.none() | st.integers(1, 6)


class Interruption(BaseException):
    """Stands for a cancelled task, or the end of the execution."""


def drive(steps: Steps[T], host: RequestHost, interrupted_at: int | None = None, how: str = "thrown in") -> T:
    """Carry out these steps; the reply to operation `interrupted_at` is lost.

    Raises: Interruption: that was the one.
    """
    try:
        operation = next(steps)
        while True:
            number = len(host.operations)
            try:
                reply = host.carry_out(*operation)
            except HostCallError as error:
                operation = steps.throw(error)
                continue
            if number == interrupted_at:
                if how == "thrown in":
                    steps.throw(Interruption())
                steps.close()
                raise Interruption
            operation = steps.send(reply)
    except StopIteration as end:
        result: T = end.value
        return result


def opening(request: HostRequest, body: bytes | None = None, **timeout: float | None) -> Steps[None]:
    return request.open("POST", "http://h/p", [("A", "b")], timeout=timeout, body=body)


def conversation(
    request: HostRequest, parts: Sequence[bytes], run: Callable[[Steps[Any]], Any], *, ends_with_part: bool = False
) -> bytes:
    """A whole request as a driver goes through it; the body of its response."""
    run(opening(request))
    for number, part in enumerate(parts, 1):
        if request.head is not None:
            break
        run(request.write(part, is_last=ends_with_part and number == len(parts)))
    if not (ends_with_part and parts):
        run(request.write(b"", is_last=True))
    received = []
    while data := run(request.read()):
        received.append(data)
    return b"".join(received)


@given(PARTS, RESPONSES, st.booleans())
def test_a_body_arrives_whole_and_the_response_too_whatever_the_pieces(
    parts: list[bytes], response: list[bytes], ends_with_part: bool
) -> None:
    host, request = RequestHost(response), HostRequest()
    received = conversation(request, parts, lambda steps: drive(steps, host), ends_with_part=ends_with_part)
    assert host.sent == b"".join(parts)
    assert received == b"".join(response)
    assert [arguments.get("end", False) for name, arguments, _ in host.operations if name == "http.write"][-1] is True
    assert [host.is_idle, request.is_open, request.has_ended] == [True, False, True]
    assert "close" not in host.names()


@given(PARTS, RESPONSES, st.integers(1, 6), st.booleans())
def test_nothing_is_written_after_an_early_answer(
    parts: list[bytes], response: list[bytes], early: int, ends_with_part: bool
) -> None:
    host, request = RequestHost(response, answers_early=early), HostRequest()
    received = conversation(request, parts, lambda steps: drive(steps, host), ends_with_part=ends_with_part)
    sizes = [len(part[start : start + WRITE_BYTES]) for part in parts for start in range(0, len(part), WRITE_BYTES)]
    whole = b"".join(parts)
    assert host.sent == (whole if early > len(sizes) else whole[: sum(sizes[:early])])
    assert host.names().count("write") <= early or early > len(sizes)
    assert received == b"".join(response)
    drive(request.write(b"more"), host)
    drive(request.write(b"", is_last=True), host)
    assert host.names().count("write") <= early or early > len(sizes)


@given(PARTS, RESPONSES, EARLY, st.integers(0, 12), st.sampled_from(["failed", "thrown in", "dropped"]))
@example([], [b"a", b"b"], None, 0, "dropped")
@example([b"a"], [b"a", b"b"], 1, 2, "thrown in")
def test_it_is_closed_once_wherever_it_is_left_and_never_if_it_has_ended(
    parts: list[bytes], response: list[bytes], early: int | None, number: int, how: str
) -> None:
    host, request = RequestHost(response, early, fails_at=number if how == "failed" else None), HostRequest()
    interrupted_at = None if how == "failed" else number
    is_lost = False
    try:
        conversation(request, parts, lambda steps: drive(steps, host, interrupted_at, how))
    except HostCallError:
        pass
    except Interruption:
        is_lost = True
    for _ in range(3):
        drive(request.close(), host)
    assert host.names().count("close") == is_lost
    assert (host.is_idle, request.is_open) == (True, False)


@given(PARTS, RESPONSES, st.integers(0, 12))
def test_it_may_be_closed_in_the_middle_of_a_step(parts: list[bytes], response: list[bytes], number: int) -> None:
    host, request = RequestHost(response), HostRequest()

    def run(steps: Steps[Any]) -> Any:
        operation = next(steps, None) if len(host.operations) == number else None
        if operation is None:
            return drive(steps, host)
        host.carry_out(*operation)
        drive(request.close(), host)
        steps.close()
        raise Interruption

    try:
        conversation(request, parts, run)
    except Interruption:
        assert host.names()[number + 1 :] == ["close"]
    drive(request.close(), host)
    assert host.names().count("close") <= 1
    assert host.is_idle


def test_closing_what_was_never_opened_asks_nothing_of_the_host() -> None:
    assert list(HostRequest().close()) == []


@pytest.mark.parametrize(("body", "kind"), [(b"", "none"), (b"x", "whole"), (None, "streamed")])
def test_the_opening_says_how_the_body_comes(body: bytes | None, kind: str) -> None:
    host, request = RequestHost(), HostRequest()
    drive(opening(request, body, read=5), host)
    assert host.operations == [
        (
            "http.open",
            {
                "stream": request.stream, "method": "POST", "url": "http://h/p", "headers": [("A", "b")],
                "timeout": {"read": 5.0}, "body": kind,
            },
            body or b"",
        )
    ]  # fmt: skip
    assert (request.head is None) is (kind == "streamed")


@pytest.mark.parametrize(
    ("timeout", "sent"), [(None, None), (5, 5.0), (0.25, 0.25), (math.inf, None), (1e308, 1e308), (0, 0.0), (True, 1.0)]
)
def test_a_timeout_goes_out_as_json_can_say_it(timeout: Any, sent: float | None) -> None:
    _, arguments, _ = next(opening(HostRequest(), b"", read=timeout, pool=None))
    assert json.loads(hostcall.to_frame(arguments))["timeout"] == {"read": sent, "pool": None}


def test_a_timeout_that_is_not_a_number_is_an_error_of_the_statement() -> None:
    request = HostRequest()
    with pytest.raises(ValueError, match="a timeout must be a number of seconds, not nan"):
        opening(request, b"", connect=math.nan)
    assert list(request.close()) == []


@pytest.mark.parametrize(
    ("seconds", "sent"), [(None, {}), (3, {"read_timeout": 3.0}), (math.inf, {"read_timeout": None})]
)
def test_the_last_part_may_have_the_timeout_for_the_answer(seconds: float | None, sent: dict[str, object]) -> None:
    host, request = RequestHost(), HostRequest()
    drive(opening(request), host)
    drive(request.write(DATA[: WRITE_BYTES + 1], is_last=True, read_seconds=seconds), host)
    _, first, second = (arguments for _, arguments, _ in host.operations)
    assert (first, second) == ({"stream": request.stream}, {"stream": request.stream, "end": True, **sent})


def test_every_request_has_a_number_of_its_own() -> None:
    requests = [HostRequest() for _ in range(100)]
    for request in requests:
        assert request.stream == 0
        opening(request)
    numbers = [request.stream for request in requests]
    assert numbers == sorted(set(numbers))
    assert min(numbers) > 0
