"""Applies each planted fault to a copy of the package, fuzzes the copy, and says how soon it was found."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def find(patch: Path, seconds: float) -> tuple[float, str] | None:
    """After how long the fuzzer finds the fault, and what it says; None if it finds nothing.

    Raises: subprocess.CalledProcessError: the patch does not fit the package any more.
    """
    targets = patch.read_text().splitlines()[0].removeprefix("targets:").split()
    with tempfile.TemporaryDirectory(prefix="wasmexec-mutant-") as folder:
        copy = Path(folder)
        shutil.copytree(ROOT / "host", copy / "host", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "tests", copy / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        subprocess.run(["git", "apply", str(patch)], cwd=copy, check=True)
        command = [sys.executable, "-m", "tests.fuzz", *targets, "--stop", "--seconds", str(seconds)]
        began = time.monotonic()
        environment = {**os.environ, "PYTHONPATH": f"{copy / 'host'}:{copy}", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False)
        if done.returncode != 1:
            return None
        lines = done.stdout.decode(errors="replace").partition("FOUND")[2].splitlines()
        end = next((at for at, line in enumerate(lines) if line.startswith("replay:")), 0)
        return time.monotonic() - began, lines[end - 1]


def main() -> int:
    """Every patch, or those that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--seconds", type=float, default=60, help="for each")
    options = parser.parse_args()
    patches = [patch for patch in sorted(HERE.glob("*.patch")) if not options.names or patch.stem in options.names]
    found = 0
    for patch in patches:
        answer = find(patch, options.seconds)
        found += answer is not None
        print(
            f"{patch.stem:32} {'not found' if answer is None else f'{answer[0]:6.1f} s  {answer[1]:.110}'}", flush=True
        )
    print(f"{found} of {len(patches)} found")
    return 0 if found == len(patches) else 1


if __name__ == "__main__":
    sys.exit(main())
