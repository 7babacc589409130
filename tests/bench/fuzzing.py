"""`python -m tests.bench.fuzzing`: bugs found in steps, false alarms, shrinking, guidance, kills and the rate."""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz_steps import PLANTED, Planted

import wasmexec
from wasmexec.fuzzing import Finding, Target, TargetOptions
from wasmexec.fuzzing.campaign import Bounds, Campaign, Summary
from wasmexec.fuzzing.store import FuzzStore
from wasmexec.step import Step

_TRIVIAL = """\
statement: |
  return [{"a": INPUT_DATA[0]["x"] + 1}]
inputs: [{name: rows, schema: [{name: x, type: integer}]}]
output_schema: [{name: a, type: integer}]
"""
_PLAINEST = (None, "", "a", "0", 0, 1, -1)


class Attempt:
    """One campaign over a step, ended at its first finding of the kind, if it wants one."""

    def __init__(self, planted: Planted, folder: Path, executor: wasmexec.Executor, *, is_wrong: bool) -> None:
        self.planted = planted
        self.step = planted.write(folder, is_wrong=is_wrong)
        self.store = FuzzStore(folder / f"{planted.name}-{is_wrong}")
        self.executor = executor
        self.seconds: float | None = None

    def run(
        self, seconds: float, seed: int, *, use_probes: bool = True, stop_at: str | None = None, runs: int | None = None
    ) -> Summary:
        """Search for so long, or for so many runs."""
        started = time.monotonic()

        def on_finding(finding: Finding) -> None:
            if stop_at == finding.verdict.kind and self.seconds is None:
                self.seconds = time.monotonic() - started
                raise KeyboardInterrupt

        options = TargetOptions(property_statement=self.planted.property, use_probes=use_probes)
        with Target(self.step, executor=self.executor, options=options) as target:
            return Campaign(target, self.store, Bounds(seconds=seconds, seed=seed, runs=runs), on_finding).run()

    def shrink(self) -> list[tuple[Finding, float]]:
        """Each finding made small, with the seconds that it took."""
        from wasmexec.fuzzing.shrink import Shrinker

        made = []
        options = TargetOptions(property_statement=self.planted.property)
        with Target(self.step, executor=self.executor, options=options) as target:
            for finding in self.store.findings():
                if finding.verdict.kind == self.planted.kind:
                    started = time.monotonic()
                    made.append((Shrinker(target, finding).run(), time.monotonic() - started))
        return made


def is_small(finding: Finding) -> bool:
    """At most two rows and three values that are not the plainest."""
    rows = [row for given in finding.input.inputs for row in given or ()]
    scalars = [value for row in rows for value in row.values() if not isinstance(value, (dict, list))]
    return len(rows) <= 2 and sum(value not in _PLAINEST for value in scalars) <= 3


def planted(folder: Path, executor: wasmexec.Executor, seconds: float, seed: int) -> None:
    """Number 11, its first half, and 13: the bugs."""
    found, small, total = 0, 0, 0
    for item in PLANTED:
        attempt = Attempt(item, folder, executor, is_wrong=True)
        attempt.run(seconds, seed, stop_at=item.kind)
        found += attempt.seconds is not None
        shown = "not found" if attempt.seconds is None else f"{attempt.seconds:.2f} s"
        for finding, took in attempt.shrink():
            total += 1
            small += is_small(finding)
            text = json.dumps(finding.input.as_dict()["inputs"], ensure_ascii=True)
            shown += f" · small in {took:.1f} s, {finding.shrink_runs} runs: {text[:100]}"
        print(f"{item.name:18} {item.kind:17} {shown}", flush=True)
    print(f"bugs found: {found} of {len(PLANTED)}, each within {seconds:g} s; small: {small} of {total}")


def right(folder: Path, executor: wasmexec.Executor, seconds: float, seed: int) -> None:
    """Number 11, its second half: false alarms."""
    alarms = 0
    for item in PLANTED:
        summary = Attempt(item, folder, executor, is_wrong=False).run(seconds, seed)
        alarms += bool(summary.findings)
        for finding in summary.findings:
            print(item.name, finding.verdict, json.dumps(finding.input.as_dict())[:200])
    print(f"steps with false alarms: {alarms} of {len(PLANTED)}, {seconds:g} s each")


def rate(folder: Path, executor: wasmexec.Executor) -> None:
    """Number 10: fresh instances a second, with coverage, two jobs."""
    path = folder / "trivial.step.yaml"
    path.write_text(_TRIVIAL, "utf-8")
    rates = []
    for seed in range(3):
        with Target(Step.load(path), executor=executor) as target:
            summary = Campaign(target, FuzzStore(folder / f"rate{seed}"), Bounds(seconds=5, seed=seed), print).run()
        rates.append(summary.runs / summary.seconds)
    print(f"rate on a trivial step, two jobs: {statistics.median(rates):,.0f}/s")


def guidance(folder: Path, executor: wasmexec.Executor, seconds: float) -> None:
    """Number 12: three nested conditions, with and without coverage; only the search differs."""
    [item] = [item for item in PLANTED if item.name == "three_conditions"]
    for use_probes in (True, False):
        times = []
        for seed in range(7):
            attempt = Attempt(item, folder, executor, is_wrong=True)
            attempt.store = FuzzStore(folder / f"guidance-{use_probes}-{seed}")
            attempt.run(seconds, seed, use_probes=use_probes, stop_at=item.kind)
            times.append(attempt.seconds if attempt.seconds is not None else seconds)
        print(f"three conditions, coverage {use_probes}: median {statistics.median(times):.2f} s", sorted(times))


def kills(folder: Path, count: int) -> None:
    """Number 14: the fuzzer is killed at any moment, and what it kept can be read."""
    item = next(item for item in PLANTED if item.name == "split")
    item.write(folder, is_wrong=True)
    readable = kept = 0
    for number in range(count):
        store = FuzzStore(folder / f"killed-{number % 20}")
        kill_when_it_writes(folder / "split-wrong.step.yaml", store, 0.05 * (number % 7))
        kept += len(store.findings()) + len(store.corpus()) + bool(store.state())
        readable += not store.notes
    print(f"killed while it wrote: {count} times, readable {readable}; {kept} files were read", flush=True)


def written(store: FuzzStore) -> set[tuple[str, int]]:
    """The files of a folder, and when each was written."""
    return {(str(path), path.stat().st_mtime_ns) for path in store.folder.rglob("*.json")}


def kill_when_it_writes(step: Path, store: FuzzStore, delay: float) -> None:
    """Start the fuzzer, and kill it so many seconds after it has written for the first time."""
    command = [sys.executable, "-m", "wasmexec", "fuzz", str(step), "--corpus", str(store.folder)]
    before = written(store)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 30
        while written(store) == before and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)


def main() -> None:
    """Everything, or what is named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", default=["planted", "right", "rate", "guidance", "kills"])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, wasmexec.Executor(workers=2) as executor:
        folder = Path(name)
        for what in given.what:
            match what:
                case "planted":
                    planted(folder, executor, given.seconds, given.seed)
                case "right":
                    right(folder, executor, given.seconds, given.seed)
                case "rate":
                    rate(folder, executor)
                case "guidance":
                    guidance(folder, executor, given.seconds)
                case "kills":
                    kills(folder, 100)


if __name__ == "__main__":
    main()
