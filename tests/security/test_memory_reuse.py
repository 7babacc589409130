"""What an execution leaves in its memory: nothing that the next one could find, byte by byte, on the real image."""

from __future__ import annotations

import ctypes
import threading
import time

import wasmexec
from wasmexec._guest.memory import Memory, MemoryPool, _in_use

TOKEN = b"b1946ac92492d2347c6235b4d2611184"
STATEMENTS = [
    "return [{'a': 1}]",
    "return [{'a': LocalVariable.TOKEN[:1]}]",
    """
import pandas as pd
frame = pd.DataFrame({"k": [LocalVariable.TOKEN] * 500, "v": range(500)})
return frame.groupby("k").sum().reset_index().to_dict("records")
""",
    """
import io
import matplotlib.pyplot as plt
plt.title(LocalVariable.TOKEN)
plt.savefig(io.BytesIO())
return []
""",
    "import io\nopen('/tmp/secret', 'w').write(LocalVariable.TOKEN * 1000)\nreturn []",
    "raise ValueError(LocalVariable.TOKEN)",
    "text = LocalVariable.TOKEN * 4_000_000\nreturn [{'size': len(text)}]",
    "while True:\n    token = LocalVariable.TOKEN + '!'",
    "import warnings\nwarnings.sys.modules['os']._exit(3)",
]


def content(memory: Memory) -> bytes:
    return ctypes.string_at(memory.base, memory.size)


def waiting(pool: MemoryPool) -> list[Memory]:
    """Memories are put back after the result was delivered."""
    end = time.monotonic() + 10
    while pool._in_use:
        assert time.monotonic() < end
        time.sleep(0.01)
    return list(pool._waiting)


def test_a_memory_that_waits_is_the_image_byte_by_byte(executor: wasmexec.Executor) -> None:
    with wasmexec.Executor(executor.image.manifest) as own:
        pool = own._launcher.services.guest.memories
        image = own.image.memory.path.read_bytes()
        for _ in range(3):
            own.run("return []")
        secrets = {"TOKEN": TOKEN.decode()}
        limits = wasmexec.Limits(cpu_seconds=0.5)
        compared = 0
        for statement in STATEMENTS:
            own.run(statement, secrets=secrets, limits=limits)
            for memory in waiting(pool):
                assert content(memory) == image, statement
                compared += 1
        # One that was written to everywhere is unmapped instead.
        assert compared >= len(STATEMENTS) - 1


def test_while_a_statement_runs_its_memory_differs(executor: wasmexec.Executor) -> None:
    """The positive control: the same look at a statement that is asleep finds its token."""
    with wasmexec.Executor(executor.image.manifest) as own:
        before = set(_in_use)
        asleep = threading.Event()
        statement = "token = LocalVariable.TOKEN\nlog.info('asleep')\nawait sleep(0.5)\nreturn [{'token': token}]"
        thread = threading.Thread(
            target=own.run,
            args=(statement,),
            kwargs={"secrets": {"TOKEN": TOKEN.decode()}, "on_log": lambda record: asleep.set()},
        )
        thread.start()
        assert asleep.wait(10)
        found = [content(_in_use[base]) for base in set(_in_use) - before]
        thread.join()
        assert any(TOKEN in memory for memory in found)
        assert TOKEN not in own.image.memory.path.read_bytes()
