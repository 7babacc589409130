"""`make fuzz-native`: builds the guest's C for this machine and fuzzes it under ASan and UBSan.

Exit codes: as those of the fuzzer; 0 with a word if a tool is missing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.fuzz.__main__ import main as fuzz
from tests.fuzz.native.build import GUEST, NotHere, build, environment
from tests.fuzz.targets import NATIVE
from tests.fuzz.targets.native import BUILT


def show_lines(folder: Path) -> None:
    """How many lines of each file have run."""
    total = seen = 0
    for counts in sorted(folder.glob("*.gcda")):
        told = subprocess.run(
            ["gcov", "--stdout", counts.name], cwd=folder, capture_output=True, text=True, check=False
        ).stdout  # fmt: skip
        name = ""
        found: dict[str, tuple[int, int]] = {}
        for line in told.splitlines():
            count, _, rest = line.partition(":")
            number, _, text = rest.partition(":")
            if text.startswith("Source:"):
                name = text.removeprefix("Source:")
            elif number.strip() != "0" and count.strip() != "-" and Path(name).parent == GUEST:
                lines, run = found.get(name, (0, 0))
                found[name] = lines + 1, run + (not count.strip().startswith(("#", "=")))
        for path, (lines, run) in found.items():
            print(f"{Path(path).name:14} {run:4} of {lines:4} lines, {run / lines:.0%}")
            total, seen = total + lines, seen + run
    if total:
        print(f"{'in all':14} {seen:4} of {total:4} lines, {seen / total:.0%}")


def main() -> int:
    """Build, fuzz, and say what was reached."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.native", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(NATIVE)}")
    parser.add_argument("--seconds", type=float, default=60, help="for all of them together")
    parser.add_argument("--coverage", action="store_true", help="count lines: slower")
    parser.add_argument("--folder", type=Path, default=Path(".fuzz"))
    options, others = parser.parse_known_args()
    folder = (options.folder / ("native-coverage" if options.coverage else "native")).absolute()
    try:
        if options.coverage and shutil.which("gcov") is None:
            raise NotHere("gcov is not installed")
        built = build(folder, coverage=options.coverage)
        os.environ.update({BUILT: str(built), **environment()})
    except NotHere as error:
        print(f"fuzz-native is left out: {error}")
        return 0
    names = options.targets or list(NATIVE)
    code = fuzz([*names, "--seconds", str(options.seconds), "--folder", str(options.folder), *others])
    if options.coverage:
        show_lines(folder)
    return code


if __name__ == "__main__":
    sys.exit(main())
