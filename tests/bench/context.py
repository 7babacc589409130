"""What every measurement needs: the executor, the native worker, how many samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.bench.measure import NativeWorker, Samples, in_turns

import wasmexec


@dataclass(frozen=True, slots=True)
class Context:
    """What every case needs; `quick` takes fewer samples."""

    executor: wasmexec.Executor
    native: NativeWorker
    quick: bool

    def rounds(self, full: int) -> int:
        """How often to take turns."""
        return max(2, full // 4) if self.quick else full

    def run(self, statement: str, **options: Any) -> wasmexec.Result:
        """Run a statement that must succeed."""
        result = self.executor.run(statement, **options)
        if not result.status.succeeded:
            raise SystemExit(f"the bench's own statement failed: {result.error}\n{statement}")
        return result


def kernel(context: Context, source: str) -> Samples:
    """Time `work()` of a source, three times after a first one, in a fresh instance and in the native worker."""
    statement = (
        f"{source}\nimport time\nwork()\nseconds = []\nfor _ in range(3):\n    started = time.perf_counter()\n"
        '    work()\n    seconds.append(time.perf_counter() - started)\nreturn [{"seconds": seconds}]\n'
    )
    return in_turns(
        context.rounds(8),
        lambda: context.run(statement).rows[0]["seconds"],
        lambda: context.native.time(source, "work()", 3),
    )
