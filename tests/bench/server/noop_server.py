"""The server with workers that run nothing: `python -m tests.bench.server.noop_server CONFIG.toml`."""

from __future__ import annotations

import sys
from pathlib import Path

from wasmexec.server.config import load_config
from wasmexec.server.runs import fleet
from wasmexec.server.serving import Started, run_server

_WORKER = [sys.executable, str(Path(__file__).with_name("noop_worker.py"))]


def main(config: str) -> None:
    """Serve until SIGTERM."""
    vars(fleet)["child_command"] = lambda *_: _WORKER

    def started(server: Started) -> None:
        print(f"listening at {server.url}", file=sys.stderr, flush=True)
        if server.admin_key is not None:
            print(f"admin key, shown this once: {server.admin_key}", file=sys.stderr, flush=True)

    run_server(load_config(config, {}), started)


if __name__ == "__main__":
    main(sys.argv[1])
