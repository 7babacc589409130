"""wx_where: a stopped statement is asked which of its lines it was in, whatever state its memory is in."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator

import pytest

import wasmexec
from wasmexec._guest.channel import BadFrame
from wasmexec._guest.engine import GuestModule, acquire_guest, release_guest
from wasmexec._guest.instance import Instance, StopGuest
from wasmexec.image import find_image

LIMITS = wasmexec.Limits(cpu_seconds=0.3)
BLOCK = 64 * 1024


@pytest.mark.parametrize(
    ("statement", "lines", "function"),
    [
        ("while True: pass", {1}, "<statement>"),
        ("x = 0\nwhile True:\n    x += 1\n    x -= 1\n", {2, 3, 4}, "<statement>"),
        ("\n\ndef total(a):\n    while a:\n        pass\n\nreturn [{'x': total(1)}]", {4, 5}, "total"),
        ("class Größe:\n    def μέτρο_名(self):\n        while True: pass\nGröße().μέτρο_名()", {3}, "μέτρο_名"),
        ("async def wait():\n    while True:\n        pass\nawait wait()", {2, 3}, "wait"),
        ("import itertools\nsum(\n  itertools.repeat(1))", {2, 3}, "<statement>"),
        ("f = lambda n: f(n)\ndef deep(n):\n    if n: deep(n - 1)\n    while True: pass\ndeep(600)", {4}, "deep"),
    ],
)
def test_running_out_of_time_names_line_and_function(
    executor: wasmexec.Executor, statement: str, lines: set[int], function: str
) -> None:
    result = executor.run(statement, limits=LIMITS)
    assert result.status == wasmexec.Status.TIMED_OUT
    assert isinstance(result.error, wasmexec.CpuLimitError)
    assert result.error.line in lines
    assert result.error.function == function


class Stopper:
    """Owner of an instance that ends the guest after some ticks and answers nothing."""

    def __init__(self) -> None:
        self.ticks = 0

    def guest_log(self, level: int, message: memoryview) -> bool:
        return True

    def guest_call(self, request: memoryview) -> bytes:
        raise StopGuest

    def guest_sleep(self, seconds: float) -> None:
        raise StopGuest

    def guest_stdio(self, fd: int, data: bytes) -> None:
        return None

    def guest_tick(self) -> None:
        self.ticks += 1
        if self.ticks == 20:
            raise StopGuest


@pytest.fixture(scope="module")
def guest() -> Iterator[GuestModule]:
    image = find_image()
    guest = acquire_guest(image)
    guest.ticker.enter()
    yield guest
    guest.ticker.leave()
    release_guest(image)


def words_that_matter(instance: Instance, reference: bytes) -> list[int]:
    """Addresses of the words on which the answer of wx_where depends, found by halving."""
    memory, header = instance.memory, instance.channel.header()
    found: list[int] = []

    def search(start: int, end: int) -> None:
        if start >= header.where_ptr and end <= header.where_ptr + header.where_cap:
            return
        saved = memory.read(start, end - start)
        memory.write(start, b"\xee" * (end - start))
        try:
            changed = instance.where() != reference
        except BadFrame:
            changed = False  # the header, which is the host's business
        memory.write(start, saved)
        if not changed:
            return
        if end - start == 4:
            found.append(start)
            return
        middle = start + (end - start) // 8 * 4
        search(start, middle)
        search(middle, end)

    for start in range(0, memory.size(), BLOCK):
        search(start, min(start + BLOCK, memory.size()))
    return found


def test_wx_where_survives_any_damage_to_what_it_reads(guest: GuestModule) -> None:
    instance = Instance(guest, Stopper(), 256 << 20)
    try:
        statement = "def f(n):\n    if n: f(n - 1)\n    while True: pass\nf(20)"
        options: dict[str, object] = {"inputs": [None], "checkpoint": None, "locals": {}, "max_output_bytes": 1000}
        instance.channel.send(json.dumps({"kind": "run", "statement": statement, **options}).encode())
        with pytest.raises(StopGuest):
            instance.step()
        reference = instance.where()
        assert [frame["line"] for frame in json.loads(reference)] == [3] + [2] * 20 + [4]
        words = words_that_matter(instance, reference)
        assert len(words) > 50
        size, choose = instance.memory.size(), random.Random(5)
        hostile = [0, 1, 4, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFC, 0xFFFFFFFF, size - 64, size - 4, size]
        for _ in range(5000):
            damaged = choose.sample(words, choose.choice((1, 1, 2, 3, 10)))
            saved = [instance.memory.read(address, 4) for address in damaged]
            for address in damaged:
                value = choose.choice(
                    [*hostile, choose.choice(words), choose.randrange(size) & ~3, choose.getrandbits(32)]
                )
                instance.memory.write(address, struct.pack("<I", value))
            assert 2 <= len(instance.where()) <= 16 * 1024
            for address, word in zip(damaged, saved, strict=True):
                instance.memory.write(address, word)
        assert instance.where() == reference
    finally:
        instance.close()
