"""Frames and bounds: whatever bytes a guest presents, the answer is a frame or `BadFrame`."""

from __future__ import annotations

import contextlib
import ctypes
import json
import struct

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmexec import Limits
from wasmexec._execution.failures import NOWHERE, Facts
from wasmexec._execution.response import read_error, read_sleeping, read_where
from wasmexec._guest.channel import BadFrame, Frame, LinearMemory, blob_part, pack_frame, parse_frame

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(), lambda inner: st.lists(inner)
    | st.dictionaries(st.sampled_from(["kind", "error", "rows", "where", "line", "name", "type", "x"]), inner),
)  # fmt: skip


class KeptMemory(LinearMemory):
    """Sixty-four bytes that live as long as this object."""

    def __init__(self) -> None:
        self.buffer = ctypes.create_string_buffer(64)
        super().__init__(ctypes.addressof(self.buffer), lambda: 64)


@given(st.integers(-(2**33), 2**33), st.integers(-(2**33), 2**33))
def test_a_range_is_readable_only_inside_memory(pointer: int, length: int) -> None:
    memory = KeptMemory()
    if pointer >= 0 and length >= 0 and pointer + length <= 64:
        assert memory.read(pointer, length) == bytes(length)
        assert memory.view(pointer, length) == bytes(length)
    else:
        for method in (memory.read, memory.view):
            with pytest.raises(BadFrame):
                method(pointer, length)


@pytest.mark.parametrize(("pointer", "length"), [(0, 64), (64, 0), (63, 1)])
def test_the_edges_of_memory_are_inside(pointer: int, length: int) -> None:
    KeptMemory().write(pointer, b"x" * length)


@pytest.mark.parametrize(("pointer", "length"), [(0, 65), (64, 1), (65, 0), (-1, 1)])
def test_beyond_the_edges_nothing_is_written(pointer: int, length: int) -> None:
    memory = KeptMemory()
    with pytest.raises(BadFrame):
        memory.write(pointer, b"x" * length)
    assert memory.buffer.raw == bytes(64)


def test_a_view_cannot_be_written() -> None:
    with pytest.raises(TypeError):
        KeptMemory().view(0, 4)[0] = 1


def test_a_packed_frame_parses_into_its_parts() -> None:
    frame = parse_frame(memoryview(pack_frame({"a": [0, 2]}, b"xyz")))
    assert (frame.head, bytes(frame.blob), bytes(blob_part(frame, frame.head["a"]))) == ({"a": [0, 2]}, b"xyz", b"xy")


@given(st.binary(max_size=100))
def test_any_bytes_are_a_frame_or_a_bad_frame(data: bytes) -> None:
    try:
        frame = parse_frame(memoryview(data))
    except BadFrame:
        return
    assert isinstance(frame.head, dict)
    assert len(frame.blob) == len(data) - 4 - struct.unpack_from("<I", data)[0]


@given(JSON)
def test_any_reference_is_inside_the_blob_or_a_bad_frame(reference: object) -> None:
    frame = Frame({}, memoryview(b"0123456789"))
    try:
        part = blob_part(frame, reference)
    except BadFrame:
        return
    assert isinstance(reference, list)
    assert bytes(part) == b"0123456789"[reference[0] : sum(reference)]


@given(st.dictionaries(st.sampled_from(["kind", "error", "rows", "where"]), JSON), st.binary(max_size=20))
def test_readers_of_done_frames_refuse_or_return(head: dict[str, object], blob: bytes) -> None:
    frame = Frame(head, memoryview(blob))
    with contextlib.suppress(BadFrame):
        blob_part(frame, head.get("rows"))
    for was_refused in (False, True):
        with contextlib.suppress(BadFrame):
            read_error(frame, Facts(Limits(), 0, 0, 0, was_refused, b"", NOWHERE, 10))
    read_sleeping(frame)


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_the_guest_says_of_its_place_is_a_place_or_none(data: bytes) -> None:
    line, function = read_where(data)
    assert line is None or line >= 0
    assert function is None or 0 < len(function) <= 200


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "\x1b[31m", "\u2028", "a\u202eb"])
def test_the_name_of_a_function_is_one_line_that_drives_nothing(name: str) -> None:
    frames = [{"line": 3, "function": name, "name": name}]
    for line, function in (
        read_where(orjson.dumps(frames)),
        read_sleeping(Frame({"kind": "waiting", "where": frames}, memoryview(b""))),
    ):
        assert line == 3
        assert function == name.encode("unicode_escape").decode()
    assert read_where(orjson.dumps([{"line": 3, "function": "größe"}])).function == "größe"
