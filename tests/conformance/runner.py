"""Runs one shard, in the guest or on native CPython, and survives whatever its tests do to the process."""

import asyncio
import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests import reference
from tests.conformance.bundle import DRIVER, ROOT_IN_GUEST, Shard, encode, make_job
from tests.conformance.server import serving
from tests.conformance.store import Outcome, ShardResult

import wasmexec

TEST_SECONDS = 600.0
"""Longest time for one test, and for the time until the first one begins."""
SHARD_SECONDS = 4 * 3600.0
SERVER = "CONFORMANCE_SERVER"
"""The environment variable with the server's address."""
MOST_DEATHS = 30
"""A shard that kills more processes than this is given up."""
_STATEMENT = """
import warnings
sys = warnings.sys
builtins = sys.modules["builtins"]
space = {"__builtins__": builtins, "__name__": "conformance_driver"}
job = INPUT_DATA[0]
if "numpy" in job["extend"]:
    # Its tests leave out what WebAssembly alone cannot do, floating-point errors above all; the guest can.
    testing = builtins.__import__("numpy.testing").testing
    testing.IS_WASM = testing._private.utils.IS_WASM = False
builtins.exec(builtins.compile(job["driver"], "driver.py", "exec"), space)
space["run"](job, log.debug)
conftest = sys.modules.get("tests.conftest")
if builtins.hasattr(conftest, "run_later"):
    await conftest.run_later(space["Reporter"](log.debug, job["done"]), space["message_of"])
return [{"ended": True}]
"""
_LIMITS = wasmexec.Limits(
    wall_seconds=SHARD_SECONDS,
    cpu_seconds=SHARD_SECONDS,
    memory_bytes=2 << 30,
    log_bytes=1 << 30,
    log_records=10_000_000,
)


@dataclass
class Progress:
    """What the lines of the driver say so far; `on_test` is told after each test."""

    on_test: Callable[[], None]
    result: ShardResult = field(default_factory=ShardResult)
    running: str | None = None
    last_line: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """A new process or instance is about to start."""
        self.running, self.last_line = None, time.monotonic()

    def line(self, text: str) -> None:
        self.last_line = time.monotonic()
        try:
            what, name, *rest = json.loads(text)
        except ValueError:
            return
        if what == "start":
            self.running = name
        elif what == "end":
            self.running = None
            self.result.tests.append(Outcome(name, *rest))
            self.on_test()
        elif what == "collected":
            known = {item.name for item in self.result.collected}
            if name not in known:
                self.result.collected.append(Outcome(name, *rest))

    def is_stuck(self) -> bool:
        return time.monotonic() - self.last_line > TEST_SECONDS


async def run_shard(
    shard: Shard, source: Path, tools: str, side: "Guest | Native", on_test: Callable[[], None]
) -> ShardResult:
    """Run every test of a shard: where a process dies, a new one goes on behind the test that killed it."""
    with serving() if shard.suite.server else contextlib.nullcontext() as server:
        return await _run_shard(shard, source, tools, side, on_test, server)


async def _run_shard(
    shard: Shard, source: Path, tools: str, side: "Guest | Native", on_test: Callable[[], None], server: str | None
) -> ShardResult:
    begun = time.monotonic()
    job = make_job(shard, source, tools, root=ROOT_IN_GUEST)
    if server is not None:
        job["environment"] = {**job["environment"], SERVER: server}
    progress = Progress(on_test)
    for _ in range(MOST_DEATHS):
        progress.begin()
        job["done"] = [test.name for test in progress.result.tests]
        death = await side.run_once(job, progress)
        if death is None:
            break
        if progress.running is not None:
            progress.result.tests.append(Outcome(progress.running, *death))
        elif len(progress.result.tests) == len(job["done"]):
            # No test ran that could be left out next time: the rest of the shard is lost.
            progress.result.collected.append(Outcome(shard.name, *death))
            break
    else:
        progress.result.collected.append(Outcome(shard.name, "error", f"killed {MOST_DEATHS} processes"))
    await _run_alone(job, progress, side)
    progress.result.seconds = round(time.monotonic() - begun, 1)
    return progress.result


async def _run_alone(job: dict[str, Any], progress: Progress, side: "Guest | Native") -> None:
    """Run again, each in a process of its own as a user's statement is, what had no memory left behind other tests."""
    tests = progress.result.tests
    names = [test.name for test in tests]
    for index, test in enumerate(tests[:]):
        if not test.message.startswith("MemoryError"):
            continue
        progress.begin()
        job["done"] = [name for name in names if name != test.name]
        death = await side.run_once(job, progress)
        if death is None and len(tests) > len(names):
            tests[index] = tests.pop()
        del tests[len(names) :]


@dataclass(frozen=True)
class Guest:
    """Runs jobs in fresh instances of an image."""

    executor: wasmexec.Executor

    async def run_once(self, job: dict[str, Any], progress: Progress) -> tuple[str, str] | None:
        driver = DRIVER.read_text("utf-8")
        server = job["environment"].get(SERVER)
        reachable = [] if server is None else [wasmexec.HttpGrant.parse(urlsplit(server).netloc, allow_private=True)]
        task = asyncio.ensure_future(
            self.executor.run_async(
                _STATEMENT,
                input_data=encode({**job, "driver": driver}),
                limits=_LIMITS,
                grants=wasmexec.Grants(http=reachable),
                on_log=lambda record: progress.line(record.message) if record.level == "debug" else None,
            )
        )
        while not task.done():
            await asyncio.wait([task], timeout=1.0)
            if progress.is_stuck():
                task.cancel()
                await asyncio.wait([task])
                return "timeout", f"no sign of life for {TEST_SECONDS:.0f} seconds"
        result = task.result()
        if result.status.succeeded:
            return None
        return "crashed", f"status {int(result.status)}: {result.error}"


@dataclass(frozen=True)
class Native:
    """Runs jobs in processes of native CPython."""

    async def run_once(self, job: dict[str, Any], progress: Progress) -> tuple[str, str] | None:
        scratch = Path(tempfile.mkdtemp(prefix="conformance-"))
        try:
            return await self._run(job, progress, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    async def _run(self, job: dict[str, Any], progress: Progress, scratch: Path) -> tuple[str, str] | None:
        errors = scratch / "stderr"
        with errors.open("wb") as sink:
            process = await asyncio.create_subprocess_exec(
                reference.python(), "-s", DRIVER, cwd=scratch, env=reference.environment(scratch), limit=1 << 24,
                start_new_session=True,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=sink,
            )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({**job, "root": str(scratch / "root")}).encode())
            process.stdin.close()
            while True:
                try:
                    line = await asyncio.wait_for(process.stdout.readline(), TEST_SECONDS)
                except TimeoutError:
                    return "timeout", f"no sign of life for {TEST_SECONDS:.0f} seconds"
                if not line:
                    break
                progress.line(line.decode("utf-8", "replace"))
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if code == 0:
            return None
        return "crashed", f"exit status {code}: {errors.read_text('utf-8', 'replace')[-300:]}"
