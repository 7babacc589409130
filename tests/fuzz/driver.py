"""`python -m tests.fuzz`: every target for its share of the time, each in a child process that may hang or die."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.child import read_box
from tests.fuzz.targets import SELF_TEST, TARGETS

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
HANG_SECONDS = 20.0
"""For one input; the longest that one may take by itself is some two seconds."""
START_SECONDS = 60.0
"""Until the first input, on a machine that has other things to do."""
_POLL_SECONDS = 0.2


@dataclasses.dataclass
class Finding:
    """One fault of a target: `kind` is "raised", "died" or "hung"; `file` has the input."""

    target: str
    kind: str
    file: Path
    text: str


@dataclasses.dataclass
class Outcome:
    """What a target has come to."""

    count: int = 0
    findings: list[Finding] = dataclasses.field(default_factory=list)


class Session:
    """Runs targets; `folder` keeps the inputs that run and those that break something."""

    def __init__(self, folder: Path, *, hang_seconds: float = HANG_SECONDS, stop: bool = False) -> None:
        self.folder = folder
        self._hang_seconds = hang_seconds
        self._stop = stop
        folder.mkdir(parents=True, exist_ok=True)

    def run(self, name: str, seconds: float, seed: int, corpus: Path | None = None) -> Outcome:
        """Fuzz a target for so long, in as many children as it takes."""
        outcome = Outcome()
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 or not outcome.count:
            died = self._run_child(
                name, left, seed + outcome.count, CORPUS / name if corpus is None else corpus, outcome
            )
            if not died or self._stop:
                break
            # What kills a child is in the corpus, perhaps: one that goes on would die of it at once.
            corpus = self.folder / "empty"
        return outcome

    def _run_child(self, name: str, seconds: float, seed: int, corpus: Path, outcome: Outcome) -> bool:
        """Whether the child did not live to its end."""
        box, findings = self.folder / f"{name}.input", self.folder / "findings" / name
        box.unlink(missing_ok=True)
        command = [
            sys.executable, "-m", "tests.fuzz.child", name, "--seconds", str(max(0.0, seconds)), "--seed", str(seed),
            "--box", str(box), "--findings", str(findings), "--corpus", str(corpus),
        ]  # fmt: skip
        if self._stop:
            command.append("--stop")
        errors = self.folder / f"{name}.errors"
        with errors.open("wb") as stream:
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stream, text=True)
            try:
                has_hung = self._watch(child, box)
            finally:
                child.kill()
                told = child.communicate()[0]
        count, data = read_box(box) if box.exists() else (0, b"")
        outcome.count += count
        for line in told.splitlines():
            fields = json.loads(line)
            if "finding" in fields:
                outcome.findings.append(Finding(name, "raised", Path(fields["file"]), fields["text"]))
        if child.returncode == 0 and not has_hung:
            return False
        kind = "hung" if has_hung else "died"
        text = errors.read_text(errors="replace")[-2000:]
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
        while True:
            try:
                child.wait(_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                pass
            else:
                return False
            count = read_box(box)[0] if box.exists() else 0
            if count != last:
                last, since = count, time.monotonic()
            elif time.monotonic() - since > (self._hang_seconds if count else START_SECONDS):
                return True


def kinds_of(counts: Counter[str]) -> str:
    """Executions by what they ran."""
    by_kind: Counter[str] = Counter()
    for name, count in counts.items():
        by_kind[{**TARGETS, **SELF_TEST}[name].kind] += count
    return ", ".join(f"{kind} {by_kind[kind]:,}" for kind in ("host", "puppet", "real"))
