"""Finding the recorded answer to a request, and saying what was different."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from wasmexec import ConfigError, HttpExchange, Limits, Recording, RequestDifference
from wasmexec._hostcalls.call_table import Answer, Call
from wasmexec._hostcalls.usage import UsageCounter
from wasmexec._masking.masker import Masker
from wasmexec._replay import compare
from wasmexec._replay.request import MAX_OVERHEAD_BYTES
from wasmexec._replay.rows import Differences, row_differences
from wasmexec._replay.script import DEFAULT_LATENCY, Planned, Script
from wasmexec._replay.tape import MAX_OPERATIONS, Tape
from wasmexec._replay.virtual import VirtualClock
from wasmexec.recording.check import check_recording
from wasmexec.rows.block import RowBlock


def script(*exchanges: HttpExchange, secrets: Sequence[str] = ()) -> Script:
    """A script over these exchanges."""
    return Script(Recording(exchanges=exchanges), Masker(secrets) if secrets else None, UsageCounter(), 1000)


def get(url: str, body: bytes = b"", **fields: Any) -> HttpExchange:
    """A finished exchange."""
    return HttpExchange(method="GET", url=url, status=200, response_body=body, **fields)


def ask(over: Script, stream: int, url: str, blob: bytes = b"", **args: Any) -> Planned:
    """Open a request."""
    whole = {"stream": stream, "method": "GET", "url": url, "headers": [], "body": "whole" if blob else "none"}
    return over.answer(Call("http.open", {**whole, **args}, blob))


def status(planned: Planned) -> object:
    """The status, or the code of the error."""
    fields = planned.answer.fields
    value = fields["ok"] if "ok" in fields else fields["error"]
    assert isinstance(value, dict)
    return value.get("status") or value.get("code")


def test_equal_requests_are_answered_in_their_order() -> None:
    over = script(get("http://a/", b"1"), get("http://b/", b"2"), get("http://a/", b"3"))
    blobs = [ask(over, number, f"http://{host}/").answer.blob for number, host in enumerate("aba", 1)]
    assert blobs == [b"1", b"2", b"3"]
    assert status(ask(over, 4, "http://a/")) == "denied"
    assert [request.recorded for request in over.requests] == [0, 1, 2, None]


def test_the_body_decides_which_one() -> None:
    first, second = get("http://a/", b"1", request_body=b"x"), get("http://a/", b"2", request_body=b"y")
    over = script(first, second)
    assert ask(over, 1, "http://a/", b"y").answer.blob == b"2"
    assert ask(over, 2, "http://a/", b"x").answer.blob == b"1"


def test_a_secret_is_masked_before_it_is_compared() -> None:
    over = script(get("http://a/?k=***", b"1", request_body=b"***"), secrets=["SECRET"])
    assert ask(over, 1, "http://a/?k=SECRET", b"SECRET").answer.blob == b"1"


def test_a_streamed_body_finds_its_own_among_equals() -> None:
    def upload(body: bytes, answer: bytes) -> HttpExchange:
        return get("http://a/", answer, request_body=body, extra={"is_streamed": True})

    over = script(upload(b"one", b"1"), upload(b"two", b"2"), upload(b"twelve", b"12"))
    for stream, body in enumerate((b"twelve", b"one", b"two"), 1):
        assert ask(over, stream, "http://a/", body="streamed").answer.fields == {"ok": {}}
        for at in range(len(body)):
            planned = over.answer(Call("http.write", {"stream": stream}, body[at : at + 1]))
            assert planned.answer.fields == {"ok": {}}
        planned = over.answer(Call("http.write", {"stream": stream, "end": True}, b""))
        assert status(planned) == 200
    assert [request.recorded for request in over.requests] == [2, 0, 1]
    assert differences(over) == []


def test_a_streamed_body_that_was_not_recorded_fails_where_it_differs() -> None:
    over = script(get("http://a/", b"1", request_body=b"one", extra={"is_streamed": True}))
    ask(over, 1, "http://a/", body="streamed")
    assert status(over.answer(Call("http.write", {"stream": 1}, b"on"))) is None
    assert status(over.answer(Call("http.write", {"stream": 1}, b"ce"))) == "denied"
    assert status(over.answer(Call("http.write", {"stream": 1}, b""))) == "bad_request"
    (difference,) = differences(over)
    assert (difference.kind, difference.parts) == ("changed", ("body",))
    assert (difference.body, difference.recorded_body) == (b"once", b"one")
    # It ends too early.
    ask(over, 2, "http://a/", body="streamed")
    over.answer(Call("http.write", {"stream": 2}, b"on"))
    assert status(over.answer(Call("http.write", {"stream": 2, "end": True}, b""))) == "denied"


def test_a_long_body_is_read_in_pieces() -> None:
    over = script(get("http://a/", b"x" * 300_000))
    head = ask(over, 1, "http://a/")
    assert (len(head.answer.blob), head.latency) == (262_144, DEFAULT_LATENCY)
    sizes = []
    while True:
        planned = over.answer(Call("http.read", {"stream": 1, "max_bytes": 20_000}, b""))
        sizes.append(len(planned.answer.blob))
        if planned.answer.fields == {"ok": {"eof": True}}:
            break
    assert sizes == [20_000, 17_856]
    assert status(over.answer(Call("http.read", {"stream": 1}, b""))) == "bad_request"


def test_an_error_after_a_part_of_the_body() -> None:
    over = script(get("http://a/", b"xx", error={"code": "read_timeout", "message": "slow"}))
    head = ask(over, 1, "http://a/").answer
    assert (head.blob, head.fields["ok"]) == (
        b"xx", {"status": 200, "reason": "", "headers": [], "http_version": "HTTP/1.1", "eof": False},
    )  # fmt: skip
    assert status(over.answer(Call("http.read", {"stream": 1}, b""))) == "read_timeout"


@pytest.mark.parametrize(
    ("op", "args", "message"),
    [
        ("http.read", {"stream": 9}, "stream 9 is not open"),
        ("http.read", {}, "stream must be a positive integer"),
        ("http.close", {"stream": "1"}, "stream must be a positive integer"),
        ("http.close", {"stream": 9}, None),
        ("http.steal", {"stream": 1}, "there is no such http operation"),
        ("file.read", {"stream": 1}, "there is no host call 'file.read'"),
    ],
)
def test_calls_that_belong_to_no_request(op: str, args: dict[str, Any], message: str | None) -> None:
    fields = script().answer(Call(op, args, b"")).answer.fields
    assert fields == ({"ok": {}} if message is None else {"error": {"code": "bad_request", "message": message}})


def test_a_damaged_timing_is_refused() -> None:
    recording = Recording(exchanges=(get("http://a/"), get("http://b/", extra={"operations": [["http.open"]]})))
    with pytest.raises(
        ConfigError, match="the recording of request 1 is damaged: extra: operations 0 must have 7 fields"
    ):
        check_recording(recording)


def test_a_long_url_is_cut_in_the_error() -> None:
    planned = ask(script(), 1, "http://a/" + "x" * 500)
    error = planned.answer.fields["error"]
    assert isinstance(error, dict)
    assert len(error["message"]) < 300
    assert error["message"].endswith("xxx... is not in the recording: a replay has no network")


def test_the_tape_keeps_what_the_guest_was_told() -> None:
    clock = VirtualClock(10**9, 1)
    tape = Tape(clock, Limits())
    opened = {"stream": 1, "method": "get", "url": "http://a/?SECRET", "headers": [["K", "SECRET"]], "body": "none"}
    tape.issued(1, Call("http.open", opened, b""))
    clock.now += 50
    head = {"status": 200, "reason": "OK", "headers": [["H", "v"]], "http_version": "HTTP/1.1", "eof": False}
    tape.delivered({1: Answer({"ok": head}, b"SEC")})
    tape.issued(2, Call("http.read", {"stream": 1}, b""))
    tape.issued(3, Call("http.read", {"stream": 2}, b""))
    clock.now += 50
    tape.delivered({2: Answer({"ok": {"eof": True}}, b"RET"), 3: Answer({"error": {"code": "x", "message": "y"}}, b"")})
    tape.issued(4, Call("http.read", {"stream": 1}, b""))
    (exchange,) = tape.exchanges(Masker(["SECRET"]), unchecked)
    assert (exchange.method, exchange.url, exchange.request_headers) == ("GET", "http://a/?***", (("K", "***"),))
    assert (exchange.status, exchange.response_body, exchange.seconds) == (200, b"***", 5e-8)
    assert exchange.extra["operations"] == [
        ["http.open", 0, 50, 1, "head", 3, False],
        ["http.read", 50, 100, 2, "data", 3, True],
    ]
    assert [item[:4] for item in tape.strays] == [("http.read", 50, 100, 3), ("http.read", 100, None, 0)]
    assert tape.exchanges(None, unchecked)[0].response_chunks == (3, 3)


def test_the_tape_is_bounded() -> None:
    tape = Tape(VirtualClock(0, 1), Limits(http_bytes=0))
    tape.issued(1, Call("http.write", {"stream": 1}, bytes(MAX_OVERHEAD_BYTES)))
    assert tape.incomplete == ""
    tape.issued(2, Call("http.write", {"stream": 1}, b"x"))
    assert tape.incomplete == "there were more bytes than the limits allow"
    tape = Tape(VirtualClock(0, 1), Limits())
    for number in range(MAX_OPERATIONS + 10):
        tape.issued(number, Call("http.close", {}, b""))
    assert tape.incomplete == "there were more than 200,000 host calls"
    assert len(tape.strays) == MAX_OPERATIONS


def test_what_a_replay_keeps_is_bounded() -> None:
    over = script(get("http://a/", request_body=bytes(MAX_OVERHEAD_BYTES), extra={"is_streamed": True}))
    half = MAX_OVERHEAD_BYTES // 4
    assert status(ask(over, 1, "http://b/", bytes(half))) == "denied"
    assert ask(over, 2, "http://a/", body="streamed").answer.fields == {"ok": {}}
    assert over.answer(Call("http.write", {"stream": 2}, bytes(half))).answer.fields == {"ok": {}}
    assert status(over.answer(Call("http.write", {"stream": 2}, bytes(half + 1000)))) == "limit"
    assert status(ask(over, 3, "http://b/")) == "limit"
    assert len(over.requests) == 2


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], [], []),
        ([1, 2, 3], [1, 2, 3], []),
        ([1, 2, 3], [0, 1, 2, 3], [("added", 0, None)]),
        ([1, 2, 3], [1, 3], [("missing", None, 1)]),
        ([1, 2, 3], [1, 9, 3, 4], [("changed", 1, 1), ("added", 3, None)]),
        ([1, 1, 1], [1], [("missing", None, 1), ("missing", None, 2)]),
        (list(range(5000)), [-1, *range(1, 5000)], [("changed", 0, 0)]),
        ([{"a": 1, "b": 2}], [{"b": 2, "a": 1}], [("changed", 0, 0)]),
        ([2**70], [2**70 + 1], [("changed", 0, 0)]),
    ],
)
def test_rows_are_compared_as_an_edit(before: list[Any], after: list[Any], expected: list[Any]) -> None:
    found = edit(before, after)
    assert [(item.kind, item.replayed, item.recorded) for item in found.rows] == expected
    assert found.total == len(expected)


def test_many_rows_are_compared_as_an_edit() -> None:
    for count in (3000, 30_000):
        found = edit(list(range(count)), list(range(1, count + 1)))
        last = count - 1
        assert [(item.kind, item.replayed, item.recorded) for item in found.rows] == [
            ("missing", None, 0),
            ("added", last, None),
        ]


def test_rows_that_are_all_different_are_compared_by_place() -> None:
    found = edit(list(range(30_000)), list(range(30_000, 60_000)))
    assert (found.total, len(found.rows)) == (30_000, 1000)
    assert {(item.kind, item.recorded == item.replayed) for item in found.rows} == {("changed", True)}


def differences(over: Script) -> list[RequestDifference]:
    return list(compare.request_differences(over._exchanges, over, unchecked))


def edit(before: list[Any], after: list[Any]) -> Differences:
    """How lists of rows differ that have one value each."""
    recorded, replayed = (
        compare.rows_json(RowBlock([{"value": item} for item in rows]), unchecked) for rows in (before, after)
    )
    return row_differences(recorded, replayed, unchecked)


def unchecked() -> None:
    """Checks nothing."""
