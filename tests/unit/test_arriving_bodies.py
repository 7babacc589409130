"""Long bodies that are read while they come: in the end it is told of them what is told of the whole."""

from __future__ import annotations

import json
from unittest.mock import patch

from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from tests.unit.test_body_places import bodies

from wasmexec.server.reading import arriving
from wasmexec.server.reading.arriving import Arriving, new_buffer
from wasmexec.server.reading.place import Found, find
from wasmexec.workers.files import LongText, MemoryFile

BUFFER = new_buffer()
HEAD = b'{"statement":"","input_data":['
_pieces = st.lists(
    st.sampled_from([
        b'{"a":1}', b",", b'{"b":[{"c":"},"},{}]}', b"]", b"[", b"{", b"}", b'"', b'"input_data":', b"1", b" ", b"\n",
        b'],"input_data":[{}', b'"},{"', b"\\", b'{"a":2},{"a":3},', b'{"a":2},{"a":3},',
    ]),
    max_size=30,
)  # fmt: skip


def told(body: bytes, piece: int, step: int) -> tuple[Found, int]:
    """What is told of a body that comes in steps, and how much of it was read before its end."""
    with patch.object(arriving, "PIECE_BYTES", piece):
        read = Arriving(BUFFER)
        file = MemoryFile.new()
        for start in range(0, len(body), step):
            file.write(body[start : start + step])
            read.read(file, file.size)
        file.seal()
        early = 0 if read._is_lost else read._read
        return read.end(LongText(file, 0, file.size)), early


@settings(max_examples=500, deadline=None)
@given(bodies(), st.integers(4, 60), st.integers(1, 50))
def test_a_request_is_found_as_if_it_came_at_once(body: bytes, piece: int, step: int) -> None:
    found, early = told(body, piece, step)
    event("partly" if early else "not")
    assert found == find(memoryview(body))


@settings(max_examples=1000, deadline=None)
@given(_pieces, st.sampled_from([b"]}", b"", b'],"record":false}', b'],"extra_inputs":[[{"a":1},{"a":2}]]}']),
       st.integers(4, 40), st.integers(1, 50))  # fmt: skip
@example([b'{"a":1},', b"]"], b"}", 8, 10)
@example([b'{"a":1},', b'{"a":1},', b","], b"]}", 9, 10)
@example([b'{},1],"input_data":[{},{}'], b"]}", 25, 40)
def test_so_is_what_is_no_request(pieces: list[bytes], end: bytes, piece: int, step: int) -> None:
    body = HEAD + b"".join(pieces) + end
    found, early = told(body, piece, step)
    event("partly" if early > len(HEAD) else "not")
    assert found == find(memoryview(body))


def test_most_of_a_usual_body_is_read_before_its_end() -> None:
    rows = [{"a": number, "b": [{"c": "},{" * (number % 3)}]} for number in range(1000)]
    for separators in ((",", ":"), (", ", ": ")):
        body = json.dumps({"statement": "", "input_data": rows, "record": False}, separators=separators).encode()
        found, early = told(body, 1000, 700)
        assert found == find(memoryview(body))
        assert found.rule is None
        assert early > len(body) - 2000


def test_a_body_of_another_form_is_read_at_its_end() -> None:
    for body in (b'{"statement":"","input_data":"%b"}' % (b"a" * 5000), b"[" * 5000, b" " * 5000):
        found, early = told(body, 1000, 700)
        assert (found, early) == (find(memoryview(body)), 0)
