"""What an executor loads when it is asked to, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import sys, threading
import wasmexec

def loaded():
    return ["wasmexec._hostcalls.http.capability" in sys.modules,
            any(thread.name == "wasmexec-loop" for thread in threading.enumerate())]

with wasmexec.Executor() as executor:
    executor.run("return []")
    before = loaded()
    executor.preload()
    executor.preload()
    print(before, loaded(), int(executor.run("return [{'a': 1}]").status))
"""


def test_preload_loads_what_the_first_host_call_would() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "[False, False] [True, True] 200", done.stderr
