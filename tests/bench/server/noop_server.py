"""`wasmexec serve` with workers that run nothing, so that what is measured is the front; same options."""

from __future__ import annotations

import sys
from pathlib import Path

from wasmexec.cli import main
from wasmexec.server.runs import enclosure

_WORKER = [sys.executable, str(Path(__file__).with_name("noop_worker.py"))]

if __name__ == "__main__":
    vars(enclosure)["child_command"] = lambda *_: _WORKER
    sys.argv[1:1] = ["serve"]
    main()
