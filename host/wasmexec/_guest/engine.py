"""The wasmtime engine: one configuration for the build's compiler and for every run, one loaded image per process."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import wasmtime
from wasmtime import _bindings as bindings

from ..errors import ImageError
from ..image import how_to_build
from .codes import CodeCache
from .image_files import opened, path_of
from .interface import ALLOWED_IMPORTS, REQUIRED_EXPORTS, link_host_functions, link_virtual_world
from .memory import GUARD_BYTES, RESERVED_BYTES, WASM_PAGE_BYTES, MemoryPool, provide_memories

if TYPE_CHECKING:
    from ..image import Image

MAX_WASM_STACK_BYTES = 32 * 1024 * 1024
"""Deep recursion must end in Python's RecursionError, long before this; worker threads have twice as much."""
TICK_SECONDS = 0.005


def engine_config() -> wasmtime.Config:
    """The one configuration under which images are compiled and run.

    A module compiled ahead of time loads only into an engine with equal settings, so the build calls this too.
    """
    config = wasmtime.Config()
    config.cranelift_opt_level = "speed"
    config.epoch_interruption = True
    config.wasm_exceptions = True
    config.wasm_wide_arithmetic = True
    # A multiply-add is fused on every processor, by a call where it has no instruction.
    config.wasm_relaxed_simd = True
    config.wasm_relaxed_simd_deterministic = True
    config.wasm_threads = False
    config.wasm_memory64 = False
    config.wasm_multi_memory = False
    # Unused (no asynchronous calls), but the engine refuses a wasm stack larger than this one.
    bindings.wasmtime_config_async_stack_size_set(config.ptr(), 2 * MAX_WASM_STACK_BYTES)
    config.max_wasm_stack = MAX_WASM_STACK_BYTES
    # A whole 4 GiB reservation with a guard lets the compiler leave out bounds checks, and memory never moves.
    config.memory_reservation = RESERVED_BYTES
    config.memory_guard_size = GUARD_BYTES
    config.memory_may_move = False
    config.memory_init_cow = True
    if sys.platform != "win32":
        # Only native debuggers and profilers read these tables, and registering them slows down every load.
        config.native_unwind_info = False
    return config


class Ticker:
    """Advances the engine's epoch every few milliseconds, but only while something runs.

    One daemon thread, started at the first `enter`. It goes to sleep when nothing has run for a while, not at once:
    waking a thread costs more than a short execution.
    """

    IDLE_TICKS = 40

    def __init__(self, engine: wasmtime.Engine) -> None:
        self.cpu_seconds = 0.0
        """What the thread itself has used."""
        self._engine = engine
        self._active = 0
        self._asleep = False
        self._started = False
        self._changed = threading.Condition(threading.Lock())

    def enter(self) -> None:
        """Something starts to run."""
        with self._changed:
            self._active += 1
            if self._asleep:
                self._asleep = False
                self._changed.notify()
            elif not self._started:
                self._started = True
                threading.Thread(target=self._run, name="wasmexec-ticker", daemon=True).start()

    @property
    def is_active(self) -> bool:
        """Whether something runs."""
        return self._active > 0

    def leave(self) -> None:
        """It stopped running."""
        with self._changed:
            self._active -= 1

    def _run(self) -> None:
        idle = 0
        while True:
            time.sleep(TICK_SECONDS)
            self._engine.increment_epoch()
            self.cpu_seconds = time.thread_time()
            idle = 0 if self._active else idle + 1
            if idle > self.IDLE_TICKS:
                with self._changed:
                    self._asleep = self._active == 0
                    while self._asleep:
                        self._changed.wait()
                idle = 0


class GuestModule:
    """An image in memory, ready to be instantiated any number of times from any thread.

    `memory` is a descriptor of its memory's file.

    Raises:
        ImageError: the module imports something that is not allowed or lacks an export.
    """

    def __init__(self, runtime: Runtime, module: wasmtime.Module, image: Image, memory: int) -> None:
        self.engine = runtime.engine
        self.ticker = runtime.ticker
        self.channel_address = image.channel_address
        check_interface(module, image.memory.size)
        self._module = module
        self._runtime = runtime
        self._virtual_pre: wasmtime.InstancePre | None = None
        try:
            self.pre = runtime.linker.instantiate_pre(module)
        except wasmtime.WasmtimeError as error:
            reason = str(error).split("\n", 1)[0]
            raise ImageError(f"the image does not fit the host functions: {reason}") from None
        self.memories = MemoryPool(image.memory.path, memory)
        self.codes = CodeCache()

    @property
    def virtual_pre(self) -> wasmtime.InstancePre:
        """Like `pre`, for instances whose clocks and randomness are the host's; made when first needed."""
        made = self._virtual_pre
        if made is None:
            # Two threads may both make one; either will do.
            made = self._virtual_pre = self._runtime.virtual_linker().instantiate_pre(self._module)
        return made


class Runtime:
    """Engine, ticker and host functions; one per process, shared by all images."""

    def __init__(self) -> None:
        config = engine_config()
        provide_memories(config)
        self.engine = wasmtime.Engine(config)
        self.ticker = Ticker(self.engine)
        self.linker = wasmtime.Linker(self.engine)
        self.linker.define_wasi()
        link_host_functions(self.linker)
        self._virtual_linker: wasmtime.Linker | None = None
        self.guests: dict[tuple[Path, Path], tuple[GuestModule, int]] = {}
        """By the files of the image; with each the number of its users."""

    def virtual_linker(self) -> wasmtime.Linker:
        """The host functions of deterministic mode, without the engine's own WASI."""
        made = self._virtual_linker
        if made is None:
            made = wasmtime.Linker(self.engine)
            link_host_functions(made)
            link_virtual_world(made)
            self._virtual_linker = made
        return made


def check_interface(module: wasmtime.Module, memory_bytes: int) -> None:
    """SECURITY: the allow-list of imports is what keeps the guest from the host; images are checked at every load.

    The types of the exports are checked because they are called without further checks; `memory_bytes` is what the
    host gives every instance.

    Raises:
        ImageError: the module imports something that is not allowed or lacks an export.
    """
    for item in module.imports:
        if (item.module, item.name) not in ALLOWED_IMPORTS:
            raise ImageError(f"the image imports {item.module}.{item.name}, which no image may")
    exports = {item.name: item.type for item in module.exports}
    memory = exports.get("memory")
    if not isinstance(memory, wasmtime.MemoryType):
        raise ImageError("the image exports no memory")
    if memory.limits.min * WASM_PAGE_BYTES != memory_bytes:
        begins = memory.limits.min * WASM_PAGE_BYTES
        raise ImageError(f"the image's memory has {memory_bytes:,} bytes, its code begins with {begins:,}")
    for name, expected in REQUIRED_EXPORTS.items():
        kind = exports.get(name)
        if not isinstance(kind, wasmtime.FuncType):
            raise ImageError(f"the image lacks the export {name}")
        found = f"({', '.join(map(str, kind.params))}) -> ({', '.join(map(str, kind.results))})"
        if found != expected:
            raise ImageError(f"the image exports {name} as {found} instead of {expected}")


_lock = threading.Lock()
_runtime: Runtime | None = None
_inherited: list[Runtime | None] = []


def shared_runtime() -> Runtime:
    """The engine of this process, created at the first call."""
    global _runtime
    with _lock:
        if _runtime is None:
            _runtime = Runtime()
        return _runtime


def acquire_guest(image: Image) -> GuestModule:
    """The image, loaded unless it already is; give it back with `release_guest`.

    SECURITY: a compiled module is native code. Its hash is compared before it is mapped, see `image_files`.

    Raises:
        ImageError: damaged, or compiled by another wasmtime, for another processor or with other settings.
    """
    runtime = shared_runtime()
    path, key = image.code.path, (image.code.path, image.memory.path)
    with _lock:
        guest, users = runtime.guests.get(key, (None, 0))
        if guest is None:
            with opened(image) as (code, memory):
                try:
                    module = wasmtime.Module.deserialize_file(runtime.engine, path_of(code, path))
                except wasmtime.WasmtimeError as error:
                    reason = str(error).strip().split("\n")[-1].strip()
                    raise ImageError(
                        f"the image {path.name} does not fit this engine ({reason}); {how_to_build(path)}"
                    ) from None
                guest = GuestModule(runtime, module, image, memory)
        runtime.guests[key] = (guest, users + 1)
        return guest


def release_guest(image: Image) -> None:
    """Give back what `acquire_guest` returned; the last one unloads the module once its instances are gone."""
    key = (image.code.path, image.memory.path)
    with _lock:
        if _runtime is None or key not in _runtime.guests:
            return
        guest, users = _runtime.guests.pop(key)
        if users > 1:
            _runtime.guests[key] = (guest, users - 1)
            return
    guest.memories.close()


def _forget() -> None:
    """Give a forked child its own engine: threads and locks of the parent do not exist there."""
    global _lock, _runtime
    # Kept alive: tearing it down could wait for a lock that a thread of the parent held.
    _inherited.append(_runtime)
    _lock = threading.Lock()
    _runtime = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
