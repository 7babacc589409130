"""Guest Python under the host's own CPython 3.11: the package is loaded from its folder, `_wasmexec` is a stand-in.

Nothing is put on `sys.path`, and nothing that patches other modules (`install`, `prepare`) is called, so tests in other
folders see the process as it was.
"""

from __future__ import annotations

import gc
import importlib.util
import linecache
import random
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
from tests.reading import ROOT

_FOLDER = ROOT / "guest" / "wasmexec_guest"


def _load(name: str, file: str, *, package: bool = False) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        name, file, submodule_search_locations=[str(_FOLDER)] if package else None
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if "wasmexec_guest" not in sys.modules:
    from tests.guest_unit import stand_in

    sys.modules["_wasmexec"] = stand_in
    _load("wasmexec_guest", str(_FOLDER / "__init__.py"), package=True)


@pytest.fixture(autouse=True)
def untouched_process() -> Iterator[None]:
    """Each test starts with a host that has heard nothing and leaves collector, randomness and `linecache` alone."""
    from tests.guest_unit import stand_in

    from wasmexec_guest import logs

    state, cache = random.getstate(), dict(linecache.cache)
    stand_in.host.reset()
    logs.reset()
    yield
    logs.reset()
    gc.unfreeze()
    gc.enable()
    random.setstate(state)
    linecache.cache.clear()
    linecache.cache.update(cache)
