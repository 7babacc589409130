"""The http operations of the host, against real servers on loopback; no guest is needed."""

import asyncio
import contextlib
import gzip
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from tests.http_caller import Caller, answering, failure, play, private_grant
from tests.servers import ScriptedServer, WebServer, unused_port

from wasmexec._hostcalls.error import HostCallError
from wasmexec._hostcalls.usage import UsageCounter
from wasmexec.grants import HttpGrant


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as running:
        yield running


def test_a_small_answer_comes_with_its_head(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        head, body = await call.open(server.url("/hello"))
        headers = dict(head["headers"])
        assert (head["status"], head["reason"], head["http_version"]) == (200, "OK", "HTTP/1.1")
        assert (headers["Content-Type"], headers["Content-Length"]) == ("text/plain", "5")
        assert (head["eof"], body) == (True, b"hello")
        assert await failure(call.read()) == ("bad_request", "stream 1 is not open")

    usage = play(server.authority, script)
    assert usage.http_requests == 1
    assert 0 < usage.http_bytes_sent < 200
    assert 0 < usage.http_bytes_received < 300


def test_a_whole_body_goes_out_with_its_own_length(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        headers = [["Content-Type", "text/x"], ["Content-Length", "999"], ["Transfer-Encoding", "chunked"]]
        status, body = await call.fetch(server.url("/echo?a=1"), b"body", method="POST", headers=headers)
        seen = json.loads(body)
        assert (status, seen["method"], seen["path"], seen["body"]) == (200, "POST", "/echo?a=1", "body")
        assert seen["headers"] == {"host": server.authority, "content-type": "text/x", "content-length": "4"}

    play(server.authority, script)


def test_a_post_without_body_says_so(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        _, body = await call.fetch(server.url("/echo"), method="POST")
        assert json.loads(body)["headers"]["content-length"] == "0"
        _, body = await call.fetch(server.url("/echo"), method="GET")
        assert "content-length" not in json.loads(body)["headers"]

    play(server.authority, script)


@pytest.mark.parametrize("declared", [None, 700_003])
def test_a_streamed_body_arrives_whole(server: WebServer, declared: int | None) -> None:
    async def script(call: Caller) -> None:
        headers = [] if declared is None else [["Content-Length", str(declared)]]
        assert await call.open(server.url("/upload"), method="PUT", body="streamed", headers=headers) == ({}, b"")
        for _ in range(7):
            assert await call.write(b"x" * 100_000) == ({}, b"")
        assert await call.write(b"") == ({}, b"")
        head, body = await call.write(b"end", end=True)
        while not head["eof"]:
            head["eof"], data = await call.read()
            body += data
        seen = json.loads(body)
        assert seen["size"] == 700_003
        assert seen["content_length"] == (None if declared is None else "700003")
        assert seen["transfer_encoding"] == ("chunked" if declared is None else None)

    play(server.authority, script)


def test_a_streamed_body_must_keep_its_declared_length(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        for pieces, message in ((1, "Too little data for declared Content-Length"), (3, "Too much data")):
            await call.open(server.url("/upload"), method="PUT", body="streamed", headers=[["Content-Length", "8"]])
            for _ in range(pieces - 1):
                assert await call.write(b"1234") == ({}, b"")
            code, text = await failure(call.write(b"1234", end=True))
            assert code == "bad_request"
            assert message in text

    play(server.authority, script)


def test_the_sender_waits_for_a_server_that_does_not_read(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        await call.open(server.url("/slow?seconds=0.5"), method="PUT", body="streamed", timeout={"write": 20})
        sent = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                while True:
                    await call.write(b"x" * 1_000_000)
                    sent += 1
        # What fits in the buffers of the kernel, and no more.
        assert 0 < sent < 40

    play(server.authority, script, http_bytes=1_000_000_000)


def test_a_server_that_closes_before_the_end_of_the_body_is_a_read_error() -> None:
    with ScriptedServer(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") as server:

        async def script(call: Caller) -> None:
            await call.open(server.url(), method="PUT", body="streamed")
            outcome: object = None
            while outcome is None:
                try:
                    head, _ = await call.write(b"x" * 1_000_000)
                except HostCallError as error:
                    outcome = (error.code, error.message)
                else:
                    outcome = head.get("status")
            # What the server said is lost when its closing resets the connection.
            assert outcome in (413, ("read", "the server closed the connection before it had the whole request"))

        play(server.authority, script)


def test_a_chunked_answer_is_passed_on_as_it_comes(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        head, body = await call.open(server.url("/chunks?count=4&size=3&pause=0.1"))
        pieces, eof = [body] if body else [], head["eof"]
        while not eof:
            eof, data = await call.read()
            pieces += [data] if data else []
        assert pieces == [b"000", b"111", b"222", b"333"]

    play(server.authority, script)


def test_small_chunks_that_have_arrived_come_together(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        head, body = await call.open(server.url("/chunks?count=5000&size=1"))
        reads, eof = 0, head["eof"]
        while not eof:
            eof, data = await call.read()
            body += data
            reads += 1
        assert len(body) == 5000
        assert reads < 100

    play(server.authority, script)


def test_a_read_gives_no_more_than_asked(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        _, body = await call.open(server.url("/bytes?size=1000000"))
        eof = False
        while not eof:
            eof, data = await call.read(1000)
            assert len(data) <= 1000
            body += data
        assert body == b"x" * 1_000_000

    play(server.authority, script)


def test_the_host_reads_ahead_only_so_far(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        await call.open(server.url("/bytes?size=20000000"))
        await asyncio.sleep(0.3)
        assert call.usage.http_bytes_received < 600_000
        status, body = await call.fetch(server.url("/hello"))
        assert (status, body) == (200, b"hello")

    play(server.authority, script)


@pytest.mark.parametrize(
    ("method", "path"), [("HEAD", "/hello"), ("GET", "/status?code=204"), ("GET", "/status?code=304")]
)
def test_an_answer_without_body_ends_with_its_head(server: WebServer, method: str, path: str) -> None:
    async def script(call: Caller) -> None:
        for _ in range(3):
            head, body = await call.open(server.url(path), method=method)
            assert (head["eof"], body) == (True, b"")

    play(server.authority, script)
    assert server.connections == 1


def test_the_body_is_not_decompressed(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        _, body = await call.fetch(server.url("/gzip"))
        assert json.loads(gzip.decompress(body)) == {"text": "x" * 1000}

    play(server.authority, script)


def test_redirects_are_left_to_the_guest(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        head, _ = await call.open(server.url("/redirect?to=/hello"))
        assert head["status"] == 302
        assert ["Location", "/hello"] in head["headers"]

    play(server.authority, script)
    assert server.requests == ["/redirect?to=/hello"]


def test_connections_are_kept_and_used_again(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        for _ in range(5):
            assert await call.fetch(server.url("/hello")) == (200, b"hello")

    play(server.authority, script)
    assert (len(server.requests), server.connections) == (5, 1)


def test_requests_overlap(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        answers = await asyncio.gather(
            *(call.fetch(server.url("/meet?count=8"), stream=number) for number in range(1, 9))
        )
        assert answers == [(200, b"met")] * 8

    play(server.authority, script)
    assert server.most_in_flight == 8


def test_closing_a_stream_stops_its_request_wherever_it_is(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        opening = asyncio.ensure_future(call.open(server.url("/slow?seconds=9")))
        await asyncio.to_thread(server.wait_until, lambda: server.in_flight == 1)
        await call.close()
        assert await failure(opening) == ("read", "the stream was closed")
        await call.open(server.url("/bytes?size=20000000"))
        await call.close()
        await call.close()
        await call.close(99)
        assert await failure(call.read()) == ("bad_request", "stream 2 is not open")
        assert await call.fetch(server.url("/hello")) == (200, b"hello")

    play(server.authority, script, http_concurrent=1)


def test_cancelling_an_operation_stops_its_request(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        for path in ("/slow?seconds=9", "/stall?size=10"):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await call.fetch(server.url(path))
            assert await failure(call.read()) == ("bad_request", f"stream {call.last_stream} is not open")
        # With the only place still taken, this would time out.
        assert await call.fetch(server.url("/hello"), timeout={"pool": 5}) == (200, b"hello")

    play(server.authority, script, http_concurrent=1)


@pytest.mark.timing
def test_the_end_of_the_execution_ends_every_request(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        opening = asyncio.ensure_future(call.open(server.url("/slow?seconds=9")))
        await call.open(server.url("/bytes?size=20000000"), stream=7)
        await call.open(server.url("/upload"), stream=8, method="PUT", body="streamed")
        await asyncio.to_thread(server.wait_until, lambda: server.in_flight == 3)
        started = time.monotonic()
        await call.capability.aclose()
        assert time.monotonic() - started < 3
        assert await failure(opening) == ("read", "the stream was closed")

    play(server.authority, script)


@pytest.mark.parametrize("max_bytes", [0, -1, 1.5, "10", True])
def test_a_wrong_number_of_bytes_is_a_bad_request(server: WebServer, max_bytes: Any) -> None:
    async def script(call: Caller) -> None:
        await call.open(server.url("/bytes?size=20000000"))
        assert await failure(call.read(max_bytes)) == ("bad_request", "max_bytes must be a positive integer")
        assert (await call.read(5))[1] == b"xxxxx"

    play(server.authority, script)


def test_a_stream_is_used_by_one_operation_at_a_time(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        _, body = await call.open(server.url("/stall?size=5"))
        if not body:
            assert (await call.read())[1] == b"xxxxx"
        reading = asyncio.ensure_future(call.read())
        await asyncio.sleep(0.05)
        assert await failure(call.read()) == ("bad_request", "stream 1 is in use by another operation")
        assert await failure(call.open(server.url("/hello"), stream=1)) == ("bad_request", "stream 1 is open already")
        await call.close(1)
        assert await failure(reading) == ("read", "the stream was closed")

    play(server.authority, script)


def test_operations_in_the_wrong_order_are_bad_requests(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        await call.open(server.url("/bytes?size=20000000"))
        assert await failure(call.write(b"x")) == ("bad_request", "nothing more is to be written to this stream")
        await call.open(server.url("/upload"), method="PUT", body="streamed")
        assert await failure(call.read()) == ("bad_request", "the body of the request has not been sent")
        await call.open(server.url("/upload"), method="PUT", body="streamed")
        assert await failure(call.write(b"x" * 1_048_577)) == (
            "bad_request",
            "a piece of a body has at most 1,048,576 bytes",
        )
        for stream in (0, -1, True, "1", None, 1.0):
            arguments = {"stream": stream}
            assert await failure(call.capability.perform("http.read", arguments, b"")) == (
                "bad_request",
                "stream must be a positive integer",
            )
        await call.open(server.url("/bytes?size=20000000"))
        assert await failure(call.capability.perform("http.peek", {"stream": call.last_stream}, b"")) == (
            "bad_request",
            "there is no such http operation",
        )

    play(server.authority, script)


def test_a_server_that_does_not_answer_is_a_read_timeout(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        assert await failure(call.open(server.url("/slow?seconds=9"), timeout={"read": 0.2})) == (
            "read_timeout",
            "nothing received within the time allowed",
        )
        head, _ = await call.open(server.url("/slow?seconds=0.1"), timeout={"read": 5})
        assert head["status"] == 200

    play(server.authority, script)


def test_a_body_that_stops_is_a_read_timeout(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        _, body = await call.open(server.url("/stall?size=5"), timeout={"read": 0.5})
        if not body:
            _, body = await call.read()
        assert body == b"xxxxx"
        assert await failure(call.read()) == ("read_timeout", "nothing received for 0.5 s")

    play(server.authority, script)


def test_a_guest_that_is_busy_elsewhere_does_not_time_out(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        _, body = await call.open(server.url("/chunks?count=2&size=3&pause=1"), timeout={"read": 0.6})
        await asyncio.sleep(2.2)
        eof = False
        while not eof:
            eof, data = await call.read()
            body += data
        assert body == b"000111"

    play(server.authority, script)


def test_a_refused_connection_says_so() -> None:
    port = unused_port()

    async def script(call: Caller) -> None:
        assert await failure(call.open(f"http://127.0.0.1:{port}/")) == (
            "connect",
            f"connection to 127.0.0.1:{port} failed: Connection refused",
        )

    usage = play(f"127.0.0.1:{port}", script)
    assert usage.http_requests == 1


def test_a_connection_that_takes_too_long_is_a_connect_timeout() -> None:
    async def resolver(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(9)
        return []

    async def script(call: Caller) -> None:
        opening = call.open("http://api.example.com/", timeout={"connect": 0.1})
        assert await failure(opening) == ("connect_timeout", "no connection to api.example.com:80 in 0.1 s")

    play([HttpGrant("api.example.com")], script, resolver=resolver)


def test_the_next_address_is_tried_when_one_does_not_answer(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        assert await call.fetch(server.url("/hello", "two.example.com")) == (200, b"hello")

    grant = private_grant(f"two.example.com:{server.port}")
    play([grant], script, resolver=answering("127.0.0.2", "127.0.0.1"))


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (b"", "protocol", "Server disconnected without sending a response."),
        (b"nonsense\r\n\r\n", "protocol", "illegal status line"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "protocol", "Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nxx", "protocol", "peer closed connection without sending"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "protocol", "peer closed connection"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "protocol", "illegal chunk header"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", "protocol", "without a pending proposal"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "protocol", "Server disconnected without sending a response."),
        (
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * 66_000 + b"\r\n\r\n",
            "protocol",
            "bytes of headers (limit http_header_bytes)",
        ),
        (
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000,
            "protocol",
            "head of the response, or a line in it, has more than",
        ),
    ],
)
def test_a_server_that_breaks_the_rules_is_a_protocol_error(answer: bytes, code: str, message: str) -> None:
    with ScriptedServer(answer) as server:

        async def script(call: Caller) -> None:
            seen, text = await failure(call.fetch(server.url()))
            assert seen == code
            assert message in text

        play(server.authority, script)


def test_the_limits_of_headers_are_the_executions_own() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Long: " + b"x" * 77 + b"\r\n\r\nok"
    with ScriptedServer(*[answer] * 3) as server:

        async def just_under(call: Caller) -> None:
            assert await call.fetch(server.url(), headers=[["A", "x" * 98], ["B", ""]]) == (200, b"ok")

        async def just_over(call: Caller) -> None:
            assert await failure(call.open(server.url(), headers=[["A", "x" * 99], ["B", ""]])) == (
                "limit", "the request has more than 100 bytes of headers (limit http_header_bytes)",
            )  # fmt: skip
            assert await failure(call.open(server.url(), headers=[["A", ""]] * 3)) == (
                "limit", "the request has more than 2 headers (limit http_headers)",
            )  # fmt: skip

        async def long_answer(call: Caller) -> None:
            assert await failure(call.open(server.url())) == (
                "protocol", "the response has more than 97 bytes of headers (limit http_header_bytes)",
            )  # fmt: skip

        play(server.authority, just_under, http_headers=2, http_header_bytes=100)
        play(server.authority, just_over, http_headers=2, http_header_bytes=100)
        play(server.authority, long_answer, http_header_bytes=97)


def test_a_continue_before_the_answer_is_skipped() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
    answer = early + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with ScriptedServer(answer) as server:

        async def script(call: Caller) -> None:
            assert await call.fetch(server.url()) == (200, b"ok")

        play(server.authority, script)


def test_a_body_up_to_the_end_of_the_connection_is_whole() -> None:
    with ScriptedServer(b"HTTP/1.0 200 OK\r\n\r\nup to the end") as server:

        async def script(call: Caller) -> None:
            assert await call.fetch(server.url()) == (200, b"up to the end")

        play(server.authority, script)


def test_what_arrived_before_a_break_can_be_read() -> None:
    with ScriptedServer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf") as server:

        async def script(call: Caller) -> None:
            _, body = await call.open(server.url())
            if not body:
                _, body = await call.read()
            assert body == b"half"
            assert (await failure(call.read()))[0] == "protocol"

        play(server.authority, script)


def test_the_number_of_requests_is_limited(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        for _ in range(3):
            assert await call.fetch(server.url("/hello")) == (200, b"hello")
        assert await failure(call.fetch(server.url("/hello"))) == (
            "limit",
            "more than 3 HTTP requests (limit http_requests)",
        )

    assert play(server.authority, script, http_requests=3).http_requests == 3
    assert len(server.requests) == 3


def test_denied_requests_are_not_counted(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        for _ in range(5):
            assert (await failure(call.open("http://evil.net/")))[0] == "denied"
        assert await call.fetch(server.url("/hello")) == (200, b"hello")

    assert play(server.authority, script, http_requests=1).http_requests == 1


def test_requests_beyond_the_concurrent_ones_wait_for_their_turn(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        path = server.url("/slow?seconds=0.3")
        answers = await asyncio.gather(
            *(call.fetch(path, stream=number, timeout={"pool": 0.8}) for number in range(1, 9))
        )
        assert answers == [(200, b"slow")] * 8

    play(server.authority, script, http_concurrent=2)
    assert server.most_in_flight == 2


def test_a_request_gives_up_when_no_other_one_ends(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        await call.open(server.url("/bytes?size=20000000"))
        held = call.last_stream
        assert await failure(call.open(server.url("/hello"), timeout={"pool": 0.2})) == (
            "pool_timeout",
            "1 HTTP requests are in flight (limit http_concurrent) and none ended within 0.2 s",
        )
        await call.close(held)
        assert await call.fetch(server.url("/hello"), timeout={"pool": 2}) == (200, b"hello")

    play(server.authority, script, http_concurrent=1)


def test_received_bytes_are_limited_to_the_last_one(server: WebServer) -> None:
    async def measure(call: Caller) -> None:
        assert len((await call.fetch(server.url("/bytes?size=100000")))[1]) == 100_000

    exactly = play(server.authority, measure).http_bytes_received
    assert play(server.authority, measure, http_bytes=exactly).http_bytes_received == exactly

    async def too_much(call: Caller) -> None:
        assert await failure(call.fetch(server.url("/bytes?size=100000"))) == (
            "limit",
            f"more than {exactly - 1:,} bytes received over HTTP (limit http_bytes)",
        )
        # The limit is reached for good.
        assert (await failure(call.fetch(server.url("/hello"))))[0] == "limit"

    play(server.authority, too_much, http_bytes=exactly - 1)


def test_sent_bytes_are_limited_to_the_last_one(server: WebServer) -> None:
    async def measure(call: Caller) -> None:
        await call.fetch(server.url("/upload"), b"x" * 100_000, method="PUT")

    exactly = play(server.authority, measure).http_bytes_sent
    assert play(server.authority, measure, http_bytes=exactly).http_bytes_sent == exactly

    async def too_much(call: Caller) -> None:
        assert await failure(call.fetch(server.url("/upload"), b"x" * 100_000, method="PUT")) == (
            "limit",
            f"more than {exactly - 1:,} bytes sent over HTTP (limit http_bytes)",
        )
        assert call.usage.http_bytes_sent < exactly

    play(server.authority, too_much, http_bytes=exactly - 1)


def test_without_a_grant_nothing_of_the_network_is_touched() -> None:
    async def script(call: Caller) -> None:
        assert await failure(call.open("http://127.0.0.1/")) == (
            "denied",
            'HTTP to 127.0.0.1 is not granted: allow it with --allow-http 127.0.0.1 or Grants(http=["127.0.0.1"])',
        )

    assert play([], script) == UsageCounter(unserved="denied")


def test_the_read_timeout_may_come_with_the_end_of_a_body(server: WebServer) -> None:
    async def script(call: Caller) -> None:
        for seconds in (0.2, None):
            url = server.url(f"/slow?seconds={0.5 if seconds is None else 5}")
            assert await call.open(url, method="PUT", body="streamed", timeout={"read": 0.1}) == ({}, b"")
            args = {"stream": call.last_stream, "end": True, "read_timeout": seconds}
            finished = call.capability.perform("http.write", args, b"x")
            if seconds is None:
                assert (await finished)[1] == b"slow"
            else:
                started = time.monotonic()
                assert (await failure(finished))[0] == "read_timeout"
                assert time.monotonic() - started >= 0.2
        await call.open(url, method="PUT", body="streamed")
        args = {"stream": call.last_stream, "end": True, "read_timeout": -1}
        assert await failure(call.capability.perform("http.write", args, b"")) == (
            "bad_request",
            "the read timeout must be a number of seconds or null",
        )
        await call.close()

    play(server.authority, script)
