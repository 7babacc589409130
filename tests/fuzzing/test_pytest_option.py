"""`pytest --wasmexec`: stored findings are run again; `--wasmexec-fuzz` looks for more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.fuzzing.test_fuzz_command import MENDED, SHARES


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--wasmexec", *arguments], cwd=folder,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_a_finding_fails_until_it_is_fixed(tmp_path: Path) -> None:
    step = tmp_path / "shares.step.yaml"
    step.write_text(SHARES, "utf-8")
    found = run(tmp_path, "--wasmexec-fuzz=1s")
    assert "1 failed, 1 passed" in found.stdout
    assert "RAISED" in found.stdout
    assert "shares.step.yaml:13  " in found.stdout
    assert "Traceback" not in found.stdout
    again = run(tmp_path)
    assert ("1 failed, 1 passed" in again.stdout, "FAILED: division by zero" in again.stdout) == (True, True)
    step.write_text(MENDED, "utf-8")
    assert "2 passed" in run(tmp_path).stdout


def test_a_time_that_is_none_is_refused(tmp_path: Path) -> None:
    assert "argument --wasmexec-fuzz: 0s is not from 0 to 86,400 seconds" in run(tmp_path, "--wasmexec-fuzz=0s").stderr
