"""What an executor loads when it is asked to, in a process of its own, and what it loads while statements run."""

from __future__ import annotations

import subprocess
import sys

from tests.servers import WebServer

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


_REQUEST = """
import sys
from tests.http_statements import run
import wasmexec

class Searched:
    def find_spec(self, name, path=None, target=None):
        names.append(name)

names = []
with wasmexec.Executor() as executor:
    executor.preload()
    executor.run("return []")
    sys.meta_path.insert(0, Searched())
    result = run(executor, "return [{'text': httpx.get(LocalVariable.Server + '/hello').text}]", sys.argv[1])
    print(result.rows, names)
"""


def test_after_it_the_first_request_of_a_process_loads_nothing(server: WebServer) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _REQUEST, server.authority], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "[{'text': 'hello'}] []", done.stderr
