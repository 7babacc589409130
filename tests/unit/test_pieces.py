"""How much of a response is parsed in one go: heads by their lines, chunks by their number, and honest bodies whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmexec._hostcalls.error import HostCallError
from wasmexec._hostcalls.http.pieces import CHUNKS, HEAD_BYTES, MAX_LINES, Pieces

HEAD = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"


def cut(pieces: Pieces, data: bytes) -> list[bytes]:
    """The pieces of what came in one go."""
    found = []
    while data:
        size = pieces.next(data)
        assert 0 < size <= len(data)
        found.append(data[:size])
        data = data[size:]
    return found


def body(*, is_chunked: bool) -> Pieces:
    pieces = Pieces()
    assert cut(pieces, HEAD) == [HEAD]
    pieces.begin_body(is_chunked=is_chunked)
    return pieces


def test_each_head_is_a_piece_and_a_body_without_chunks_is_one() -> None:
    pieces = Pieces()
    interim = b"HTTP/1.1 100 \r\n\r\n"
    assert pieces.next(interim + interim + HEAD + b"body") == len(interim)
    assert cut(Pieces(), interim + interim + HEAD) == [interim, interim, HEAD]
    assert cut(body(is_chunked=False), b"a\n" * 50_000) == [b"a\n" * 50_000]


@given(st.lists(st.integers(1, len(HEAD) * 2), max_size=5))
def test_the_end_of_a_head_is_found_wherever_it_is_cut(cuts: list[int]) -> None:
    data, pieces, found = HEAD + b"x" * 5, Pieces(), []
    for size in [*cuts, len(data)]:
        part, data = data[:size], data[size:]
        found += cut(pieces, part) if part else []
    assert len(HEAD) in {len(b"".join(found[: index + 1])) for index in range(len(found))}


def test_a_chunk_is_as_long_as_it_says_and_only_so_many_are_in_a_piece() -> None:
    large = b"10000\r\n" + b"\n" * 65_536 + b"\r\n"
    assert cut(body(is_chunked=True), large) == [large]
    small = b"1;x=y\r\na\r\n"
    assert [piece.count(b"a") for piece in cut(body(is_chunked=True), small * 100)] == [CHUNKS - 1, CHUNKS, 5]


@given(st.lists(st.integers(1, 40), max_size=20))
def test_chunks_are_followed_wherever_they_are_cut(cuts: list[int]) -> None:
    data = b"".join(b"%x;e\r\n%b\r\n" % (size, b"\n" * size) for size in (1, 15, 16, 3, 200)) * 3
    pieces = body(is_chunked=True)
    for size in cuts:
        part, data = data[:size], data[size:]
        if part:
            cut(pieces, part)
    if data:
        cut(pieces, data)
    # It knows where it is: the next large chunk is a piece of its own.
    large = b"1000\r\n" + b"\n" * 4096 + b"\r\n"
    assert cut(pieces, large) == [large]


@pytest.mark.parametrize("before", [b"", b"0\r\n"])
def test_a_head_and_trailers_have_only_so_many_lines(before: bytes) -> None:
    pieces = body(is_chunked=True) if before else Pieces()
    text = rf"^the response has more than {MAX_LINES:,} lines before its body, or after it$"
    with pytest.raises(HostCallError, match=text):
        cut(pieces, before + b"a:\r\n" * (MAX_LINES + HEAD_BYTES))
    pieces = body(is_chunked=True) if before else Pieces()
    cut(pieces, before + b"a:\r\n" * (MAX_LINES - 10))


def test_what_is_no_chunk_is_looked_at_in_small_pieces() -> None:
    assert max(map(len, cut(body(is_chunked=True), b"nonsense\r\n" * 90))) <= HEAD_BYTES
