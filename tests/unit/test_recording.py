"""Recordings: read back as they were handed over, refused when damaged, without secrets."""

from __future__ import annotations

import dataclasses
import gzip
import pickle
import zlib
from typing import Any

import pytest

from wasmexec import ConfigError, ForExecution, HttpExchange, MemoryRecorder, Recording
from wasmexec._masking.masker import Masker
from wasmexec._replay.masked import Unmaskable, masked_bytes, masked_response
from wasmexec._replay.request import request_of
from wasmexec.recording.check import operations
from wasmexec.recording.exchange import Operation

RECORDING = Recording(
    key=bytes(range(32)),
    clock_start=1_900_000_000_123_456_789,
    clock_step=100,
    exchanges=(
        HttpExchange(
            method="POST",
            url="http://a.test/",
            request_headers=(("A", "b"),),
            request_body=b"\xff\x00",
            status=200,
            reason="OK",
            response_headers=(("C", "d"), ("C", "e")),
            response_body=b"body",
            response_chunks=(1, 3),
            started=1.5,
            seconds=0.25,
            extra={"is_streamed": False, "operations": [["http.open", 5, 9, 1, "head", 4, True]]},
        ),
        HttpExchange(method="GET", url="http://b.test/", error={"code": "connect", "message": "no"}, index=1),
    ),
    strays=(Operation("http.close", 7, 8, 2, "ok"), Operation("http.read", 9)),
    ending="wall",
    ended=10**10,
    statement="return ['é']",
    inputs=(b"[1]", None, b"[]"),
    checkpoint=b'"c"',
    local_variables=b'{"a":1}',
    rows=b"[]",
    status=302,
    error={"type": "TimeLimitError", "message": "out of time"},
    log_sha256="ab",
    image="stamp",
    incomplete="something",
)


def kept(recording: Recording = RECORDING) -> MemoryRecorder:
    """A recorder that was given it."""
    recorder = MemoryRecorder()
    assert recording.give_to(recorder)
    return recorder


def test_a_recording_comes_back_as_it_was() -> None:
    assert kept().recording() == RECORDING
    assert kept(Recording()).recording() == Recording()
    assert pickle.loads(pickle.dumps(RECORDING)) == RECORDING


def test_exchanges_may_come_as_other_objects_in_any_order() -> None:
    @dataclasses.dataclass
    class Stored:
        fields: dict[str, Any]

        def __getattr__(self, name: str) -> Any:
            return self.fields[name]

    others = [Stored({**dataclasses.asdict(item)}) for item in reversed(RECORDING.exchanges)]
    assert Recording.from_parts(kept().parts, others) == RECORDING


def test_each_execution_has_its_own() -> None:
    recorder = MemoryRecorder()
    other = dataclasses.replace(RECORDING, statement="return []")
    assert RECORDING.give_to(ForExecution(recorder, 3))
    assert other.give_to(ForExecution(recorder, 4))
    assert recorder.recording(4).statement == "return []"
    assert [item.execution for item in recorder.recording(3).exchanges] == [3, 3]
    assert {part.execution for part in recorder.parts} == {3, 4}


@pytest.mark.parametrize(
    ("kind", "payload", "message"),
    [
        ("clock", None, "the recording is incomplete: it has no clock"),
        ("randomness", None, "the recording is incomplete: it has no randomness"),
        ("clock", b"{}", "the recording is incomplete: it has no format"),
        ("clock", b"x", "the recording is damaged: the clock is not JSON: unexpected character, expected a JSON value"),
        ("clock", b"[]", "the recording is damaged: the clock is not an object"),
        ("randomness", b"short", "the recording is damaged: key must have 32 bytes, not 5"),
        ("clock", b'{"format": 2}', "the recording has format 2; this version reads format 1"),
        ("statement", b"\xff", "the recording is damaged: 'utf-8' codec can't decode byte 0xff in position 0"),
    ],
)
def test_a_damaged_recording_is_refused(kind: str, payload: bytes | None, message: str) -> None:
    recorder = kept()
    parts = [part for part in recorder.parts if part.kind != kind]
    if payload is not None:
        MemoryRecorder.add(recorder, kind, payload)
        parts.append(recorder.parts[-1])
    with pytest.raises(ConfigError) as caught:
        Recording.from_parts(parts, ())
    assert caught.value.message.startswith(message)


def test_a_recording_without_an_end_says_so() -> None:
    parts = [part for part in kept().parts if part.kind not in ("result", "rows")]
    recording = Recording.from_parts(parts, ())
    assert (recording.incomplete, recording.rows, recording.status) == ("it has no end", None, None)


@pytest.mark.parametrize("value", [[["op", 1]], [["op", "x", 1, 1, "", 0, False]], [3]])
def test_operations_that_are_none_are_refused(value: list[Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        operations(value)


def test_a_request_is_read_however_wrong_it_is() -> None:
    wrong = request_of({"method": 3, "url": None, "headers": [["a", "b"], ["c"], 5, ["d", 6]], "body": 7}, b"x")
    assert wrong == ("", "", (("a", "b"),), b"x", False)
    args = {"method": "get" * 100, "url": "u" * 100_000, "headers": "no", "body": "streamed"}
    long = request_of(args, b"").without_secrets(None)
    assert (len(long.method), len(long.url), long.headers, long.is_streamed) == (40, 65_536, (), True)


def test_bytes_stay_as_they_are_around_a_secret() -> None:
    mask = Masker(["grün"])
    assert masked_bytes(mask, b"\xff\x80a" + "grün".encode() + b"\xfe\xc3") == b"\xff\x80a***\xfe\xc3"
    data = bytes(range(256))
    assert masked_bytes(mask, data) is data
    assert masked_bytes(None, data) is data


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(b"a SECRET b", mtime=0)),
        ("X-GZIP", gzip.compress(b"a SECRET b", mtime=0)),
        ("deflate", zlib.compress(b"a SECRET b")),
        ("deflate", zlib.compress(b"a SECRET b")[2:-4]),
    ],
)
def test_a_compressed_secret_is_found(coding: str, body: bytes) -> None:
    headers = (("Content-Encoding", coding), ("content-length", str(len(body))), ("X", "SECRET"))
    assert masked_response(Masker(["SECRET"]), headers, body) == ((("content-length", "7"), ("X", "***")), b"a *** b")
    harmless = masked_response(Masker(["OTHER"]), headers, body)
    assert harmless == (headers, body)
    assert masked_response(None, headers, body) == (headers, body)


@pytest.mark.parametrize(
    ("coding", "body", "reason"),
    [
        ("br", b"x", "it is compressed as 'br'"),
        ("gzip, gzip", b"x", "it is compressed as 'gzip, gzip'"),
        ("gzip", b"x" * 50, "it is not what its Content-Encoding says"),
        ("gzip", gzip.compress(bytes(65 * 1024 * 1024)), "it has more than 67,108,864 bytes uncompressed"),
    ],
)
def test_what_cannot_be_searched_is_not_kept(coding: str, body: bytes, reason: str) -> None:
    with pytest.raises(Unmaskable) as caught:
        masked_response(Masker(["SECRET"]), (("Content-Encoding", coding),), body)
    assert str(caught.value) == reason


def test_a_body_that_shrinks_has_its_new_length() -> None:
    headers, body = masked_response(Masker(["SECRET"]), (("Content-Length", "8"),), b"[SECRET]")
    assert (headers, body) == ((("Content-Length", "5"),), b"[***]")
