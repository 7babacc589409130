"""Reading and rewriting modules: what is written runs in the engine and has the frozen state."""

from pathlib import Path

import pytest
import wasmtime

from wasmbuild.snapshot import Booted, SnapshotError, freeze, instrumented, write_sparse
from wasmbuild.wasmfile import (
    DATA,
    DATA_COUNT,
    PAGE,
    START,
    Import,
    Module,
    Reader,
    WasmFormatError,
    leb,
    signed_leb,
)

COUNTER = """
(module
  (import "wasmexec" "log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (global $small (mut i32) (i32.const 7))
  (global $large (mut i64) (i64.const -1))
  (global $fixed i32 (i32.const 3))
  (table 2 funcref)
  (start $start)
  (func $start (i32.store (i32.const 16) (i32.const 99)))
  (func (export "wx_boot") (result i32)
    (global.set $small (i32.const -123456))
    (global.set $large (i64.const 0x123456789abcdef))
    (i32.store (i32.const 100000) (i32.const 42))
    (drop (memory.grow (i32.const 3)))
    (i32.store (i32.const 300000) (i32.const 43))
    (i32.const 0))
  (func (export "small") (result i32) (global.get $small))
  (func (export "large") (result i64) (global.get $large))
  (func (export "peek") (param i32) (result i32) (i32.load (local.get 0)))
  (data (i32.const 1024) "hello"))
"""


@pytest.fixture(scope="module")
def engine() -> wasmtime.Engine:
    return wasmtime.Engine()


@pytest.mark.parametrize("value", [0, 1, 63, 64, 127, 128, 300, 2**31, 2**32 - 1])
def test_leb_round_trip(value: int) -> None:
    assert Reader(leb(value)).leb() == value
    assert Reader(signed_leb(value)).signed_leb() == value
    assert Reader(signed_leb(-value)).signed_leb() == -value


def test_unchanged_module_is_written_as_it_was() -> None:
    binary = bytes(wasmtime.wat2wasm(COUNTER))
    assert Module(binary).binary() == binary
    assert Module(binary).imports() == [Import("wasmexec", "log", 0)]
    assert Module(binary).memory_limits() == (2, None)
    assert [(g.index, g.is_mutable) for g in Module(binary).globals()] == [(0, True), (1, True), (2, False)]


def run_boot(engine: wasmtime.Engine, binary: bytes) -> Booted:
    store = wasmtime.Store(engine)
    linker = wasmtime.Linker(engine)
    i32 = wasmtime.ValType.i32()
    linker.define_func("wasmexec", "log", wasmtime.FuncType([i32, i32, i32], [i32]), lambda a, b, c: 0)
    exports = linker.instantiate(store, wasmtime.Module(engine, instrumented(binary))).exports(store)
    boot, memory = exports["wx_boot"], exports["memory"]
    assert isinstance(boot, wasmtime.Func)
    assert isinstance(memory, wasmtime.Memory)
    boot(store)
    values = {}
    for index in (0, 1):
        item = exports[f"wx_build_global_{index}"]
        assert isinstance(item, wasmtime.Global)
        values[index] = item.value(store)
    return Booted(bytes(memory.read(store)), values, 0)


def test_frozen_module_and_memory_go_on_where_the_booted_one_was(engine: wasmtime.Engine) -> None:
    binary = bytes(wasmtime.wat2wasm(COUNTER))
    booted = run_boot(engine, binary)
    frozen = freeze(binary, booted)
    store = wasmtime.Store(engine)
    linker = wasmtime.Linker(engine)
    i32 = wasmtime.ValType.i32()
    linker.define_func("wasmexec", "log", wasmtime.FuncType([i32, i32, i32], [i32]), lambda a, b, c: 0)
    exports = linker.instantiate(store, wasmtime.Module(engine, frozen)).exports(store)
    memory = exports["memory"]
    assert isinstance(memory, wasmtime.Memory)
    assert memory.data_len(store) == len(booted.memory) == 5 * PAGE
    assert not any(memory.read(store))
    memory.write(store, booted.memory)

    def call(name: str, *arguments: int) -> int:
        function = exports[name]
        assert isinstance(function, wasmtime.Func)
        return int(function(store, *arguments))

    assert [call("peek", address) for address in (16, 100_000, 300_000, 1024)] == [99, 42, 43, 0x6C6C6568]
    assert (call("small"), call("large")) == (-123456, 0x123456789ABCDEF)
    assert "wx_boot" not in [item.name for item in Module(frozen).exports()]
    assert [Module(frozen).section(number) for number in (START, DATA, DATA_COUNT)] == [None] * 3


def test_freezing_is_deterministic(engine: wasmtime.Engine) -> None:
    binary = bytes(wasmtime.wat2wasm(COUNTER))
    assert freeze(binary, run_boot(engine, binary)) == freeze(binary, run_boot(engine, binary))


def test_memory_is_written_as_it_is_with_holes_for_zeros(tmp_path: Path) -> None:
    memory = bytearray(256 * PAGE)
    memory[4096 + 5] = memory[200 * PAGE] = 1
    target = tmp_path / "image.memory"
    write_sparse(bytes(memory), target)
    assert target.read_bytes() == memory
    assert target.stat().st_blocks * 512 < len(memory) / 8


def test_passive_data_is_refused() -> None:
    text = '(module (memory 1) (func (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1))) (data "x"))'
    with pytest.raises(SnapshotError, match="passive data"):
        freeze(bytes(wasmtime.wat2wasm(text)), Booted(bytes(PAGE), {}, 0))


@pytest.mark.parametrize("binary", [b"", b"\0asm\2\0\0\0", b"\0asm\1\0\0\0\1\5ab"])
def test_what_is_no_module_is_refused(binary: bytes) -> None:
    with pytest.raises(WasmFormatError):
        Module(binary)
