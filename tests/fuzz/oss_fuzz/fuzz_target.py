"""The same targets under Atheris, as OSS-Fuzz and ClusterFuzzLite start them.

The target is the name behind `fuzz_` of the file that is started, or the environment's FUZZ_TARGET. Needs atheris,
which nothing else here does.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Give the target to libFuzzer's loop."""
    atheris: Any = importlib.import_module("atheris")
    name = os.environ.get("FUZZ_TARGET") or Path(sys.argv[0]).stem.removeprefix("fuzz_")
    with atheris.instrument_imports(include=["wasmexec"]):
        from tests.fuzz.targets import TARGETS

        run = TARGETS[name].load(name)
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
