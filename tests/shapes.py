"""Statements whose cost is the host's: one table for the bench, and for tests of delay, of memory and of cancelling.

Each is an ordinary execution under limits of its own. What a shape hands to the host, in and out, is `handed` bytes.
Servers run in processes of their own, so that what they do is not taken for the host's work.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.neighbour import TRIVIAL

import wasmexec
from wasmexec import Grants, HttpGrant, Limits
from wasmexec.step import Step

_LIMITS: dict[str, Any] = {"wall_seconds": 10, "cpu_seconds": 5}


class Flood(NamedTuple):
    """A server that answers with `head`, and then `times` times `piece`."""

    head: bytes
    piece: bytes = b""
    times: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A statement, what it is run with, and how many bytes it hands over.

    `server` is named by `LocalVariable.Server`. `log_seconds` is what the caller's `on_log` takes for each record.
    `csv` is the input of a step that is processed in bulk.
    """

    name: str
    statement: str
    handed: int
    options: Mapping[str, Any] = field(default_factory=dict)
    server: Flood | None = None
    is_recorded: bool = False
    log_seconds: float | None = None
    csv: bytes | None = None
    parallel: int = 1
    """How many of them run at the same time."""
    neighbours: tuple[str, ...] = ("trivial",)
    """Who may have to wait for it, see `NEIGHBOURS`."""


NEIGHBOURS: dict[str, tuple[str, dict[str, Any]]] = {
    "trivial": (TRIVIAL, {}),
    "sleeping": ("await sleep(0.02)\nreturn [{'a': 1}]", {}),
    "logging": ("log.info('x')\nreturn [{'a': 1}]", {"on_log": lambda record: None}),
}

_INTEGER = [{"name": "a", "type": "integer"}]
_NULLABLE = [{"name": f"column_{number}", "type": "integer", "allow_null": True} for number in range(100)]
_ANY_OF = {
    "type": "object",
    "properties": {
        "value": {
            "anyOf": [
                {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "null"}, {"type": "boolean"}]}},
                {"type": "array", "items": {"type": "object", "required": ["id"]}},
                {"type": "null"},
            ]
        }
    },
}
_GATHER = """import httpx
asyncio = httpx._client.typing.sys.modules["asyncio"]
async def fetch():
    async with httpx.AsyncClient(timeout=None) as client:
        try:
            async with client.stream("GET", LocalVariable.Server) as response:
                async for piece in response.aiter_raw():
                    pass
        except httpx.HTTPError:
            pass
await asyncio.gather(*(fetch() for _ in range(16)))
return []
"""
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_SECRETS = {f"Key{number}": f"{number}-a-secret-of-{number}-{'x' * 20}" for number in range(5)}
_MB = 1024 * 1024

SHAPES = (
    Shape(name="empty objects", statement="return [{}] * 2_000_000", handed=6_000_000),
    Shape(
        name="empty objects, nullable columns", statement="return [{}] * 100_000", handed=300_000,
        options={"output_schema": _NULLABLE},
    ),
    Shape(
        name="wide rows, each with another key",
        statement="return [{'a': 1, f'key_{number}': number} for number in range(4_000)]", handed=100_000,
        options={"output_schema": _INTEGER},
    ),
    Shape(
        name="one wide row", statement="return [{f'key_{number}': number for number in range(200_000)}]",
        handed=3_800_000, options={"output_schema": {"type": "object"}},
    ),
    Shape(
        name="long keys", statement="return [{'k' * 1_000_000 + str(number): 1} for number in range(10)]",
        handed=10_000_000, options={"output_schema": {"type": "object"}},
    ),
    Shape(
        name="deep rows", statement="row = {}\nfor _ in range(200):\n    row = {'a': row}\nreturn [row] * 2_000",
        handed=2_400_000, options={"output_schema": {"type": "object"}},
    ),
    Shape(
        name="no branch of anyOf fits",
        statement="return [{'value': [1, None, True] * 40_000 + [{'name': 'x'}] * 10_000 + ['text']}]",
        handed=800_000, options={"output_schema": _ANY_OF},
    ),
    Shape(
        name="many rows that do not fit", statement="return [{'a': 'x'}] * 500_000", handed=5_000_000,
        options={"output_schema": _INTEGER},
    ),
    Shape(
        name="small integers", statement="return [{'a': 1}] * 1_000_000", handed=8_000_000,
        options={"output_schema": _INTEGER},
    ),
    Shape(
        name="texts of escapes", statement="return [{'text': '\\x01' * 1_000_000}] * 2", handed=12_000_000,
        options={"output_schema": [{"name": "text", "type": "text"}]},
    ),
    Shape(
        name="a wide input", statement="return []", handed=4_000_000,
        options={"input_data": b"[" + b",".join([b'{"a":[]}'] * 400_000) + b"]"},
    ),
    Shape(
        name="a log with a slow courier", statement="for _ in range(2_000):\n    log.info('x')\nreturn []",
        handed=100_000, log_seconds=0.001, neighbours=("trivial", "logging"),
    ),
    Shape(
        name="a flood of log lines", statement="for _ in range(200_000):\n    log.info('x')\nreturn []", handed=400_000
    ),
    Shape(
        name="a secret that repeats itself",
        statement="for _ in range(20):\n    log.info('ab' * 20_000)\nreturn []", handed=800_000,
        options={"secrets": {"Key": "ab" * 500}},
    ),
    Shape(
        name="a secret of backslashes",
        statement="for _ in range(20):\n    log.info('\\\\' * 40_000)\nreturn []", handed=800_000,
        options={"secrets": {"Key": "\\" * 40 + "x" + "\\" * 40}},
    ),
    Shape(
        name="many short sleeps", statement="while True:\n    await sleep(0)", handed=0,
        options={"limits": Limits(wall_seconds=2)}, neighbours=("trivial", "sleeping"),
    ),
    Shape(
        name="synchronous calls that nobody answers", handed=0,
        statement="import httpx\nhttpx.get(LocalVariable.Server)", server=Flood(b""),
        options={"limits": Limits(wall_seconds=1)}, parallel=12, neighbours=("trivial", "sleeping"),
    ),
    Shape(name="synchronous sleeps", statement="import time\ntime.sleep(1)\nreturn []", handed=0, parallel=12),
    Shape(
        name="one-byte chunks", statement=_GATHER, handed=6 * 16 * 60_000,
        server=Flood(_CHUNKED, b"1\r\nx\r\n", 60_000), options={"limits": Limits(**_LIMITS, http_bytes=64 * _MB)},
        neighbours=("trivial", "sleeping"),
    ),
    Shape(
        name="interim responses", statement=_GATHER, handed=18 * 16 * 30_000,
        server=Flood(b"", b"HTTP/1.1 100 \r\n\r\n", 30_000), options={"limits": Limits(**_LIMITS, http_bytes=64 * _MB)},
        neighbours=("trivial", "sleeping"),
    ),
    Shape(
        name="a recording of a large answer, five secrets",
        statement="import httpx\nreturn [{'size': len(httpx.get(LocalVariable.Server).content)}]", handed=16 * _MB,
        server=Flood(b"HTTP/1.1 200 OK\r\nContent-Length: 16777216\r\n\r\n", b"0123456789abcdef" * 1024, 1024),
        options={"secrets": _SECRETS}, is_recorded=True,
    ),
    Shape(
        name="CSV in bulk", statement="return []", handed=2_080_000,
        csv=b"a,b,c,d,e,f,g,h\n" + b"1,2,3,4,5,6,7,8\n" * 130_000,
    ),
)  # fmt: skip
BY_NAME = {shape.name: shape for shape in SHAPES}

_SERVER = """
import socket, sys, threading
head, piece, count = bytes.fromhex(sys.argv[1]), bytes.fromhex(sys.argv[2]), int(sys.argv[3])
listener = socket.create_server(("127.0.0.1", 0), backlog=128)
print(listener.getsockname()[1], flush=True)

def answer(connection):
    with connection:
        try:
            data = b""
            while b"\\r\\n\\r\\n" not in data:
                more = connection.recv(65536)
                if not more:
                    return
                data += more
            connection.sendall(head)
            packed = piece * 512 if len(piece) < 100 else piece
            left = len(piece) * count
            while left > 0:
                connection.sendall(packed[:left])
                left -= len(packed)
            connection.recv(1)
        except OSError:
            pass

while True:
    connection, _ = listener.accept()
    threading.Thread(target=answer, args=(connection,), daemon=True).start()
"""


@contextmanager
def conditions(shape: Shape) -> Iterator[dict[str, Any]]:
    """What the statement is run with; its server is there as long as the block lasts."""
    with ExitStack() as stack:
        options: dict[str, Any] = {"limits": Limits(**_LIMITS), **shape.options}
        if shape.server is not None:
            port = stack.enter_context(_serving(shape.server))
            options["local_variables"] = {"Server": f"http://127.0.0.1:{port}/"}
            options["grants"] = Grants(http=[HttpGrant("127.0.0.1", ports=[port], allow_private=True)])
        if shape.is_recorded:
            options["recorder"] = wasmexec.MemoryRecorder()
        if shape.log_seconds is not None:
            seconds = shape.log_seconds
            options["on_log"] = lambda record: time.sleep(seconds)
        yield options


def attack(executor: wasmexec.Executor, shape: Shape, options: Mapping[str, Any]) -> Any:
    """Run the shape once, with `conditions`; its result is what it says and no failure of the test."""
    if shape.csv is None and shape.parallel == 1:
        return executor.run(shape.statement, **options)
    if shape.parallel > 1:
        with ThreadPoolExecutor(shape.parallel) as threads:
            runs = [threads.submit(executor.run, shape.statement, **options) for _ in range(shape.parallel)]
            return runs[0].result()
    with tempfile.TemporaryDirectory() as name:
        step, rows = Path(name) / "a.step.yaml", Path(name) / "rows.csv"
        assert shape.csv is not None
        step.write_text(f"statement: {shape.statement}\nprocessing: bulk\noutput_schema: {{type: object}}\n")
        rows.write_bytes(shape.csv)
        return Step.load(step).run(rows, executor=executor)


@contextmanager
def _serving(flood: Flood) -> Iterator[int]:
    arguments = [flood.head.hex(), flood.piece.hex(), str(flood.times)]
    process = subprocess.Popen([sys.executable, "-c", _SERVER, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        with process.stdout:
            yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
