"""`python -m tests.bench.asleep COUNT IMAGE`: many statements asleep at once; prints what they took as JSON.

The statement's beginning is read from standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from pathlib import Path

import wasmexec

MARK = "asleep now"


def memory_bytes() -> tuple[int, int]:
    """Private bytes of this process, and all its bytes with pages that instances share counted once (Pss).

    The resident size counts a page of the image once for every instance that has looked at it.
    """
    fields: dict[str, int] = {}
    for text in Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, number, *_ = text.split()
        fields[name.rstrip(":")] = int(number) * 1024
    return fields["Private_Clean"] + fields["Private_Dirty"], fields["Pss"]


async def measure(count: int, image: str, source: str) -> dict[str, float]:
    """Start the statements, wait until each has said that it sleeps, look, and let them finish."""
    all_asleep = threading.Event()
    asleep: list[object] = []

    def on_log(record: wasmexec.LogRecord) -> None:
        if record.message == MARK:
            asleep.append(record)
            if len(asleep) == count:
                all_asleep.set()

    with wasmexec.Executor(image) as executor:
        await executor.run_async(f"{source}\nreturn []")
        before, _ = memory_bytes()
        started = time.perf_counter()
        seconds = 5 + count / 40
        statement = f"{source}\nlog.info({MARK!r})\nawait sleep({seconds})\nreturn [{{'ok': True}}]"
        limits = wasmexec.Limits(wall_seconds=600)
        tasks = [asyncio.create_task(executor.run_async(statement, limits=limits, on_log=on_log)) for _ in range(count)]
        if not await asyncio.to_thread(all_asleep.wait, 300):
            raise SystemExit(f"only {len(asleep)} of {count} statements were asleep at once")
        start_seconds = time.perf_counter() - started
        if any(task.done() for task in tasks):
            raise SystemExit("statements finished before all were asleep; they must sleep longer")
        private, everything = memory_bytes()
        # This coroutine's helper thread is not the executor's.
        threads = threading.active_count() - sum(t.name.startswith("asyncio_") for t in threading.enumerate())
        results = await asyncio.gather(*tasks)
    return {
        "threads": threads,
        "private_bytes": private,
        "memory_bytes": everything,
        "private_bytes_per_instance": (private - before) / count,
        "start_seconds": start_seconds,
        "finished": sum(result.status == 200 for result in results),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(int(sys.argv[1]), sys.argv[2], sys.stdin.read()))))
