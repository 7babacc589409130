"""The measurements; each takes the bench's context and yields lines."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

from tests import reference
from tests.bench import kernels
from tests.bench.context import Context, kernel
from tests.bench.measure import (
    ROOT,
    Line,
    geometric_mean,
    in_turns,
    line,
    percentile,
    timed,
)

import wasmexec

TRIVIAL = 'import pandas\nreturn [{"answer": 42}]\n'
TRIVIAL_SCHEMA = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}
CALL_MICROSECONDS = 60


def fresh_trivial(context: Context) -> Iterator[Line]:
    """A fresh instance, pandas imported, against the subprocess that buys the same isolation."""
    command, environment = [str(reference.python()), "-I", "-c", "import pandas"], reference.environment()
    samples = in_turns(
        context.rounds(8),
        lambda: timed(lambda: context.run(TRIVIAL, output_schema=TRIVIAL_SCHEMA), 250),
        lambda: timed(lambda: subprocess.run(command, check=True, env=environment), 2),
    )
    middle, slow, subprocess_seconds = median(samples.guest), percentile(samples.guest, 99), median(samples.native)
    yield Line(
        name="fresh trivial run, pandas imported, output schema",
        guest=middle * 1e3,
        guest_p99=slow * 1e3,
        native=subprocess_seconds * 1e3,
        target="<= 1/400",
        met=middle * 400 <= subprocess_seconds,
        samples=len(samples.guest),
        comment=f'1/{subprocess_seconds / middle:.0f} of the subprocess `python -I -c "import pandas"`',
    )
    yield Line(
        name="  its p99 over its median",
        unit="x",
        guest=slow / middle,
        target="<= 3x",
        met=slow <= 3 * middle,
        samples=len(samples.guest),
    )


def fresh_groupby(context: Context) -> Iterator[Line]:
    """A first groupby in a fresh instance against one in a warm native process."""
    statement = kernels.GROUPBY + "\nreturn work()\n"
    samples = in_turns(
        context.rounds(10),
        lambda: timed(lambda: context.run(statement), 20),
        lambda: context.native.time(kernels.GROUPBY, "work()", 20),
    )
    yield line("fresh 10k-row groupby and to_dict", samples, limit=5, comment="native: warm, in-process")


def many_rows(context: Context) -> Iterator[Line]:
    """100,000 rows in and out with validation."""
    rows = kernels.input_rows(kernels.ROWS)
    statement = kernels.TOTALS + "\nreturn work(INPUT_DATA)\n"
    source = kernels.native_totals()
    limits = wasmexec.Limits(cpu_seconds=60)
    columns = [
        {"name": "id", "type": "integer"}, {"name": "name", "type": "text"}, {"name": "price", "type": "double"},
        {"name": "units", "type": "integer"}, {"name": "ok", "type": "boolean"}, {"name": "day", "type": "datetime"},
        {"name": "note", "type": "text", "allow_null": True}, {"name": "total", "type": "double"},
    ]  # fmt: skip
    for title, schema in (("JSON Schema", kernels.TOTALS_SCHEMA), ("column list", columns)):
        run = partial(context.run, statement, input_data=rows, output_schema=schema, limits=limits)
        samples = in_turns(context.rounds(4), partial(timed, run), lambda: context.native.time(source, "all_of_it()"))
        yield line(f"100k rows in and out, {title}", samples, comment="native: json both ways, the work, jsonschema_rs")


def python_kernels(context: Context) -> Iterator[Line]:
    """Pure Python, every limit on, timed inside the guest, both sides warm; the last line is the geometric mean."""
    ratios = []
    for name, source in kernels.PURE_PYTHON.items():
        samples = kernel(context, source)
        ratios.append(median(samples.guest) / median(samples.native))
        yield line(f"kernel: {name}", samples)
    mean = geometric_mean(ratios)
    yield Line(
        name="pure-Python kernels, geometric mean", unit="x", guest=mean, target="<= 2.2x", met=mean <= 2.2,
        samples=len(ratios),
    )  # fmt: skip


def numpy_kernels(context: Context) -> Iterator[Line]:
    """Compiled code of numpy in the guest, timed inside."""
    for name, source in kernels.NUMPY.items():
        yield line(f"kernel: {name}", kernel(context, source))


def rebuild(context: Context) -> Iterator[Line]:
    """Asking for an image that is there already, which `make` does before every test and bench."""
    command = [sys.executable, "-m", "wasmexec", "image", "build", context.executor.image.name]
    start = partial(subprocess.run, command, check=True, capture_output=True)
    seconds = timed(start, context.rounds(12))
    yield Line(
        name="image build, nothing changed", unit="s", guest=median(seconds), guest_p99=max(seconds),
        target="<= 2 s", met=median(seconds) <= 2, samples=len(seconds),
    )  # fmt: skip


def process_start(context: Context) -> Iterator[Line]:
    """From nothing to rows on standard output, against the imports that such a tool has at least."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trivial.py"
        file.write_text(TRIVIAL, encoding="utf-8")
        command = [sys.executable, "-m", "wasmexec", "run", str(file), "--image", str(context.executor.image.manifest)]
        script = (
            "import wasmexec\nwith wasmexec.Executor() as e: assert e.run('import pandas\\nreturn []').status == 201"
        )
        native = [reference.python(), "-c", "import httpx, jsonschema, wasmtime"]
        for name, argv in (("python -m wasmexec run", command), ("Executor().run", [sys.executable, "-c", script])):
            start = partial(subprocess.run, argv, check=True, capture_output=True)
            samples = in_turns(
                context.rounds(10),
                partial(timed, start, 2),
                partial(timed, partial(subprocess.run, native, check=True, env=reference.environment()), 2),
            )
            guest, imports = median(samples.guest), median(samples.native)
            yield Line(
                name=f"process start to first result, {name}",
                guest=guest * 1e3,
                guest_p99=percentile(samples.guest, 99) * 1e3,
                native=imports * 1e3,
                target="<= 1.5x + 100 ms",
                met=guest <= 1.5 * imports + 0.1,
                samples=len(samples.guest),
                comment='native: python -c "import httpx, jsonschema, wasmtime"',
            )


def host_calls(context: Context) -> Iterator[Line]:
    """One call from the guest to the host and back, timed inside over a thousand of them."""
    # The gate binds the statement's own imports; the bench goes round it to time the bare call.
    calls = {
        "log.info": "def call():\n    log.info('x')\n",
        "request and reply frame": (
            "import random\nhost = random._os.sys.modules['_wasmexec'].call\n"
            'def call():\n    host(b\'{"op":"bench.none"}\')\n'
        ),
    }
    limits = wasmexec.Limits(log_records=100_000, log_bytes=16 * 1024 * 1024)
    for name, source in calls.items():
        statement = (
            f"import time\n{source}for _ in range(100):\n    call()\nstarted = time.perf_counter()\n"
            "for _ in range(1000):\n    call()\nreturn [{'seconds': (time.perf_counter() - started) / 1000}]\n"
        )
        run = partial(context.run, statement, limits=limits)
        samples = in_turns(context.rounds(20), partial(_seconds_inside, run))
        middle = median(samples.guest) * 1e6
        yield Line(
            name=f"guest to host call: {name}",
            unit="us",
            guest=middle,
            guest_p99=percentile(samples.guest, 99) * 1e6,
            target=f"<= {CALL_MICROSECONDS} us",
            met=middle <= CALL_MICROSECONDS,
            samples=len(samples.guest) * 1000,
        )


def _seconds_inside(run: Callable[[], wasmexec.Result]) -> list[float]:
    return [run().rows[0]["seconds"]]


def memory(context: Context) -> Iterator[Line]:
    """Private memory of live instances, measured in a process of its own."""
    count = 20 if context.quick else 100
    for name, source in (("idle", ""), ("after a 10k-row groupby", kernels.GROUPBY + "\nwork()\n")):
        found = _asleep(context, count, source)
        yield Line(
            name=f"private memory per live instance, {name}",
            unit="MB",
            guest=found["private_bytes_per_instance"] / 1e6,
            samples=count,
        )


def thousand_asleep(context: Context) -> Iterator[Line]:
    """Many statements in `await sleep(...)` at the same time in one process."""
    count = 200 if context.quick else 1000
    found = _asleep(context, count, "")
    finished = found["finished"] == count
    yield Line(
        name=f"{count:,} statements asleep: threads", unit="", guest=found["threads"], target="<= 16",
        met=found["threads"] <= 16 and finished, samples=count,
        comment=f"{found['finished']:,} finished, all started after {found['start_seconds']:.2f} s",
    )  # fmt: skip
    yield Line(
        name=f"{count:,} statements asleep: memory of the process", unit="MB", guest=found["memory_bytes"] / 1e6,
        target=f"<= {3 * count} MB", met=found["memory_bytes"] <= 3e6 * count and finished, samples=count,
        comment=f"shared pages counted once (Pss); {found['private_bytes'] / 1e6:,.0f} MB of it private",
    )  # fmt: skip


def _asleep(context: Context, count: int, source: str) -> dict[str, float]:
    argv = [sys.executable, "-m", "tests.bench.asleep", str(count), str(context.executor.image.manifest)]
    process = subprocess.run(argv, input=source, capture_output=True, text=True, check=False, cwd=ROOT)
    if process.returncode:
        raise SystemExit(f"the sleeping statements failed:\n{process.stderr}")
    found: dict[str, float] = json.loads(process.stdout)
    return found


ALL = {
    "trivial": fresh_trivial, "groupby": fresh_groupby, "rows": many_rows, "kernels": python_kernels,
    "numpy": numpy_kernels, "start": process_start, "rebuild": rebuild, "calls": host_calls, "memory": memory,
    "asleep": thousand_asleep,
}  # fmt: skip
