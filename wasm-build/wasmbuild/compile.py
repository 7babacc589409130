"""Compiles a snapshot ahead of time, with exactly the configuration that the host runs it with.

python -m wasmbuild.compile IMAGE.wasm IMAGE.cwasm
"""

import sys
from pathlib import Path

import wasmtime

from wasmexec._guest.engine import engine_config


def main(argv: list[str]) -> int:
    """Compile; the exit status."""
    source, target = map(Path, argv)
    engine = wasmtime.Engine(engine_config())
    try:
        compiled = wasmtime.Module(engine, source.read_bytes()).serialize()
    except wasmtime.WasmtimeError as error:
        print(f"{source.name} does not compile: {error}", file=sys.stderr)
        return 1
    target.write_bytes(compiled)
    print(f"{len(compiled):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
