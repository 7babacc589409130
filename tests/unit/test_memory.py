"""Linear memories: every instance finds the image's bytes and nothing else, whatever the one before it did."""

from __future__ import annotations

import ctypes
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fake_guest import SCRATCH, FakeGuest, log

from wasmexec import Executor, Limits
from wasmexec._guest import memory as memory_module
from wasmexec._guest.memory import HEAVY_PAGES, MAX_HEAVY_KEPT, MAX_KEPT, MAX_OWN_PAGES, Memory, MemoryPool
from wasmexec._guest.pages import PAGE_BYTES, OwnPages

PAGES = MAX_OWN_PAGES + 512
SIZE = PAGES * PAGE_BYTES
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memories are put back on Linux only")


@pytest.fixture
def content() -> bytes:
    return random.Random(7).randbytes(SIZE // 2) + bytes(SIZE // 2)


@pytest.fixture
def pool(tmp_path: Path, content: bytes) -> Iterator[MemoryPool]:
    file = tmp_path / "image.memory"
    file.write_bytes(content)
    pool = shared(MemoryPool(file))
    yield pool
    pool.close()


def shared(pool: MemoryPool) -> MemoryPool:
    """Memories are kept from the third one on."""
    for _ in range(2):
        pool.give_back(pool.take())
        assert pool._waiting == []
    assert pool._shared is not None
    return pool


def read(memory: Memory) -> bytes:
    return ctypes.string_at(memory.base, memory.size)


def scribble(memory: Memory, pages: int, seed: int) -> None:
    """Write to some pages, in clusters as programs do, and read others."""
    chance = random.Random(seed)
    touched = 0
    while touched < pages:
        first = chance.randrange(PAGES)
        for page in range(first, min(PAGES, first + chance.randrange(1, 9))):
            ctypes.memset(memory.base + page * PAGE_BYTES + chance.randrange(PAGE_BYTES), chance.randrange(256), 1)
            touched += 1
        ctypes.string_at(memory.base + chance.randrange(SIZE), 1)


@pytest.mark.parametrize("way", ["scan", "read"])
def test_a_memory_that_is_taken_again_is_the_image_byte_by_byte(pool: MemoryPool, content: bytes, way: str) -> None:
    assert pool._shared is not None
    own_pages = pool._shared._own_pages
    if way == "read":
        own_pages._can_scan = False
    first = pool.take()
    assert read(first) == content
    pool.give_back(first)
    for seed, pages in enumerate((1, 5, 300, 300, MAX_OWN_PAGES - 20, 3)):
        memory = pool.take()
        assert memory is first
        assert read(memory) == content
        scribble(memory, pages, seed)
        if seed % 2:
            memory.grow(SIZE + 65536)
            ctypes.memset(memory.base + SIZE, 0xAA, 65536)
        assert read(memory) != content
        pool.give_back(memory)
    assert (way == "scan") >= own_pages._can_scan


def test_both_ways_of_finding_own_pages_agree(pool: MemoryPool) -> None:
    own_pages = OwnPages()
    memory = pool.take()
    for round_ in range(3):
        scribble(memory, 700, round_)
        scanned = own_pages.find(memory.base, SIZE, PAGES)
        if not own_pages._can_scan:
            pytest.skip("this kernel has no PAGEMAP_SCAN (Linux 6.7)")
        assert scanned == own_pages._read(memory.base, SIZE, PAGES)
        assert scanned is not None
        count = sum(scanned[1::2]) - sum(scanned[0::2])
        assert count > 500 * PAGE_BYTES
        for find in (own_pages.find, own_pages._read):
            assert find(memory.base, SIZE, count // PAGE_BYTES) == scanned
            assert find(memory.base, SIZE, count // PAGE_BYTES - 1) is None
    pool.give_back(memory)
    own_pages.close()


def test_a_scan_that_does_not_advance_is_replaced_by_reading(pool: MemoryPool, monkeypatch: pytest.MonkeyPatch) -> None:
    own_pages = OwnPages()
    memory = pool.take()
    scribble(memory, 50, 1)
    expected = own_pages._read(memory.base, SIZE, PAGES)
    monkeypatch.setattr("wasmexec._guest.pages.fcntl.ioctl", lambda *arguments: 0)
    assert own_pages.find(memory.base, SIZE, PAGES) == expected
    assert expected
    pool.give_back(memory)
    own_pages.close()


def test_one_that_was_written_to_everywhere_is_unmapped(pool: MemoryPool, content: bytes) -> None:
    memory = pool.take()
    ctypes.memset(memory.base, 1, (MAX_OWN_PAGES + 1) * PAGE_BYTES)
    pool.give_back(memory)
    assert pool._waiting == []
    assert read(pool.take()) == content


def write_all_over(memory: Memory) -> None:
    ctypes.memset(memory.base, 1, (HEAVY_PAGES + 1) * PAGE_BYTES)


def test_a_heavy_one_waits_for_the_same_program(pool: MemoryPool, content: bytes) -> None:
    heavy = pool.take(program=1)
    write_all_over(heavy)
    pool.give_back(heavy)
    light = pool.take(program=2)
    assert light is not heavy
    pool.give_back(light)
    again = pool.take(program=1)
    assert again is heavy
    assert read(again) == content
    # While that one is in use, a light one does as well.
    assert pool.take(program=1) is light


def test_only_some_heavy_ones_are_kept(pool: MemoryPool) -> None:
    memories = [pool.take(program=number) for number in range(MAX_HEAVY_KEPT + 2)]
    for memory in memories:
        write_all_over(memory)
        pool.give_back(memory)
    assert pool._waiting == memories[:MAX_HEAVY_KEPT]


def test_programs_that_write_little_do_not_count_as_heavy_when_their_pages_add_up(pool: MemoryPool) -> None:
    part = HEAVY_PAGES // 4
    for program in range(4):
        memory = pool.take(program=program)
        ctypes.memset(memory.base + program * part * PAGE_BYTES, 1, part * PAGE_BYTES)
        pool.give_back(memory)
        assert pool._waiting == [memory]
    memory = pool.take(program=4)
    ctypes.memset(memory.base + 4 * part * PAGE_BYTES, 1, PAGE_BYTES)
    pool.give_back(memory)
    assert not pool._heavy_writers
    assert pool._waiting == []


def test_heavy_writers_are_forgotten_in_the_end(pool: MemoryPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "MAX_REMEMBERED", 2)
    for program in (1, 2, 1, 3):
        memory = pool.take(program=program)
        write_all_over(memory)
        pool.give_back(memory)
    assert list(pool._heavy_writers) == [1, 3]


def test_a_memory_grows_to_its_limit_and_says_if_it_was_refused(pool: MemoryPool) -> None:
    memory = pool.take(SIZE + PAGE_BYTES)
    memory.grow(SIZE + PAGE_BYTES)
    assert (memory.size, memory.was_refused) == (SIZE + PAGE_BYTES, False)
    with pytest.raises(OSError, match="the limit is"):
        memory.grow(SIZE + 2 * PAGE_BYTES)
    assert (memory.size, memory.was_refused) == (SIZE + PAGE_BYTES, True)
    pool.give_back(memory)
    again = pool.take()
    assert again is memory
    assert not again.was_refused


@pytest.mark.parametrize("failing", ["find", "copy", "shrink"])
def test_one_that_cannot_be_put_back_is_unmapped(
    pool: MemoryPool, content: bytes, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError("refused")

    memory = pool.take()
    scribble(memory, 10, 0)
    place = {"find": OwnPages, "copy": memory_module, "shrink": Memory}[failing]
    with monkeypatch.context() as patch:
        patch.setattr(place, failing, refuse)
        pool.give_back(memory)
    assert pool._waiting == []
    again = pool.take()
    assert read(again) == content
    pool.give_back(again)
    assert pool._waiting == [again]


def test_without_a_page_map_nothing_is_kept(tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError("no /proc here")

    file = tmp_path / "image.memory"
    file.write_bytes(content)
    monkeypatch.setattr(OwnPages, "__init__", refuse)
    pool = MemoryPool(file)
    for _ in range(4):
        memory = pool.take()
        assert read(memory) == content
        scribble(memory, 5, 0)
        pool.give_back(memory)
        assert (pool._waiting, pool._shared) == ([], None)
    pool.close()


def test_memories_in_use_are_apart_and_only_some_are_kept(pool: MemoryPool, content: bytes) -> None:
    memories = [pool.take() for _ in range(MAX_KEPT + 3)]
    assert len({memory.base for memory in memories}) == len(memories)
    for number, memory in enumerate(memories):
        ctypes.memset(memory.base, number, 8)
    assert [ctypes.string_at(memory.base, 8) for memory in memories] == [bytes([n] * 8) for n in range(len(memories))]
    for memory in memories:
        pool.give_back(memory)
    assert len(pool._waiting) == MAX_KEPT


def test_the_file_may_change_or_shrink_once_memories_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "image.memory"
    file.write_bytes(b"a" * 65536)
    pool = shared(MemoryPool(file))
    file.write_bytes(b"")
    memory = pool.take()
    assert read(memory) == b"a" * 65536
    pool.close()
    pool.give_back(memory)


def test_what_is_given_back_after_the_end_is_unmapped(pool: MemoryPool) -> None:
    late = pool.take()
    pool.give_back(pool.take())
    pool.close()
    assert pool._waiting == []
    pool.give_back(late)
    assert pool._waiting == []


SECRET = 0x7365637265740A
LOOK = log(SCRATCH, 8)
WRITE = f"(i64.store (i32.const {SCRATCH}) (i64.const {SECRET}))"
GROW = "(drop (memory.grow (i32.const 16)))"


def test_no_execution_finds_what_an_earlier_one_left(tmp_path: Path) -> None:
    """The second look of each run is the positive control: within an execution the write is there."""
    guest = FakeGuest(step=LOOK + WRITE + LOOK + GROW, data={SCRATCH: b"pristine"})
    with Executor(guest.build(tmp_path)) as executor:
        for _ in range(5):
            result = executor.run("")
            assert [record.message for record in result.logs] == ["pristine", "\nterces\0"]
            assert result.usage.peak_memory_bytes == (8 + 16) * 65536


@pytest.mark.parametrize("address", [8 * 65536 - 7, 8 * 65536, 0xFFFF_FFF8])
@pytest.mark.parametrize("access", ["(drop (i64.load {}))", "(i64.store {} (i64.const 1))"])
def test_an_access_beyond_the_memory_ends_the_guest_and_nothing_else(tmp_path: Path, address: int, access: str) -> None:
    signed = address - (1 << 32) if address >= 1 << 31 else address
    inside = access.format("(i32.const 524280)")
    bad = FakeGuest(step=inside + access.format(f"(i32.const {signed})"))
    good = FakeGuest(step=inside)
    with Executor(bad.build(tmp_path, "bad")) as executor, Executor(good.build(tmp_path, "good")) as control:
        for _ in range(2):
            assert executor.run("").error.trap == "memory-out-of-bounds"  # type: ignore[union-attr]
            assert control.run("").error is None


def test_what_was_grown_is_zero_and_gone_the_next_time(tmp_path: Path) -> None:
    step = """
      (if (i32.ne (memory.size) (i32.const 16)) (then unreachable))
      (if (i32.ne (memory.grow (i32.const 4)) (i32.const 16)) (then unreachable))
      (if (i64.ne (i64.load (i32.const 1048576)) (i64.const 0)) (then unreachable))
      (i64.store (i32.const 1048576) (i64.const 1))"""
    with Executor(FakeGuest(step=step, pages=16).build(tmp_path)) as executor:
        for _ in range(3):
            assert executor.run("").error is None
            # Refused growth: the second check fails.
            refused = executor.run("", limits=Limits(memory_bytes=16 * 65536)).error
            assert refused is not None
