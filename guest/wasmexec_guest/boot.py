"""Prepares the guest before its memory is frozen into the image."""

from __future__ import annotations

import _imp
import decimal
import gc
import importlib
import json
import linecache
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.machinery import BuiltinImporter, ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from . import memory

IMAGE_FILE = Path("/wasmexec/image.json")
WARMUP_FOLDER = Path("/wasmexec/warmup")
_BELOW_XML = ("etree.ElementTree", "dom.minidom", "dom.pulldom", "sax.saxutils", "sax.expatreader")
"""What `from xml import etree, dom, sax` is for: nothing in a statement can import it."""
MAX_RECURSION = 3000
"""What sys.setrecursionlimit is held to: the native stack of the guest bears this many levels."""
_LONGEST_LEFT_BY_IMPORTS = 8 << 20
"""The longest hole after everything was imported and warmed up; below it, figures leave their canvases."""
_LONGEST_LEFT_BY_WARMUP = 2 << 20
"""The longest hole after the requests that warm up the network's clients."""
_LONGEST_LEFT_BY_FILL = 1 << 20
"""The longest hole after `_fill` has returned, which only runs so that it can let go."""

_not_in_image: dict[str, str] = {}
"""Listed module -> image that lacks it."""

step: Callable[[], int]
"""Serves one frame of the host and gives the new state; called by wx_step. Set by `prepare`."""


class DottedBuiltinFinder:
    """Finds extension modules inside packages: `BuiltinImporter` knows top-level names only."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The spec of a dotted module that is linked into the guest."""
        if path is None or not _imp.is_builtin(name):
            return None
        return ModuleSpec(name, BuiltinImporter, origin="built-in")  # type: ignore[arg-type]


def prepare() -> None:
    """Import what the image promises, exercise it, and leave no trace but warm caches. Called once, by wx_boot."""
    _fill()
    # Whatever `_fill` has let go of by returning is a hole by now.
    memory.fill_holes(_LONGEST_LEFT_BY_FILL)
    _arm()
    gc.freeze()
    gc.disable()


def _fill() -> None:
    sys.meta_path.insert(1, DottedBuiltinFinder)
    sys.argv[:] = [""]
    os.environ.update(HOME="/tmp", MPLBACKEND="agg", MPLCONFIGDIR="/tmp/matplotlib")
    _hold_recursion_limit()
    image: dict[str, Any] = json.loads(IMAGE_FILE.read_text("utf-8"))
    _not_in_image.update(dict.fromkeys(image["not_in_image"], image["name"]))
    filters = list(warnings.filters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _import(image)
    _forget_traces(filters)


def _import(image: dict[str, Any]) -> None:
    """Import and exercise everything, our own modules last: they take part in every run."""
    importlib.import_module("ctypes")
    for name in image["preload"]:
        importlib.import_module(name)
    for path in sorted(WARMUP_FOLDER.glob("*.py")) if WARMUP_FOLDER.is_dir() else ():
        exec(compile(path.read_text("utf-8"), str(path), "exec"), {"__name__": f"warmup_{path.stem}"})
    importlib.import_module("asyncio")
    _complete_socket()
    _import_helpers()
    memory.fill_holes(_LONGEST_LEFT_BY_IMPORTS)
    from . import execution, logs, loop, reseed, rows, service, warmup, warmup_http

    importlib.import_module("wasmexec_guest.transports").install(image["modules"])
    loop.install()
    rows.prepare()
    reseed.prepare()
    logs.install()

    def make_runner(*arguments: Any) -> warmup.Runner:
        return warmup.Runner(lambda: execution.Execution(_not_in_image), service.serve, *arguments)

    warmup_http.run(make_runner, image["modules"])
    memory.fill_holes(_LONGEST_LEFT_BY_WARMUP)
    runner = make_runner()
    memory.move_code(memory.functions_called(runner.run_once))
    runner.run_often()


def _import_helpers() -> None:
    """Import what few statements use, away from what every run does; complete `time`."""
    for name in ("clocks", "rowadvice", "scopehints", "syntaxhints", "checkscopes"):
        importlib.import_module(f"wasmexec_guest.{name}")
    for name in _BELOW_XML:
        importlib.import_module(f"xml.{name}")
    sys.modules["wasmexec_guest.clocks"].install()


def _complete_socket() -> None:
    """Add `socket.inet_ntoa`, a plain conversion that `ssl` wants and this platform's C library lacks."""
    socket = importlib.import_module("socket")
    if hasattr(socket, "inet_ntoa"):
        return

    def inet_ntoa(packed_ip: bytes, /) -> str:
        """Convert an IP address from 32-bit packed binary format to string format."""
        address = bytes(memoryview(packed_ip))
        if len(address) != 4:
            raise OSError("packed IP wrong length")
        return ".".join(map(str, address))

    socket.inet_ntoa = inet_ntoa  # type: ignore[attr-defined]


def _arm() -> None:
    """Make the execution that an instance is for, and what must be the last before the snapshot."""
    global step
    from . import errors, logs, reseed, service

    logs.reset()
    errors.remember_source("")
    errors.install()
    logs.install()
    reseed.clear()
    service.prepare(_not_in_image)
    step = service.step


def _hold_recursion_limit() -> None:
    set_limit = sys.setrecursionlimit

    def setrecursionlimit(limit: int, /) -> None:
        """Set the limit of Python's recursion, as far as the native stack of the guest allows."""
        set_limit(min(limit, MAX_RECURSION))

    sys.setrecursionlimit = setrecursionlimit


def _forget_traces(filters: list[Any]) -> None:
    """Undo what imports and warm-ups left in places that the statement could see."""
    warnings.filters[:] = filters  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]
    warnings.onceregistry.clear()  # type: ignore[attr-defined]
    for module in list(sys.modules.values()):
        registry = getattr(module, "__warningregistry__", None)
        if isinstance(registry, dict):
            registry.clear()
    linecache.clearcache()
    decimal.getcontext().clear_flags()
    logging.root.handlers.clear()
    for path in Path("/tmp").iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for name in ("warmup", "warmup_http"):
        sys.modules.pop(f"wasmexec_guest.{name}", None)
