"""`python -m tests.bench.fuzzing`: bugs found, false alarms, shrinking, guidance, kills, probes, the rate."""

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

from tests.fuzz_steps import NESTED, PLANTED, Planted, columns

import wasmexec
from wasmexec.fuzzing import Finding, Target, TargetOptions
from wasmexec.fuzzing.campaign import Bounds, Campaign, Summary
from wasmexec.fuzzing.draw import RandomDraw
from wasmexec.fuzzing.store import FuzzStore
from wasmexec.step import Step

_TRIVIAL = """\
statement: |
  x = INPUT_DATA[0]["x"]
  if x < 0:
      return [{"a": -x}]
  return [{"a": x + 1}]
inputs: [{name: rows, schema: [{name: x, type: integer}]}]
output_schema: [{name: a, type: integer}]
"""
_BRANCHES = Planted(
    "branches", "raised", columns(n="integer"), columns(n="integer"),
    "total = 0\nfor n in range(20_000):\n    if n > total:\n        total += 1\nreturn [{'n': total}]", "return []",
)  # fmt: skip
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


def rate(folder: Path) -> None:
    """Number 10: fresh instances a second, with coverage, two jobs."""
    path = folder / "trivial.step.yaml"
    path.write_text(_TRIVIAL, "utf-8")
    rates = []
    for seed in range(3):
        # As the command does it: a worker in each process.
        with wasmexec.Executor(workers=1) as executor, Target(Step.load(path), executor=executor) as target:
            bounds = Bounds(seconds=10, seed=seed, jobs=2)
            summary = Campaign(target, FuzzStore(folder / f"rate{seed}"), bounds, print).run()
        assert summary.branches == (2, 2)
        rates.append(summary.runs / summary.seconds)
    shown = ", ".join(f"{item:,.0f}" for item in rates)
    print(f"rate on a trivial step, two jobs, with coverage: {statistics.median(rates):,.0f}/s ({shown})")


def probes(folder: Path, executor: wasmexec.Executor) -> None:
    """Number 9: processor time of the same inputs with probes and without, in turn."""
    costs = [_probe_cost(item, folder, executor) for item in (*PLANTED, *NESTED[1:])]
    twenty = statistics.median(cost or 0.0 for cost in costs[: len(PLANTED)])
    branching = [cost for cost in costs if cost is not None]
    worst = _probe_cost(_BRANCHES, folder, executor)
    # Without a branch it is the same text.
    print(f"probes, {len(PLANTED)} steps: median {twenty:+.1%}")
    print(f"probes, {len(branching)} steps with branches: median {statistics.median(branching):+.1%}, ", end="")
    print(f"most {max(branching):+.1%}; a loop of nothing but a branch: {worst:+.1%}", flush=True)


def _probe_cost(item: Planted, folder: Path, executor: wasmexec.Executor) -> float | None:
    with Target(item.write(folder, is_wrong=True), executor=executor) as target:
        if target.probed is None:
            return None
        inputs = [given for number in range(60) if target.fits(given := target.draw_input(RandomDraw(number)))]
        spent = {False: 0.0, True: 0.0}
        for given in [*inputs[:2], *inputs] * 3:
            for with_probes in (False, True):
                result = target.prepared(given, with_probes=with_probes).run(**target.arguments(given))
                spent[with_probes] += result.usage.cpu_seconds
        cost = spent[True] / spent[False] - 1
        print(f"{item.name:18} {len(target.probed.lines)} probes  {cost:+.1%}", flush=True)
        return cost


def guidance(folder: Path, executor: wasmexec.Executor, seconds: float) -> None:
    """Number 12: three nested conditions, with and without coverage in turn; only the search differs."""
    ratios = []
    for item in NESTED:
        times: dict[bool, list[float]] = {True: [], False: []}
        for seed in range(3):
            for use_probes in (True, False):
                attempt = Attempt(item, folder, executor, is_wrong=True)
                attempt.store = FuzzStore(folder / f"guidance-{item.name}-{use_probes}-{seed}")
                attempt.run(seconds, seed, use_probes=use_probes, stop_at=item.kind)
                times[use_probes].append(seconds if attempt.seconds is None else attempt.seconds)
        guided, blind = (statistics.median(times[use_probes]) for use_probes in (True, False))
        ratios.append(blind / guided)
        more = " at least" if blind >= seconds else ""
        print(
            f"{item.name:18} {guided:.2f} s, without coverage {blind:.2f} s:{more} {blind / guided:.1f} x", flush=True
        )
    print(f"three conditions, {len(ratios)} steps: found {statistics.median(ratios):.1f} x sooner (median)")


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
    parser.add_argument("what", nargs="*", default=["planted", "right", "rate", "probes", "guidance", "kills"])
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
                    rate(folder)
                case "probes":
                    probes(folder, executor)
                case "guidance":
                    guidance(folder, executor, given.seconds)
                case "kills":
                    kills(folder, 100)


if __name__ == "__main__":
    main()
