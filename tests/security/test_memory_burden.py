"""What the host holds for an execution is bounded by what goes in and out, whatever its shape."""

from __future__ import annotations

import pytest
from tests.neighbour import peak_bytes
from tests.shapes import SHAPES, Shape

PROGRAM = """
import dataclasses
sys.path.insert(0, "..")
from tests.shapes import BY_NAME, attack, conditions

WARM = "import httpx\\nawait sleep(0)\\nlog.info('x')\\nreturn [{'a': 1}] * 3"
ANY_OF = {"type": "object", "properties": {"a": {"anyOf": [{"type": "null"}, {"type": "array"}]}}}

def own_bytes():
    # Pages of waiting memories: they are the guest's, which has a limit of its own.
    return sum(memory.pages for memory in executor._launcher.services.guest.memories._waiting) * 4096

def work():
    result = attack(executor, shape, options)
    usage = getattr(result, "usage", None)
    grown = 0 if usage is None else max(0, usage.peak_memory_bytes - executor.image.memory_bytes)
    return int(result.status), grown + max(0, own_bytes() - before)

shape = BY_NAME[sys.argv[1]]
with conditions(shape) as options:
    for schema in ([{"name": "a", "type": "integer"}], ANY_OF) * 2:
        executor.run(WARM, output_schema=schema)
    # What is checked as a whole is checked in a process, which is kept for the next.
    executor.run("return [{'a': [1] * 10}] * 3_000", output_schema=ANY_OF)
    before = own_bytes()
    if len(sys.argv) > 2:
        shape = dataclasses.replace(shape, statement=sys.argv[2])
    measured(work)
"""
FACTOR = 12
ROOM = 8 * 1024 * 1024
ALONE = [shape for shape in SHAPES if shape.parallel == 1]


@pytest.mark.parametrize("shape", ALONE, ids=lambda shape: shape.name)
def test_the_host_holds_a_dozen_times_what_goes_in_and_out(shape: Shape) -> None:
    """Without the guest's own memory, which has a limit of its own."""
    found, (status, grown) = peak_bytes(PROGRAM, shape.name)
    assert status in (200, 201, 302, 306, 307)
    before, returns, rows = shape.statement.rpartition("return ")
    if shape.server is None and returns and rows != "[]":
        # Pages that the guest only writes to are its own, too: what is there when it makes the rows and keeps them.
        own, (status, grown_alike) = peak_bytes(PROGRAM, shape.name, f"{before}rows = {rows}\nreturn []")
        assert status == 201
        grown = max(grown, grown_alike, own)
    assert found - grown < FACTOR * shape.handed + ROOM, f"{found:,} - {grown:,} bytes for {shape.handed:,}"


def test_what_a_process_holds_is_seen() -> None:
    """The control: also what one step of the interpreter holds, and has dropped at its end."""
    found, _ = peak_bytes("size = 50_000_000\nmeasured(lambda: len(b'x' * size + b'y'))")
    assert 80_000_000 < found < 120_000_000
