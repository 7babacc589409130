"""Pre-initialises the guest: boots it once and writes its memory after that, and the module without its data.

    python -m wasmbuild.snapshot compile GUEST.wasm BOOT.cwasm     the module that boots, for this machine
    python -m wasmbuild.snapshot take GUEST.wasm BOOT.cwasm TREE IMAGE.wasm IMAGE.memory IMAGE.json

Run as a program, so that a guest that hangs or dies takes nothing with it. In a static, single-threaded reactor nothing
but memory and mutable globals changes, and both are written back. The host functions are deterministic while booting:
the same inputs give the same image.
"""

import ctypes
import dataclasses
import hashlib
import json
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import wasmtime

from wasmbuild.errors import BuildError
from wasmbuild.wasmfile import (
    DATA,
    DATA_COUNT,
    I32,
    I64,
    KIND_GLOBAL,
    KIND_TABLE,
    PAGE,
    START,
    Export,
    Global,
    Module,
    signed_leb,
)
from wasmexec._guest.engine import engine_config

# Only the build calls these; an image without them cannot be asked to boot again.
BUILD_EXPORTS = ("wx_fs_reserve", "wx_fs_commit", "wx_boot")
STACK_BYTES = 256 * 1024 * 1024
# The guest's clocks start here while booting: 2024-01-01, so that nothing takes itself to be older than its packages.
BOOT_TIME_NS = 1_704_067_200 * 10**9
_GLOBAL_PREFIX = "wx_build_global_"
_OS_PAGE = 4096


class SnapshotError(BuildError):
    """The guest could not be booted or frozen."""


def instrumented(binary: bytes) -> bytes:
    """The module with its mutable globals exported, so that their values can be read after booting."""
    module = Module(binary)
    exports = module.exports()
    exports += [Export(f"{_GLOBAL_PREFIX}{g.index}", KIND_GLOBAL, g.index) for g in module.globals() if g.is_mutable]
    exports.append(Export(f"{_GLOBAL_PREFIX}table", KIND_TABLE, 0))
    module.set_exports(exports)
    return module.binary()


def boot_config() -> wasmtime.Config:
    """The host's configuration, but compiled fast: the code runs once."""
    config = engine_config()
    config.cranelift_opt_level = "none"
    return config


@dataclasses.dataclass(frozen=True, slots=True)
class Booted:
    """What a guest looks like after booting.

    Attributes:
        globals: value of each mutable global, by index.
    """

    memory: bytes
    globals: dict[int, int]
    channel_address: int


class _BootHost:
    """The host functions a booting guest may call: deterministic, and without any effect outside."""

    def __init__(self, seed: bytes, on_output: Callable[[bytes], object]) -> None:
        self.seed = seed
        self.counter = 0
        self.now_ns = BOOT_TIME_NS
        self.on_output = on_output

    def _memory(self, caller: wasmtime.Caller) -> wasmtime.Memory:
        memory = caller["memory"]
        assert isinstance(memory, wasmtime.Memory)
        return memory

    def clock_time_get(self, caller: wasmtime.Caller, clock: int, precision: int, result: int) -> int:
        self.now_ns += 1_000_000
        value = self.now_ns if clock == 0 else self.now_ns - BOOT_TIME_NS
        self._memory(caller).write(caller, struct.pack("<Q", value), result & 0xFFFFFFFF)
        return 0

    def clock_res_get(self, caller: wasmtime.Caller, clock: int, result: int) -> int:
        self._memory(caller).write(caller, struct.pack("<Q", 1), result & 0xFFFFFFFF)
        return 0

    def random_get(self, caller: wasmtime.Caller, address: int, length: int) -> int:
        # Nothing drawn here is secret: every execution reseeds whatever was seeded while booting.
        out = bytearray()
        while len(out) < length:
            self.counter += 1
            out += hashlib.sha256(self.seed + struct.pack("<Q", self.counter)).digest()
        self._memory(caller).write(caller, out[:length], address & 0xFFFFFFFF)
        return 0

    def log(self, caller: wasmtime.Caller, level: int, address: int, length: int) -> int:
        return self.stdio(caller, level, address, length)

    def stdio(self, caller: wasmtime.Caller, fd: int, address: int, length: int) -> int:
        start = address & 0xFFFFFFFF
        self.on_output(bytes(self._memory(caller).read(caller, start, start + length)))
        return 0

    def call(self, request: int, request_length: int, reply: int, capacity: int) -> int:
        return -1

    def reply(self, address: int, capacity: int) -> int:
        return -1

    def sleep(self, nanoseconds: int) -> int:
        self.now_ns += max(0, nanoseconds)
        return 0

    def link(self, linker: wasmtime.Linker) -> None:
        i32, i64 = wasmtime.ValType.i32(), wasmtime.ValType.i64()
        wasi, ours = "wasi_snapshot_preview1", "wasmexec"
        table: list[tuple[str, str, list[wasmtime.ValType], Callable[..., Any], bool]] = [
            (wasi, "clock_time_get", [i32, i64, i32], self.clock_time_get, True),
            (wasi, "clock_res_get", [i32, i32], self.clock_res_get, True),
            (wasi, "random_get", [i32, i32], self.random_get, True),
            (ours, "log", [i32, i32, i32], self.log, True),
            (ours, "stdio", [i32, i32, i32], self.stdio, True),
            (ours, "call", [i32, i32, i32, i32], self.call, False),
            (ours, "reply", [i32, i32], self.reply, False),
            (ours, "sleep", [i64], self.sleep, False),
        ]
        for module, name, parameters, function, wants_caller in table:
            kind = wasmtime.FuncType(parameters, [i32])
            linker.define_func(module, name, kind, function, access_caller=wants_caller)


def boot(engine: wasmtime.Engine, module: wasmtime.Module, tree: bytes, on_output: Callable[[bytes], object]) -> Booted:
    """Run the guest's initialisation with `tree` as its files.

    Raises:
        SnapshotError: it trapped, refused the tree, or its boot reported a failure (its words went to `on_output`).
    """
    store = wasmtime.Store(engine)
    store.set_epoch_deadline(1 << 62)
    linker = wasmtime.Linker(engine)
    _BootHost(hashlib.sha256(tree).digest(), on_output).link(linker)
    try:
        exports = linker.instantiate(store, module).exports(store)

        def call(name: str, *arguments: int) -> int:
            function = exports[name]
            assert isinstance(function, wasmtime.Func)
            return int(function(store, *arguments) or 0)

        memory = exports["memory"]
        table = exports[f"{_GLOBAL_PREFIX}table"]
        assert isinstance(memory, wasmtime.Memory)
        assert isinstance(table, wasmtime.Table)
        table_size = table.size(store)
        call("_initialize")
        address = call("wx_fs_reserve", len(tree)) & 0xFFFFFFFF
        if address == 0:
            raise SnapshotError(f"the guest has no memory for its {len(tree):,} bytes of files")
        memory.write(store, tree, address)
        if code := call("wx_fs_commit"):
            raise SnapshotError(f"the guest refused its file tree (code {code})")
        if code := call("wx_boot"):
            raise SnapshotError(f"the guest's boot failed (code {code})")
        channel = call("wx_channel") & 0xFFFFFFFF
        if table.size(store) != table_size:
            raise SnapshotError("the function table grew while booting; a snapshot cannot hold that")
        values = {}
        for name, item in zip(exports.keys(), exports.values(), strict=True):
            if name.startswith(_GLOBAL_PREFIX) and isinstance(item, wasmtime.Global):
                values[int(name.removeprefix(_GLOBAL_PREFIX))] = int(item.value(store))
        size = memory.data_len(store)
        content = ctypes.string_at(memory.data_ptr(store), size)
    except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
        raise SnapshotError(f"the guest trapped while booting: {error}") from error
    return Booted(content, values, channel)


def write_sparse(memory: bytes, target: Path) -> None:
    """Write the memory as a file of its size in which pages of zeros are holes."""
    zero = bytes(_OS_PAGE)
    with target.open("wb") as file:
        for start in range(0, len(memory), _OS_PAGE):
            page = memory[start : start + _OS_PAGE]
            if page != zero:
                file.seek(start)
                file.write(page)
        file.truncate(len(memory))


def freeze(binary: bytes, booted: Booted) -> bytes:
    """The module as it is after booting, without its data: the host gives every instance the booted memory.

    Raises:
        SnapshotError: the module copies data by instructions, or has a mutable global of a type that cannot be frozen.
    """
    module = Module(binary)
    if module.has_passive_data():
        raise SnapshotError("the module has passive data segments, which a snapshot would lose")
    module.set_globals([_with_value(g, booted.globals.get(g.index)) for g in module.globals()])
    module.set_exports([e for e in module.exports() if e.name not in BUILD_EXPORTS])
    module.replace(START, None)
    module.replace(DATA, None)
    module.replace(DATA_COUNT, None)
    module.drop_custom()
    pages = len(booted.memory) // PAGE
    _, maximum = module.memory_limits()
    module.set_memory_limits(pages, maximum)
    return module.binary()


def _with_value(item: Global, value: int | None) -> Global:
    if not item.is_mutable or value is None:
        return item
    if item.value_type not in (I32, I64):
        raise SnapshotError(f"global {item.index} is mutable and not an integer")
    opcode = b"\x41" if item.value_type == I32 else b"\x42"
    return dataclasses.replace(item, initial=opcode + signed_leb(value))


def _compile(guest: Path, target: Path) -> None:
    engine = wasmtime.Engine(boot_config())
    target.write_bytes(wasmtime.Module(engine, instrumented(guest.read_bytes())).serialize())


def _take(guest: Path, compiled: Path, tree: Path, target: Path, memory: Path, facts: Path) -> None:
    engine = wasmtime.Engine(boot_config())
    module = wasmtime.Module.deserialize_file(engine, str(compiled))
    booted = boot(engine, module, tree.read_bytes(), lambda text: (sys.stderr.buffer.write(text), sys.stderr.flush()))
    frozen = freeze(guest.read_bytes(), booted)
    target.write_bytes(frozen)
    write_sparse(booted.memory, memory)
    facts.write_text(
        json.dumps({"channel_address": booted.channel_address, "module_sha256": hashlib.sha256(frozen).hexdigest()}),
        encoding="utf-8",
    )
    print(f"memory {len(booted.memory):,} bytes, module {len(frozen):,} bytes")


def main(argv: list[str]) -> int:
    """Run `compile` or `take`; the exit status."""
    failure: list[BaseException] = []

    def work() -> None:
        try:
            paths = [Path(argument) for argument in argv[1:]]
            if argv[0] == "compile":
                _compile(*paths)
            else:
                _take(*paths)
        # Reported by the main thread, whatever it is.
        except BaseException as error:
            failure.append(error)

    # The guest may go as deep as the engine's own limit, which is more than a main thread's stack.
    threading.stack_size(STACK_BYTES)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if not failure:
        return 0
    if isinstance(failure[0], BuildError):
        print(failure[0], file=sys.stderr)
        return 1
    raise failure[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
