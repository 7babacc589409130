"""Frames between worker processes and their parent: any pieces make the same frames, and no head takes memory."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmexec.workers.messages import HEAD, MAX_PART_BYTES, BadMessage, Frame, FrameReader, Kind, Room, pack

ROOMS = {Kind.READY: Room(0, 0), Kind.RESULT: Room(20, 50)}
FRAMES = st.lists(
    st.one_of(
        st.just(Frame(Kind.READY, 0, b"", b"")),
        st.builds(
            Frame, st.just(Kind.RESULT), st.integers(0, 2**64 - 1), st.binary(max_size=20), st.binary(max_size=50)
        ),
    ),
    max_size=10,
)


def stream(frames: list[Frame]) -> bytes:
    return b"".join(b"".join(pack(*frame)) for frame in frames)


@given(FRAMES, st.lists(st.integers(1, 40), min_size=1))
def test_frames_come_out_as_they_went_in_whatever_the_pieces(frames: list[Frame], sizes: list[int]) -> None:
    data, reader, found = stream(frames), FrameReader(ROOMS), list[Frame]()
    at = number = 0
    while at < len(data):
        size = sizes[number % len(sizes)]
        found += reader.feed(data[at : at + size])
        at, number = at + size, number + 1
    assert found == frames


@given(FRAMES, st.binary(min_size=HEAD.size, max_size=200))
def test_after_frames_anything_is_a_frame_within_its_room_or_refused(frames: list[Frame], rest: bytes) -> None:
    reader, found = FrameReader(ROOMS), list[Frame]()
    try:
        for frame in reader.feed(stream(frames) + rest):
            found.append(frame)
    except BadMessage:
        pass
    assert found[: len(frames)] == frames
    for frame in found:
        assert len(frame.fields) <= ROOMS[frame.kind].fields
        assert len(frame.body) <= ROOMS[frame.kind].body


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (HEAD.pack(0, 0, 0, 0), "a frame of kind 0"),
        (HEAD.pack(Kind.ORDER, 0, 0, 0), "a frame of kind 1"),
        (HEAD.pack(Kind.READY, 0, 0, 1), "a frame of 0 and 1 bytes"),
        (HEAD.pack(Kind.RESULT, 0, 21, 0), "a frame of 21 and 0 bytes"),
        (HEAD.pack(Kind.RESULT, 0, 0, 51), "a frame of 0 and 51 bytes"),
        (HEAD.pack(Kind.RESULT, 0, MAX_PART_BYTES, MAX_PART_BYTES), "a frame of 4,294,967,295 and 4,294,967,295 bytes"),
    ],
)
def test_a_head_is_refused_by_itself(head: bytes, said: str) -> None:
    with pytest.raises(BadMessage, match=f"^{said}$"):
        list(FrameReader(ROOMS).feed(head))


def test_the_longest_frame_that_there_is_room_for_is_taken() -> None:
    frame = Frame(Kind.RESULT, 2**64 - 1, b"f" * 20, b"b" * 50)
    assert list(FrameReader(ROOMS).feed(stream([frame]))) == [frame]


def test_what_is_announced_takes_no_memory_before_it_comes() -> None:
    reader = FrameReader({Kind.RESULT: Room(0, MAX_PART_BYTES)})
    tracemalloc.start()
    try:
        assert list(reader.feed(HEAD.pack(Kind.RESULT, 1, 0, MAX_PART_BYTES) + b"x" * 1000)) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


def test_a_reader_can_be_told_to_take_less() -> None:
    reader = FrameReader({Kind.ORDER: Room(0, 10), Kind.RUN: Room(0, 10)})
    [frame] = reader.feed(b"".join(pack(Kind.ORDER, body=b"order")))
    assert frame.body == b"order"
    reader.expect({Kind.RUN: Room(0, 5)})
    with pytest.raises(BadMessage, match=r"^a frame of kind 1$"):
        list(reader.feed(b"".join(pack(Kind.ORDER, body=b"order"))))


class Long(bytes):
    """Bytes that say they are longer than a frame can hold."""

    def __len__(self) -> int:
        return MAX_PART_BYTES + 1


def test_a_part_that_no_frame_can_hold_is_not_packed() -> None:
    with pytest.raises(ValueError, match=r"^a frame holds at most 4,294,967,295 bytes$"):
        pack(Kind.RUN, 1, body=Long())
