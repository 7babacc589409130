"""The process that reads long bodies, as the front sees it: one that lies, dies or is silent is replaced."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import psutil
import pytest

from wasmexec._wall.wall import Mode
from wasmexec.server.problems import ProblemError
from wasmexec.server.reading import reader as reader_module
from wasmexec.server.reading.place import Found, find
from wasmexec.server.reading.reader import BodyReader
from wasmexec.workers.files import LongText, MemoryFile

LIAR = str(Path(__file__).with_name("lying_body_reader.py"))


def found_by(monkeypatch: pytest.MonkeyPatch, *whats: str) -> list[Found | ProblemError]:
    """What is said of a body by one process after the other, each of which does what it is to; none is left."""
    left = list(whats)
    monkeypatch.setattr(reader_module, "child_command", lambda *given: [sys.executable, LIAR, given[3], left.pop(0)])

    async def use() -> list[Found | ProblemError]:
        reader = BodyReader(Mode.OFF, "", 1000)
        said: list[Found | ProblemError] = []
        body = LongText.of([b"0123456789"]).file
        for _ in whats:
            reader.start()
            try:
                said.append(await reader.arriving().find(body))
            except ProblemError as problem:
                said.append(problem)
            # The next one answers, however long it takes to start.
            monkeypatch.setattr(reader_module, "_SECONDS", 60.0)
        reader.close()
        return said

    said = asyncio.run(use())
    assert not [child for child in psutil.Process().children() if LIAR in child.cmdline()]
    return said


def test_the_control_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found_by(monkeypatch, "good") == [Found(1, 2)]
    (refusal,) = found_by(monkeypatch, "refused")
    assert isinstance(refusal, ProblemError)
    assert (refusal.status, refusal.rule, str(refusal)) == (400, "body", "why")


@pytest.mark.parametrize(
    "what", ["outside", "before", "no JSON", "another form", "too long", "another kind", "dies", "silence"]
)
def test_another_one_is_replaced(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    if what == "silence":
        monkeypatch.setattr(reader_module, "_SECONDS", 0.5)
    failure, found = found_by(monkeypatch, what, "good")
    assert isinstance(failure, ProblemError)
    assert (failure.status, failure.rule) == (503, "server.reading")
    assert found == Found(1, 2)


def test_what_is_told_of_a_part_is_not_taken_for_the_whole_though_that_is_there() -> None:
    text = b'{"statement":"","input_data":[%b{}]}' % (b'{"a":1},' * 400_000)

    async def use() -> Found:
        reader = BodyReader(Mode.OFF, "", 10_000_000)
        reader.most_levels = 900
        reader.start()
        (process,) = [child for child in psutil.Process().children() if "server.reading.child" in child.cmdline()]
        body = reader.arriving()
        file = MemoryFile.new()
        process.suspend()
        for start in range(0, len(text), 100_000):
            file.write(text[start : start + 100_000])
            body.note(file)
        file.seal()
        asyncio.get_running_loop().call_later(0.1, process.resume)
        found = await body.find(file)
        reader.close()
        return found

    assert asyncio.run(use()) == find(memoryview(text))
