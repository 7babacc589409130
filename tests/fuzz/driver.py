"""`python -m tests.fuzz`: every target for its share of the time, each in a child process that may hang or die."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.child import read_box
from tests.fuzz.seeds import corpus_of
from tests.fuzz.targets import ALL

HERE = Path(__file__).parent
HANG_SECONDS = 20.0
"""For one input; the longest that one may take by itself is some two seconds."""
START_SECONDS = 60.0
"""Until the first input, on a machine that has other things to do."""
_POLL_SECONDS = 0.2
KIND_SHARES = {"host": 0.26, "puppet": 0.32, "real": 0.42, "native": 1.0}
"""How much of the time the targets of each kind get together: an execution of a guest takes longer."""


@dataclasses.dataclass
class Finding:
    """One fault of a target: `kind` is "raised", "died" or "hung"; `file` has the input."""

    target: str
    kind: str
    file: Path
    text: str


@dataclasses.dataclass
class Outcome:
    """What a target has come to; `cpu_seconds` of children that lived to their end."""

    count: int = 0
    cpu_seconds: float = 0.0
    findings: list[Finding] = dataclasses.field(default_factory=list)


class Session:
    """Runs targets, several at a time if they are run by several threads.

    `folder` keeps the inputs that run and those that break something; `stop`: a target ends at its first finding.
    """

    def __init__(self, folder: Path, *, hang_seconds: float = HANG_SECONDS, stop: bool = False) -> None:
        self.folder = folder
        self.stop = stop
        self._hang_seconds = hang_seconds
        self._has_ended = False
        self._children: set[subprocess.Popen[str]] = set()
        folder.mkdir(parents=True, exist_ok=True)

    def run(self, name: str, seconds: float, seed: int, corpus: Path | None = None) -> Outcome:
        """Fuzz a target for so long, in as many children as it takes."""
        outcome = Outcome()
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 or not outcome.count:
            died = self._run_child(
                name, left, seed + outcome.count, corpus_of(name) if corpus is None else corpus, outcome
            )
            if not died or self.stop or self._has_ended or not outcome.count:
                break
            # What kills a child is in the corpus, perhaps: one that goes on would die of it at once.
            corpus = self.folder / "none.txt"
        return outcome

    def _run_child(self, name: str, seconds: float, seed: int, corpus: Path, outcome: Outcome) -> bool:
        """Whether the child did not live to its end."""
        box, findings = self.folder / f"{name}.input", self.folder / "findings" / name
        box.unlink(missing_ok=True)
        command = [
            sys.executable, "-m", "tests.fuzz.child", name, "--seconds", str(max(0.0, seconds)), "--seed", str(seed),
            "--box", str(box), "--findings", str(findings), "--corpus", str(corpus),
        ]  # fmt: skip
        if self.stop:
            command.append("--stop")
        errors = self.folder / f"{name}.errors"
        with errors.open("wb") as stream:
            # In a session of its own: who interrupts this process by hand does not interrupt an input that runs.
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stream, text=True, start_new_session=True)
            self._children.add(child)
            try:
                has_hung = self._watch(child, box)
            finally:
                child.kill()
                told = child.communicate()[0]
                self._children.discard(child)
        count, data = read_box(box) if box.exists() else (0, b"")
        outcome.count += count
        for line in told.splitlines(keepends=True):
            if not line.endswith("\n"):
                continue  # cut by its end
            fields = json.loads(line)
            if "finding" in fields:
                outcome.findings.append(Finding(name, "raised", Path(fields["file"]), fields["text"]))
            else:
                outcome.cpu_seconds += fields["cpu_seconds"]
        if self._has_ended or (child.returncode == 0 and not has_hung):
            return False
        kind = "hung" if has_hung else "died"
        text = errors.read_text(errors="replace")
        text = text if len(text) < 4000 else f"{text[:2500]}\n ...\n{text[-1000:]}"
        if not has_hung and child.returncode < 0:
            text = f"{signal.Signals(-child.returncode).name}\n{text}"
        findings.mkdir(parents=True, exist_ok=True)
        file = findings / f"{kind}-{seed}.bin"
        file.write_bytes(data)
        outcome.findings.append(Finding(name, kind, file, text))
        return True

    def _watch(self, child: subprocess.Popen[str], box: Path) -> bool:
        """Wait for the end of the child; whether it hangs instead."""
        last, since = 0, time.monotonic()
        while not self._has_ended:
            looked = time.monotonic()
            try:
                child.wait(_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                pass
            else:
                return False
            count = read_box(box)[0] if box.exists() else 0
            has_slept = time.monotonic() - looked > 10 * _POLL_SECONDS
            if count != last or has_slept:
                # A machine that was suspended has suspended the child, too.
                last, since = count, time.monotonic()
            elif time.monotonic() - since > (self._hang_seconds if count else START_SECONDS):
                return True
        return False

    def end(self) -> None:
        """End all children; what they were doing is no finding."""
        self._has_ended = True
        for child in tuple(self._children):
            child.kill()


def shares(names: Sequence[str]) -> dict[str, float]:
    """Which part of the time each target gets, the longest first; 1 in all."""
    kinds = Counter(ALL[name].kind for name in names)
    whole = sum(KIND_SHARES[kind] for kind in kinds)
    found = {name: KIND_SHARES[ALL[name].kind] / kinds[ALL[name].kind] / whole for name in names}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def kinds_of(counts: Counter[str]) -> str:
    """Executions by what they ran."""
    by_kind: Counter[str] = Counter()
    for name, count in counts.items():
        by_kind[ALL[name].kind] += count
    kinds = ("host", "puppet", "real", *(("native",) if by_kind["native"] else ()))
    return ", ".join(f"{kind} {by_kind[kind]:,}" for kind in kinds)
