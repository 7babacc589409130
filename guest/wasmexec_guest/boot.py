"""Prepares the guest before its memory is frozen into the image, and serves each instance's frames afterwards."""

from __future__ import annotations

import _imp
import decimal
import gc
import importlib
import json
import linecache
import logging
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib.machinery import BuiltinImporter, ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import _wasmexec

from . import hostcall, logs, loop, reseed, rows, warmup
from .check import check
from .execution import DONE, Execution, Frame

IMAGE_FILE = Path("/wasmexec/image.json")
WARMUP_FOLDER = Path("/wasmexec/warmup")
MAX_RECURSION = 3000
"""What sys.setrecursionlimit is held to: the native stack of the guest bears this many levels."""

_not_in_image: dict[str, str] = {}
_execution: Execution | None = None
_decode = json.JSONDecoder().decode


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
    global _execution
    sys.meta_path.insert(1, DottedBuiltinFinder)
    sys.argv[:] = [""]
    os.environ.update(HOME="/tmp", MPLBACKEND="agg", MPLCONFIGDIR="/tmp/matplotlib")
    _hold_recursion_limit()
    loop.install()
    image: dict[str, Any] = json.loads(IMAGE_FILE.read_text("utf-8"))
    _not_in_image.update(dict.fromkeys(image["not_in_image"], image["name"]))
    filters = list(warnings.filters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in image["preload"]:
            importlib.import_module(name)
        if "httpx" in image["modules"]:
            importlib.import_module("wasmexec_guest.transports").install()
        rows.prepare()
        reseed.prepare()
        for path in sorted(WARMUP_FOLDER.glob("*.py")) if WARMUP_FOLDER.is_dir() else ():
            exec(compile(path.read_text("utf-8"), str(path), "exec"), {"__name__": f"warmup_{path.stem}"})
    logs.install()
    warmup.run(lambda: Execution(_not_in_image), serve)
    _forget_traces(filters)
    reseed.clear()
    _execution = Execution(_not_in_image)
    gc.collect()
    gc.collect()
    gc.freeze()
    gc.disable()


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
    logs.reset()
    for path in Path("/tmp").glob("*"):
        if path.is_file():
            path.unlink()


def serve(frame: Mapping[str, Any], blob: memoryview, running: Execution) -> Frame:
    """The answer to one frame of the host."""
    kind = frame["kind"]
    if kind == "run":
        return running.start(frame, blob)
    if kind == "resume":
        return running.resume(frame, blob)
    if kind == "check":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            problems = check(frame["statement"], _not_in_image)
        return DONE, {"kind": "done", "outcome": "checked", "problems": problems}, b""
    raise ValueError(f"unknown kind of frame: {kind!r}")


def step() -> int:
    """Take a frame from the inbox, serve it, put the answer into the outbox; gives the new state. Called by wx_step."""
    assert _execution is not None
    text, blob = _wasmexec.take_inbox()
    state, head, answer_blob = serve(_decode(text), blob, _execution)
    _wasmexec.put_outbox(hostcall.to_frame(head), answer_blob)
    return state
