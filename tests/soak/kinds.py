"""The kinds of executions of a soak: each runs once and says whether it ended as it must."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wasmexec
from wasmexec import Deterministic, Executor, Grants, HttpGrant, Limits, MemoryRecorder, Recording, Result, Secret
from wasmexec.step import Step

COLUMNS = [{"name": "id", "type": "integer"}, {"name": "name", "type": "text", "allow_null": True}]
SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
STEP = "processing: bulk\nstatement: return INPUT_DATA\noutput_schema: [{name: id, type: integer}]\n"
_GROUPBY = """import pandas
table = pandas.DataFrame({"city": ["Brno", "Oslo"] * 50, "amount": range(100)})
return table.groupby("city", as_index=False).amount.sum().to_dict("records")
"""
_PLOT = """import io
from matplotlib import pyplot
figure, axes = pyplot.subplots(figsize=(2, 1))
axes.plot([1, 3, 2])
out = io.BytesIO()
figure.savefig(out, format="png")
return [{"size": len(out.getvalue())}]
"""
_GATHER = """import httpx
asyncio = httpx._client.typing.sys.modules["asyncio"]
async with httpx.AsyncClient() as client:
    found = await asyncio.gather(*(client.get(LocalVariable.Url) for _ in range(4)))
return [{"status": response.status_code} for response in found]
"""
_STREAM = """import httpx
with httpx.stream("GET", LocalVariable.Url) as response:
    return [{"size": sum(len(piece) for piece in response.iter_raw())}]
"""
_GET = "import httpx\nreturn [{'status': httpx.get(LocalVariable.Url, headers=HEADERS).status_code}]\n"


@dataclass(slots=True)
class World:
    """What the kinds share: an executor, a server's port, a step, and a recording to repeat."""

    executor: Executor
    port: int
    step: Step
    recording: Recording
    prepared: wasmexec.Prepared

    @classmethod
    def make(cls, executor: Executor, port: int, folder: Path) -> World:
        """The world, with a step file in a folder."""
        path = folder / "soak.step.yaml"
        path.write_text(STEP, encoding="utf-8")
        recorder = MemoryRecorder()
        executor.run("return [{'id': 1}]", recorder=recorder)
        prepared = executor.prepare("return [{'id': 1}]", output_schema=SCHEMA)
        return cls(executor, port, Step.load(path), recorder.recording(), prepared)

    def run(self, statement: str, **options: Any) -> Result:
        """One execution."""
        return self.executor.run(statement, **options)

    def fetch(self, statement: str, path: str, **options: Any) -> Result:
        """One with a grant for the server, whose URL is `LocalVariable.Url`."""
        options["grants"] = Grants(http=[HttpGrant("127.0.0.1", ports=[self.port], allow_private=True)])
        options["local_variables"] = {"Url": f"http://127.0.0.1:{self.port}{path}"}
        return self.run(statement.replace("HEADERS", "{'x': '1'}"), **options)

    def cancelled(self, statement: str) -> Result:
        """One that is cancelled after a few milliseconds."""
        ended = threading.Event()
        outcome: list[Any] = []

        def on_done(result: Result | BaseException) -> None:
            outcome.append(result)
            ended.set()

        cancel = self.executor.submit(statement, on_done)
        time.sleep(0.003)
        cancel()
        ended.wait()
        found: Result = outcome[0]
        return found

    def stepped(self) -> Any:
        """A run of the step."""
        return self.step.run([{"id": 1}], executor=self.executor)

    def bound(self, number: int) -> Result:
        """A request with a secret that the statement does not hold."""
        secret = Secret(f"A-secret-{number:09}-of-{number:09}", hosts=[f"http://127.0.0.1:{self.port}"])
        statement = _GET.replace("HEADERS", "{'x': LocalVariable.Key}")
        return self.fetch(statement, "/hello", secrets={"Key": secret})


def _schema(number: int) -> dict[str, Any]:
    """A schema of its own, with many patterns: of these a thousand are kept, and should be soon."""
    patterns = {f"key_{number + other}": {"pattern": f"^x{number}$|^{other}$"} for other in range(20)}
    return {"type": "object", "properties": patterns}


Kind = Callable[[World, int], Any]
KINDS: dict[str, tuple[int, Kind]] = {
    "rows": (200, lambda world, number: world.run("return [{'id': 1}]", output_schema=COLUMNS)),
    "no rows": (201, lambda world, number: world.run("return []")),
    "rows of a schema": (200, lambda world, number: world.run("return [{'id': 1}] * 20", output_schema=SCHEMA)),
    "prepared": (200, lambda world, number: world.prepared.run()),
    "asynchronous": (200, lambda world, number: asyncio.run(world.executor.run_async("return [{'id': 1}]"))),
    "another statement each time": (
        200, lambda world, number: world.run(f"value_{number} = {number}\nreturn [{{'id': value_{number}}}]"),
    ),
    "another schema each time": (
        200, lambda world, number: world.run(f"return [{{'key_{number}': 'x{number}'}}]", output_schema=_schema(number))
    ),
    "other columns each time": (
        200, lambda world, number: world.run(
            f"return [{{'column_{number}': 1}}]", output_schema=[{"name": f"column_{number}", "type": "integer"}]
        ),
    ),
    "an exception": (300, lambda world, number: world.run("raise ValueError(f'no {1 / 3}')")),
    "a deep recursion": (300, lambda world, number: world.run("def call():\n    call()\ncall()")),
    "a syntax error": (400, lambda world, number: world.run("return [")),
    "output refused": (306, lambda world, number: world.run("return [{'id': 'x'}]", output_schema=COLUMNS)),
    "no branch fits": (
        306, lambda world, number: world.run(
            "return [{'id': 1.5}]",
            output_schema={"type": "object", "properties": {"id": {"anyOf": [{"type": "null"}, {"type": "string"}]}}},
        ),
    ),
    "input": (200, lambda world, number: world.run("return INPUT_DATA", input_data=[{"id": number}] * 10)),
    "an input that is no JSON": (307, lambda world, number: world.run("return []", input_data=b"[{]")),
    "a limit that cannot be": (400, lambda world, number: world.run("", limits=Limits(memory_bytes=2**20))),
    "pandas": (200, lambda world, number: world.run(_GROUPBY)),
    "numpy": (200, lambda world, number: world.run("import numpy\nreturn [{'sum': numpy.arange(100_000).sum()}]")),
    "a plot": (200, lambda world, number: world.run(_PLOT)),
    "a request": (200, lambda world, number: world.fetch(_GET, "/hello")),
    "a streamed answer": (200, lambda world, number: world.fetch(_STREAM, "/chunks?count=20&size=1000")),
    "requests at the same time": (200, lambda world, number: world.fetch(_GATHER, "/hello")),
    "a request that is refused": (
        300, lambda world, number: world.run("import httpx\nhttpx.get('http://127.0.0.1/')")
    ),
    "an answer that is none": (300, lambda world, number: world.fetch(_GET, "/raw?hex=00ff00")),
    "a bound secret": (200, lambda world, number: world.bound(number)),
    "log": (201, lambda world, number: world.run("for n in range(100):\n    log.info(n)\nreturn []")),
    "log, as it comes": (
        201, lambda world, number: world.run("log.info('x')\nreturn []", on_log=lambda record: None)
    ),
    "a secret in the log": (
        201, lambda world, number: world.run(
            "log.info(LocalVariable.Key)\nreturn []", secrets={"Key": f"secret-{number:012}"}
        ),
    ),
    "out of time": (
        302, lambda world, number: world.run("await sleep(5)\nreturn []", limits=Limits(wall_seconds=0.02))
    ),
    "out of processor time": (
        302, lambda world, number: world.run("while True: pass", limits=Limits(cpu_seconds=0.02))
    ),
    "out of memory": (304, lambda world, number: world.run("x = bytearray(10 ** 9)")),
    "cancelled while it computes": (303, lambda world, number: world.cancelled("while True: pass")),
    "cancelled while it sleeps": (303, lambda world, number: world.cancelled("await sleep(60)\nreturn []")),
    "sleep": (201, lambda world, number: world.run("await sleep(0.002)\nreturn []")),
    "synchronous sleep": (201, lambda world, number: world.run("import time\ntime.sleep(0.002)\nreturn []")),
    "recorded": (200, lambda world, number: world.fetch(_GET, "/hello", recorder=MemoryRecorder())),
    "replayed": (200, lambda world, number: world.run("return [{'id': 1}]", replay=world.recording)),
    "deterministic": (
        200, lambda world, number: world.run("return [{'id': 1}]", determinism=Deterministic(seed=number))
    ),
    "a large output": (200, lambda world, number: world.run("return [{'text': 'x' * 500_000}] * 2")),
    "many rows": (200, lambda world, number: world.run("return [{'id': 1}] * 5_000")),
    "wide rows": (200, lambda world, number: world.run("return [{f'key_{n}': n for n in range(500)}] * 5")),
    "deep rows": (
        200, lambda world, number: world.run("row = {}\nfor _ in range(150):\n    row = {'a': row}\nreturn [row]")
    ),
    "files": (201, lambda world, number: world.run("open('/tmp/x', 'w').write('x' * 100_000)\nreturn []")),
    "a step": (200, lambda world, number: world.stepped()),
}  # fmt: skip
"""The status that each must end with, and how it is run; the number is another one each time."""
