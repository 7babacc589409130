"""The command line of the fuzzer: `make fuzz`, `make fuzz-long`, and single targets.

Exit codes: 0 nothing found, 1 findings, 3 stopped by hand.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.fuzz.child import Unnoticed, run_once
from tests.fuzz.driver import Finding, Outcome, Session, kinds_of, shares
from tests.fuzz.targets import ALL, TARGETS


class State:
    """Executions and findings of all sessions, in a file that is never half written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        self.counts: Counter[str] = Counter(content.get("executions", {}))
        self.findings: int = content.get("findings", 0)
        self.seed: int = content.get("seed", 0)

    def add(self, name: str, outcome: Outcome) -> None:
        """Count what a target has come to, and keep it."""
        self.counts[name] += outcome.count
        self.findings += len(outcome.findings)
        self.seed += outcome.count + 1
        self.save()

    def save(self) -> None:
        """Keep it."""
        text = json.dumps({
            "executions": dict(self.counts), "findings": self.findings, "seed": self.seed,
            "date": datetime.now(UTC).date().isoformat(),
        }, indent=1)  # fmt: skip
        draft = self._path.with_suffix(".draft")
        draft.write_text(text + "\n")
        os.replace(draft, self._path)


def show(finding: Finding) -> None:
    """A finding for people, with the command that replays it."""
    print(f"\nFOUND {finding.target}: {finding.kind}\n{finding.text.rstrip()}")
    print(f"replay: python -m tests.fuzz {finding.target} --replay {finding.file}\n", flush=True)


def replay(name: str, file: Path) -> int:
    """Run one input in this process."""
    found = run_once(TARGETS[name].load(name), file.read_bytes(), Unnoticed())
    print("nothing" if found is None else found.text)
    return 0 if found is None else 1


def fuzz(names: list[str], seconds: float, session: Session, state: State, jobs: int) -> int:
    """Every target once, for its share of the time that so many have together; the number of findings."""
    found = 0

    def one(name: str, share: float) -> tuple[str, Outcome]:
        return name, session.run(name, min(1.0, share * jobs) * seconds, state.seed)

    with ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(one, name, share) for name, share in shares(names).items()]
        try:
            for future in as_completed(running):
                name, outcome = future.result()
                state.add(name, outcome)
                found += len(outcome.findings)
                rate = f"{outcome.count / outcome.cpu_seconds:,.0f}" if outcome.cpu_seconds else "?"
                print(
                    f"{name:16} {outcome.count:>10,} executions, {rate:>8} per CPU second, "
                    f"{len(outcome.findings)} findings",
                    flush=True,
                )
                for finding in outcome.findings:
                    show(finding)
                if session.stop and found:
                    break
        finally:
            if not all(future.done() for future in running):
                pool.shutdown(wait=False, cancel_futures=True)
                session.end()
    return found


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and fuzz."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz wasmexec itself.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all if there is none")
    parser.add_argument("--seconds", type=float, default=100, help="for all of them together")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="targets at the same time")
    parser.add_argument("--executions", type=int, help="rounds of --seconds until so many have been counted in all")
    parser.add_argument("--folder", type=Path, default=Path(".fuzz"), help="where counts and findings are kept")
    parser.add_argument("--replay", type=Path, help="one input of one target")
    parser.add_argument("--stop", action="store_true", help="at the first finding")
    options = parser.parse_args(arguments)
    names = options.targets or list(TARGETS)
    if unknown := set(names) - set(ALL):
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    if options.replay:
        return replay(names[0], options.replay)
    session = Session(options.folder, stop=options.stop)
    state = State(options.folder / "state.json")
    before = Counter(state.counts)
    found = 0
    code = 0
    try:
        while True:
            found += fuzz(names, options.seconds, session, state, options.jobs)
            is_enough = options.executions is None or state.counts.total() >= options.executions
            if is_enough or (options.stop and found):
                break
    except KeyboardInterrupt:
        code = 3
    state.save()
    print(f"this time: {kinds_of(state.counts - before)}; {found} findings")
    print(f"in all: {state.counts.total():,} executions ({kinds_of(state.counts)}), {datetime.now(UTC):%Y-%m-%d}")
    return code or int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
