"""What lies in the working folder does not run on the host: imported before anything else of ours.

SECURITY: `python -m wasmexec` has the working folder first on `sys.path`, and an `orjson.py` beside a statement would
be imported in place of the library. While Python looks for the module of `-m`, and only then, `sys.argv[0]` is "-m".
Processes that we start ourselves begin without it, see `child_command`.
"""

import sys

if sys.argv[:1] == ["-m"] and sys.path and not sys.flags.safe_path:
    del sys.path[0]

# The package is the one that runs here, wherever it lies; its door, which imports half of it, stays shut.
_START = """\
import importlib, json, os, sys, types
here, own = os.path.realpath(os.getcwd()), set(sys.path)
def is_safe(entry):
    return entry in own or (os.path.isabs(entry) and os.path.realpath(entry) != here)
sys.path[:] = filter(is_safe, json.loads(sys.argv[1]))
package = sys.modules["wasmexec"] = types.ModuleType("wasmexec")
package.__path__ = [sys.argv[2]]
importlib.import_module("wasmexec." + sys.argv[3]).main(*sys.argv[4:])
"""


def child_command(module: str, *arguments: str) -> list[str]:
    """What starts a process of ours that calls `wasmexec.<module>.main(*arguments)`.

    SECURITY: isolated, and without the working folder in its path.
    """
    import json
    from pathlib import Path

    folder = str(Path(__file__).resolve().parent)
    return [sys.executable, "-I", "-c", _START, json.dumps(sys.path), folder, module, *arguments]


def keep_no_core() -> None:
    """SECURITY: a core file of a process that works for tenants would hold their secrets and rows."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def give_memory_back() -> None:
    """Give to the system what objects had that are no more: somebody else takes memory for the same work now."""
    try:
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)
    except (ImportError, OSError, AttributeError):
        # Another C library.
        return


def resident_bytes(pid: int) -> int:
    """The memory of a process that is its own; 0 where the system does not tell."""
    import os

    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            pages = file.read().split()
        return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
