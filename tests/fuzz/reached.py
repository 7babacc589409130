"""`python -m tests.fuzz.reached`: which lines and branches of what reads bytes of others the corpus alone has run.

Needs coverage.py, which nothing else does.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

READERS = (
    "_guest/channel", "_execution/response", "_execution/outcome", "_execution/failures", "_hostcalls/call_table",
    "_hostcalls/log", "_hostcalls/http/egress", "_hostcalls/http/message", "_hostcalls/http/headers",
    "_hostcalls/http/bodies", "_hostcalls/http/secrets", "_hostcalls/http/pieces", "_net/addresses",
    "_masking/masker", "_masking/views", "_masking/spellings", "recording/check", "rows/json_text", "rows/parquet",
    "workers/messages", "workers/results", "workers/recordings",
)  # fmt: skip
"""Modules that read bytes of guests, of the network and of other processes."""
LEAST_PERCENT = 95.0


def measure(names: Iterable[str], package: Path) -> dict[str, Any]:
    """What coverage.py tells of the readers when the corpus of these targets has run."""
    coverage: Any = importlib.import_module("coverage")
    measured = coverage.Coverage(
        branch=True, include=[str(package / f"{name}.py") for name in READERS], data_file=None, config_file=False
    )
    measured.start()
    from tests.fuzz.seeds import corpus_of, read_seeds
    from tests.fuzz.targets import TARGETS

    for name in names or TARGETS:
        run = TARGETS[name].load(name)
        for data in [b"", *read_seeds(corpus_of(name)).values()]:
            run(data)
    measured.stop()
    with tempfile.NamedTemporaryFile(suffix=".json") as file, contextlib.redirect_stdout(None):
        measured.json_report(outfile=file.name)
        found: dict[str, Any] = json.loads(Path(file.name).read_text())
    return found


def main() -> int:
    """Measure and show; 1 if it is less than it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.reached", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--missing", action="store_true", help="also which lines and branches are left out")
    options = parser.parse_args()
    package = Path(__file__).parents[2] / "host" / "wasmexec"
    try:
        found = measure(options.targets, package)
    except ModuleNotFoundError as error:
        if error.name != "coverage":
            raise
        print("left out: coverage.py is not installed")
        return 0
    for path, module in sorted(found["files"].items()):
        summary = module["summary"]
        print(f"{summary['percent_covered']:6.1f} %  {Path(path).name} ({summary['num_statements']} statements)")
        if options.missing:
            print(f"          lines {module['missing_lines']}, branches {module['missing_branches']}")
    percent = found["totals"]["percent_covered"]
    print(f"{percent:6.1f} %  lines and branches in all")
    return int(percent < LEAST_PERCENT and not options.targets)


if __name__ == "__main__":
    sys.exit(main())
