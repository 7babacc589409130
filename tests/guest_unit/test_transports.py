"""What every transport shares, and `http.client` over a host that is the test: frames out, HTTP in."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.guest_unit import stand_in

from wasmexec_guest.transports.http_client import HostSocket
from wasmexec_guest.transports.request import WHOLE_BODY_BYTES, WRITE_BYTES

HEAD = {"status": 200, "reason": "OK", "http_version": "HTTP/1.1", "eof": True}


class Server:
    """Answers the host calls of one request: the head and the first piece at its end, the rest piece by piece."""

    def __init__(self, pieces: list[bytes], *, chunked: bool) -> None:
        framing = ["Transfer-Encoding", "chunked"] if chunked else ["Content-Length", str(sum(map(len, pieces)))]
        self.head = {**HEAD, "headers": [framing, ["X-Name", "v\xe9"]], "eof": len(pieces) == 0}
        self.left = list(pieces)
        self.calls: list[dict[str, Any]] = []
        self.body = b""

    def answer(self, text: str, blob: bytes) -> tuple[object, bytes]:
        call = json.loads(text)
        self.calls.append(call)
        match call["op"]:
            case "http.open" if call["body"] == "streamed":
                return {"ok": {}}, b""
            case "http.open":
                self.body += blob
                return {"ok": self.head}, b""
            case "http.write":
                self.body += blob
                return ({"ok": self.head} if call.get("end") else {"ok": {}}), b""
            case "http.read":
                data = self.left.pop(0) if self.left else b""
                return {"ok": {"eof": not self.left, "blob": [0, len(data)]}}, data
        return {"ok": {}}, b""


def connection(timeout: object = None) -> http.client.HTTPConnection:
    made = http.client.HTTPConnection("h")
    made.sock = HostSocket("http://h", timeout)
    return made


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.booleans(), st.binary(max_size=200))
def test_a_response_comes_through_however_the_host_hands_it_over(
    pieces: list[bytes], chunked: bool, body: bytes
) -> None:
    server = Server(pieces, chunked=chunked)
    stand_in.host.answer = server.answer
    client = connection()
    client.request("POST", "/p?q", body, {"X-Own": "1"})
    response = client.getresponse()
    assert (response.status, response.headers["X-Name"], response.read()) == (200, "v\xe9", b"".join(pieces))
    opened = server.calls[0]
    assert (opened["method"], opened["url"], server.body) == ("POST", "http://h/p?q", body)
    assert ["X-Own", "1"] in opened["headers"]


@pytest.mark.parametrize("size", [WHOLE_BODY_BYTES, WHOLE_BODY_BYTES + 1, 300_000])
def test_a_body_that_is_not_small_goes_to_the_host_in_pieces_that_it_takes(size: int) -> None:
    server = Server([b"ok"], chunked=False)
    stand_in.host.answer = server.answer
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    client = connection()
    client.request("PUT", "/", body)
    assert client.getresponse().read() == b"ok"
    assert server.body == body
    writes = [call for call in server.calls if call["op"] == "http.write"]
    assert bool(writes) is (size > WHOLE_BODY_BYTES)
    assert all(call["blob"][1] <= WRITE_BYTES for call in writes if "blob" in call)


def test_an_iterator_is_sent_in_chunks_and_arrives_without_them() -> None:
    def parts() -> Iterator[bytes]:
        yield b"ab"
        yield b"cd"

    server = Server([], chunked=False)
    stand_in.host.answer = server.answer
    client = connection()
    client.request("POST", "/", parts())
    client.getresponse()
    assert (server.calls[0]["body"], server.body) == ("streamed", b"abcd")


@pytest.mark.parametrize(
    ("code", "error", "number"),
    [
        ("denied", PermissionError, 13),
        ("connect", ConnectionRefusedError, 111),
        ("connect_timeout", TimeoutError, None),
        ("bad_request", OSError, None),
        ("limit", OSError, None),
        ("a code of tomorrow", OSError, None),
    ],
)
def test_a_call_that_fails_is_the_error_that_a_socket_would_raise(
    code: str, error: type[OSError], number: int | None
) -> None:
    stand_in.host.answer = lambda head, blob: ({"error": {"code": code, "message": "because"}}, b"")
    with pytest.raises(OSError, match="because") as caught:
        connection().request("GET", "/")
    assert type(caught.value) is error
    assert caught.value.errno == number


@pytest.mark.parametrize("data", [b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"a" * 300_000])
def test_what_is_no_request_is_an_error_of_the_socket(data: bytes) -> None:
    with pytest.raises(OSError, match="the request cannot be sent"):
        HostSocket("http://h", None).sendall(data)
