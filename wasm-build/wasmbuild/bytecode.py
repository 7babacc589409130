"""Compiles Python sources to the image's bytecode; run as a program by the CPython 3.11 of the build machine.

    python3.11 -I -S bytecode.py JOBS.json

JOBS.json is a list of [source file, path in the guest, file to write]. The same source gives the same bytes in every
run. Imports nothing of wasmbuild: it runs under another interpreter.
"""

import json
import marshal
import sys
import types
import warnings
from importlib.util import MAGIC_NUMBER
from pathlib import Path


def compile_file(source: Path, guest_path: str) -> bytes:
    """The .pyc of one source file, without a time stamp.

    Raises:
        SyntaxError: it is not valid for this Python.
    """
    code = compile(source.read_bytes(), guest_path, "exec", dont_inherit=True, optimize=0)
    held: list[str] = []
    _hold_strings(code, held)
    # marshal marks what it writes by reference counts, and those of interned strings depend on what else this process
    # has loaded: held here, each of them counts as shared.
    content = marshal.dumps(code)
    # Flags 1: checked by hash, but never (the loader of sourceless files looks at nothing).
    return MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8) + content


def _hold_strings(value: object, held: list[str]) -> None:
    if isinstance(value, str):
        held.append(value)
    elif isinstance(value, tuple | frozenset):
        for item in value:
            _hold_strings(item, held)
    elif isinstance(value, types.CodeType):
        for name in ("co_consts", "co_names", "co_varnames", "co_freevars", "co_cellvars"):
            _hold_strings(getattr(value, name), held)
        held += [value.co_filename, value.co_name, value.co_qualname]


def main(jobs_file: str) -> int:
    """Compile every job; reports each tenth and all failures, and returns the exit status."""
    warnings.simplefilter("ignore")
    jobs = json.loads(Path(jobs_file).read_text(encoding="utf-8"))
    failures = 0
    for source, guest_path, target in jobs:
        try:
            content = compile_file(Path(source), guest_path)
        except (SyntaxError, ValueError) as error:
            failures += 1
            print(f"{guest_path}: {error}", file=sys.stderr)
            continue
        Path(target).write_bytes(content)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
