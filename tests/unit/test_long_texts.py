"""Texts in files between a server and its workers: what is taken of a worker, and what is not."""

from __future__ import annotations

import fcntl
import gc
import os
import socket
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from wasmexec.workers.files import LongText, MemoryFile, receive
from wasmexec.workers.messages import BadMessage

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
TEXT = b"0123456789"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Who sends, and who receives."""
    theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    with theirs, ours:
        yield theirs, ours


def memory(seals: int = SEALS, text: bytes = TEXT) -> int:
    """A file in memory with such seals."""
    descriptor = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(descriptor, text)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor


def opened_again(flags: int) -> int:
    """A sealed file, opened in another way."""
    descriptor = memory()
    try:
        return os.open(f"/proc/self/fd/{descriptor}", flags)
    finally:
        os.close(descriptor)


def plain_file() -> int:
    with tempfile.TemporaryFile() as file:
        file.write(TEXT)
        file.flush()
        return os.dup(file.fileno())


def pipe() -> int:
    ours, theirs = os.pipe()
    os.close(theirs)
    return ours


def count() -> int:
    # What other tests have left in cycles is not to go meanwhile.
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def send(channel: socket.socket, descriptors: list[int], *, start: int = 0, size: int = 10, number: int = 7) -> None:
    """Send them, and close them here."""
    socket.send_fds(channel, [struct.pack("<QQQ", number, start, size)], descriptors)
    for descriptor in descriptors:
        os.close(descriptor)


def test_a_text_comes_as_it_was_sent_and_nobody_can_change_it(pair: tuple[socket.socket, socket.socket]) -> None:
    before = count()
    text = LongText.of(iter((TEXT, b"abc")))
    LongText(text.file, 3, 8).send(pair[0], 7)
    found = receive(pair[1], 100)
    assert found is not None
    number, part = found
    assert (number, len(part), part.read(), list(part.pieces(3))) == (7, 8, b"3456789a", [b"345", b"678", b"9a"])
    for file in (text.file, part.file):
        with pytest.raises(PermissionError):
            os.pwrite(file.fileno(), b"x", 0)
        for size in (1, 100):
            with pytest.raises(PermissionError):
                os.ftruncate(file.fileno(), size)
    with pytest.raises(BlockingIOError):
        receive(pair[1], 100)
    pair[0].close()
    assert receive(pair[1], 100) is None
    del text, found, part, file
    assert count() == before - 1


@pytest.mark.parametrize("seals", [SEALS, SEALS | fcntl.F_SEAL_SEAL])
def test_the_control_is_taken(pair: tuple[socket.socket, socket.socket], seals: int) -> None:
    send(pair[0], [memory(seals)])
    found = receive(pair[1], 10)
    assert found is not None
    assert found[1].read() == TEXT


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda: memory(0), "a descriptor of a file that may change"),
        (lambda: memory(SEALS & ~fcntl.F_SEAL_SHRINK), "a descriptor of a file that may change"),
        (lambda: memory(SEALS & ~fcntl.F_SEAL_GROW), "a descriptor of a file that may change"),
        (lambda: memory(SEALS & ~fcntl.F_SEAL_WRITE), "a descriptor of a file that may change"),
        # The seal that lets who has a mapping write on.
        (lambda: memory(SEALS & ~fcntl.F_SEAL_WRITE | 0x10), "a descriptor of a file that may change"),
        (lambda: memory(text=TEXT[:-1]), "a file of 9 bytes for a text of 10"),
        (lambda: opened_again(os.O_WRONLY), "a descriptor that cannot be read"),
        (lambda: opened_again(os.O_PATH), "a descriptor of no file in memory"),
        (plain_file, "a descriptor of no file in memory"),
        (pipe, "a descriptor of a file that may change"),
        (lambda: os.open("/", os.O_RDONLY), "a descriptor of a file that may change"),
        (lambda: os.open("/dev/zero", os.O_RDONLY), "a descriptor of a file that may change"),
    ],
)
def test_no_other_descriptor_is_taken_and_none_is_kept(
    pair: tuple[socket.socket, socket.socket], made: Callable[[], int], why: str
) -> None:
    before = count()
    send(pair[0], [made()])
    with pytest.raises(BadMessage, match=why) as raised:
        receive(pair[1], 100)
    del raised
    assert count() == before


@pytest.mark.parametrize(
    ("content", "descriptors"),
    [
        (struct.pack("<QQQ", 7, 0, 10), 0),
        (struct.pack("<QQQ", 7, 0, 10), 2),
        (struct.pack("<QQQ", 7, 0, 10), 100),
        (struct.pack("<QQQ", 7, 0, 10) + b"x", 1),
        (b"x", 1),
        (struct.pack("<QQQ", 7, 0, 101), 1),
        (struct.pack("<QQQ", 7, 2**64 - 1, 11), 1),
        (struct.pack("<QQQ", 7, 5, 6), 1),
    ],
)
def test_no_other_message_is_taken(
    pair: tuple[socket.socket, socket.socket], content: bytes, descriptors: int
) -> None:  # fmt: skip
    before = count()
    sent = [memory() for _ in range(descriptors)]
    socket.send_fds(pair[0], [content], sent)
    for descriptor in sent:
        os.close(descriptor)
    with pytest.raises(BadMessage) as raised:
        receive(pair[1], 100)
    del raised
    assert count() == before


def test_a_file_that_is_not_sealed_yet_could_be_shortened() -> None:
    """The control of what seals are for."""
    file = MemoryFile.new()
    file.write(TEXT)
    os.ftruncate(file.fileno(), 3)
    with pytest.raises(OSError, match="shorter than its length"):
        file.read(0, 10)
    with suppress(OSError):
        file.seal()
