"""transports/wire.py against h11: what h11 writes is read, what is written h11 reads, and rubbish is refused."""

from __future__ import annotations

import itertools

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wasmexec_guest.transports.request import WHOLE_BODY_BYTES
from wasmexec_guest.transports.wire import RequestReader, ResponseWriter, WireError, base_url

TOKEN = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!#$%&'*+^`|~", min_size=1, max_size=12
)
WORD = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f\x85\xa0\xad"), max_size=12
)
FRAMING = {"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade"}
HEADERS = st.lists(st.tuples(TOKEN.filter(lambda name: name.lower() not in FRAMING), WORD), max_size=6)
PIECES = st.lists(st.binary(max_size=300), max_size=6)
CUTS = st.lists(st.integers(0, 3000), max_size=8)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """The same bytes in pieces."""
    places = [0, *sorted({place for place in cuts if place < len(data)}), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


def feed(data: bytes, cuts: list[int]) -> RequestReader:
    reader = RequestReader()
    for piece in cut(data, cuts):
        reader.feed(piece)
    return reader


def written_by_h11(headers: list[tuple[str, str]], pieces: list[bytes], *, chunked: bool) -> tuple[bytes, int]:
    """A request as h11 writes it, and the length of its head."""
    connection = h11.Connection(h11.CLIENT)
    length = sum(map(len, pieces))
    framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(length))
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in [("Host", "h"), *headers, framing]]
    head = connection.send(h11.Request(method="POST", target="/a?b=c", headers=encoded))
    assert head is not None
    data = head
    for piece in pieces:
        data += connection.send(h11.Data(piece)) or b""
    return data + (connection.send(h11.EndOfMessage()) or b""), len(head)


@given(HEADERS, PIECES, CUTS, st.booleans())
def test_what_h11_writes_is_read_however_it_is_cut(
    headers: list[tuple[str, str]], pieces: list[bytes], cuts: list[int], chunked: bool
) -> None:
    data, _ = written_by_h11(headers, pieces, chunked=chunked)
    reader = feed(data, cuts)
    assert (reader.method, reader.target, reader.is_complete) == ("POST", "/a?b=c", True)
    assert reader.headers[1:-1] == headers
    assert reader.length == (None if chunked else sum(map(len, pieces)))
    assert reader.is_small is not chunked
    assert reader.waiting_bytes == sum(map(len, pieces))
    assert reader.take(10**6) == b"".join(pieces)


@given(PIECES, st.integers(0, 2000), st.booleans())
def test_a_request_is_not_complete_before_its_last_byte(pieces: list[bytes], missing: int, chunked: bool) -> None:
    data, head = written_by_h11([], pieces, chunked=chunked)
    end = max(0, len(data) - 1 - missing)
    reader = feed(data[:end], [])
    assert not reader.is_complete
    assert reader.has_head is (end >= head)


@given(st.binary(max_size=400), CUTS)
@example(b"P / H\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabcde", [])
@example(b"P / H\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nabcde\r\n0\r\n\r\n", [])
@example(b"P / H\r\nTransfer-Encoding: chunked\r\n\r\n1_0\r\nabcde", [])
@example(b"P / H\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n", [])
@example(b"P / H\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 900 + b"\r\n", [])
@example(b"P / H\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nabc", [])
@example(b"P / H\r\nContent-Length: \xb2\r\n\r\nabc", [])
@example(b"\r\n\r\n", [])
def test_any_bytes_are_a_request_or_refused_and_cuts_change_nothing(data: bytes, cuts: list[int]) -> None:
    outcomes: list[object] = []
    for places in ([], cuts):
        try:
            reader = feed(data, places)
        except WireError as error:
            outcomes.append(str(error))
        else:
            outcomes.append((reader.headers, reader.length, reader.is_complete, reader.take(10**6)))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("size", ["-5", "+5", "0x5", "1_0", " 5", "", "5 ", "g", "\xb2", "f" * 17])
def test_a_chunk_size_is_hexadecimal_digits_and_nothing_else(size: str) -> None:
    with pytest.raises(WireError, match="a chunk has no size"):
        feed(b"P / H\r\nTransfer-Encoding: chunked\r\n\r\n" + size.encode("latin-1") + b"\r\nabcde\r\n0\r\n\r\n", [])


@pytest.mark.parametrize(("size", "length"), [("5", 5), ("05", 5), ("A", 10), ("a;x=y", 10)])
def test_a_chunk_size_may_have_zeros_letters_and_an_extension(size: str, length: int) -> None:
    body = b"x" * length
    reader = feed(b"P / H\r\nTransfer-Encoding: chunked\r\n\r\n%b\r\n%b\r\n0\r\n\r\n" % (size.encode(), body), [])
    assert (reader.is_complete, reader.take(100)) == (True, body)


@pytest.mark.parametrize("length", ["-1", "+1", "1_0", "", "1 1", "0x1", "9" * 16, "9" * 5000])
def test_a_content_length_is_a_number_of_at_most_15_digits(length: str) -> None:
    with pytest.raises(WireError, match="Content-Length"):
        feed(f"P / H\r\nContent-Length: {length}\r\n\r\n".encode(), [])


@pytest.mark.parametrize("head", [b"GET /\r\n\r\n", b"GET / HTTP/1.1 x\r\n\r\n", b"GET / H\r\nno colon\r\n\r\n"])
def test_a_head_that_is_none_is_refused(head: bytes) -> None:
    with pytest.raises(WireError):
        feed(head, [])


def test_a_head_without_an_end_is_refused_at_its_limit_not_kept() -> None:
    reader = RequestReader()
    for _ in range(256):
        reader.feed(b"x" * 1024)
    with pytest.raises(WireError, match="does not end"):
        reader.feed(b"x")


def test_a_body_is_small_up_to_the_size_that_goes_along_with_the_request() -> None:
    for length, small in ((WHOLE_BODY_BYTES, True), (WHOLE_BODY_BYTES + 1, False)):
        assert feed(f"P / H\r\nContent-Length: {length}\r\n\r\n".encode(), []).is_small is small


@given(HEADERS, PIECES, st.booleans())
def test_what_the_writer_writes_h11_reads(headers: list[tuple[str, str]], pieces: list[bytes], chunked: bool) -> None:
    length = sum(map(len, pieces))
    framing = ["Transfer-Encoding", "chunked"] if chunked else ["Content-Length", str(length)]
    head = {"status": 200, "reason": "OK", "http_version": "HTTP/1.1", "headers": [*map(list, headers), framing]}
    writer = ResponseWriter("GET", head)
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    client.send(h11.EndOfMessage())
    client.receive_data(writer.head)
    response = client.next_event()
    assert isinstance(response, h11.Response)
    assert (response.status_code, writer.ends_with_connection) == (200, False)
    got = [(name.decode(), value.decode("latin-1")) for name, value in response.headers.raw_items()]
    assert got == [*headers, tuple(framing)]
    body = b"".join([*(writer.body(piece, eof=False) for piece in pieces), writer.body(b"", eof=True)])
    if body:  # to h11 no bytes are the end of the connection
        client.receive_data(body)
    events = [client.next_event()]
    while isinstance(events[-1], h11.Data):
        events.append(client.next_event())
    assert isinstance(events[-1], h11.EndOfMessage)
    assert b"".join(event.data for event in events if isinstance(event, h11.Data)) == b"".join(pieces)
    assert client.trailing_data[0] == b""


@pytest.mark.parametrize(
    ("method", "status", "headers", "ends"),
    [
        ("GET", 200, [], True),
        ("HEAD", 200, [], False),
        ("GET", 204, [], False),
        ("GET", 304, [], False),
        ("GET", 200, [["content-LENGTH", "0"]], False),
        ("GET", 200, [["TRANSFER-encoding", "chunked"]], False),
    ],
)
def test_a_body_of_unknown_length_ends_with_the_connection(
    method: str, status: int, headers: list[list[str]], ends: bool
) -> None:
    head = {"status": status, "reason": "", "http_version": "HTTP/1.1", "headers": headers}
    assert ResponseWriter(method, head).ends_with_connection is ends


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("h", None, "http://h"),
        ("h", 8080, "http://h:8080"),
        ("::1", 1, "http://[::1]:1"),
        ("[::1]", None, "http://[::1]"),
    ],
)
def test_the_base_of_a_url(host: str, port: int | None, url: str) -> None:
    assert base_url("http", host, port) == url
