"""What the guest may import from the host, and the C callbacks behind it.

The raw C API is used because wasmtime's Python wrappers convert every value and caller: ten times the cost of the call.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any, Protocol

import wasmtime
from wasmtime import _bindings as bindings

HOST_MODULE = "wasmexec"
ALLOWED_WASI = frozenset({"clock_time_get", "clock_res_get", "random_get"})
"""The engine's own, except in deterministic mode."""
WASI_MODULE = "wasi_snapshot_preview1"
REQUIRED_EXPORTS = {
    "_initialize": "() -> ()",
    "wx_channel": "() -> (i32)",
    "wx_reserve": "(i32) -> (i32)",
    "wx_step": "() -> (i32)",
    "wx_where": "() -> (i32)",
}
"""Functions that every image exports, by type; besides these there is one memory called "memory"."""


class HostSide(Protocol):
    """The instance that runs on this thread, as the callbacks see it; pointers and lengths are unsigned.

    Whatever a method raises ends the guest: the callback keeps it in `fault` and traps.
    """

    fault: BaseException | None

    def host_log(self, level: int, pointer: int, length: int) -> int: ...
    def host_call(self, request: int, request_length: int, reply: int, reply_capacity: int) -> int: ...
    def host_reply(self, pointer: int, capacity: int) -> int: ...
    def host_sleep(self, nanoseconds: int) -> int: ...
    def host_stdio(self, fd: int, pointer: int, length: int) -> int: ...
    def host_random_get(self, pointer: int, length: int) -> int: ...
    def host_clock_time_get(self, clock: int, precision: int, pointer: int) -> int: ...
    def host_clock_res_get(self, clock: int, pointer: int) -> int: ...
    def host_tick(self) -> None: ...


class _Running(threading.local):
    """Callbacks are shared by all instances of an engine; this says which one the thread is inside of."""

    instance: HostSide | None = None


running = _Running()

_U32 = ctypes.c_uint32
_VALUE_BYTES = ctypes.sizeof(bindings.wasmtime_val_raw_t)
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t)
_FINALIZER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_TICK_CALLBACK: Any = bindings._wasmtime_store_epoch_deadline_callback.argtypes[1]
_NO_FINALIZER = _FINALIZER()
_CONTINUE = 0
_TICKS_UNTIL_NEXT = 1


def _address(pointer: Any) -> int | None:
    return ctypes.cast(pointer, ctypes.c_void_p).value


def _callback(name: str, *kinds: type[Any]) -> Any:
    """A C callback that hands its raw arguments to `host_<name>` and lets no exception out."""
    method_name = f"host_{name}"
    slots = tuple((kind.from_address, index * _VALUE_BYTES) for index, kind in enumerate(kinds))
    result_at = ctypes.c_int32.from_address

    def callback(environment: object, caller: object, values: int, count: int) -> int | None:
        instance = running.instance
        try:
            method: Callable[..., int] = getattr(instance, method_name)
            result_at(values).value = method(*[read(values + offset).value for read, offset in slots])
        except BaseException as error:  # nothing may unwind through the engine's native frames
            if instance is not None:
                instance.fault = error
            return _address(bindings.wasmtime_trap_new(b"host", 4))
        return None

    return _CALLBACK(callback)


# Module-level, because the engine keeps only their addresses.
_CALLBACKS = {
    "log": (_callback("log", _U32, _U32, _U32), "iii"),
    "call": (_callback("call", _U32, _U32, _U32, _U32), "iiii"),
    "reply": (_callback("reply", _U32, _U32), "ii"),
    "sleep": (_callback("sleep", ctypes.c_int64), "I"),
    "stdio": (_callback("stdio", _U32, _U32, _U32), "iii"),
}
_VIRTUAL_CALLBACKS = {
    "random_get": (_callback("random_get", _U32, _U32), "ii"),
    "clock_time_get": (_callback("clock_time_get", _U32, ctypes.c_int64, _U32), "iIi"),
    "clock_res_get": (_callback("clock_res_get", _U32, _U32), "ii"),
}
ALLOWED_IMPORTS = frozenset(
    {(WASI_MODULE, name) for name in ALLOWED_WASI} | {(HOST_MODULE, name) for name in _CALLBACKS}
)
"""Every (module, name) that an image may import; the build and the loader check the same set."""


def link_host_functions(linker: wasmtime.Linker) -> None:
    """Define the module "wasmexec" in a linker."""
    _define(linker, HOST_MODULE, _CALLBACKS)


def link_virtual_world(linker: wasmtime.Linker) -> None:
    """Define clocks and randomness in a linker that has none: the host's instead of the engine's."""
    _define(linker, WASI_MODULE, _VIRTUAL_CALLBACKS)


def _define(linker: wasmtime.Linker, module: str, callbacks: dict[str, tuple[Any, str]]) -> None:
    for name, (callback, signature) in callbacks.items():
        kinds = [wasmtime.ValType.i64() if letter == "I" else wasmtime.ValType.i32() for letter in signature]
        function_type = wasmtime.FuncType(kinds, [wasmtime.ValType.i32()])
        error = bindings.wasmtime_linker_define_func_unchecked(
            linker.ptr(),
            module.encode(),
            len(module),
            name.encode(),
            len(name),
            function_type.ptr(),
            ctypes.cast(callback, bindings.wasmtime_func_unchecked_callback_t),
            None,
            _NO_FINALIZER,
        )
        if error:
            raise wasmtime.WasmtimeError._from_ptr(error)


def _on_tick(context: object, data: object, ticks: Any, kind: Any) -> int:
    instance = running.instance
    try:
        if instance is not None:
            instance.host_tick()
        ticks[0] = _TICKS_UNTIL_NEXT
        kind[0] = _CONTINUE
    except BaseException as error:  # nothing may unwind through the engine's native frames
        if instance is not None:
            instance.fault = error
        return _address(bindings.wasmtime_error_new(b"stopped")) or 0
    return 0


_TICK = _TICK_CALLBACK(_on_tick)


def watch(store: wasmtime.Store) -> None:
    """Have `host_tick` of the running instance called at every epoch; without it the first epoch would trap."""
    bindings.wasmtime_store_epoch_deadline_callback(store.ptr(), _TICK, None, _NO_FINALIZER)
    store.set_epoch_deadline(_TICKS_UNTIL_NEXT)
