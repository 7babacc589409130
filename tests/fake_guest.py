"""Hand-written guests that speak the channel's protocol, or break it on purpose.

They are small WebAssembly modules compiled into real images (code, memory and a manifest), so that a test drives them
through `Executor` exactly like the real guest.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass, field
from pathlib import Path

import wasmtime

from wasmexec._guest.engine import engine_config

HEADER = 1024
WHERE = 2048
INBOX = 0x10000
OUTBOX = 0x20000
SCRATCH = 0x30000
COMPILED_AT = 0x8000
BOX_BYTES = 0x10000
PAGES = 8
READY, RUNNING, WAITING, DONE, EXITED, FATAL = range(6)

IMPORTS = """
 (import "wasmexec" "log" (func $log (param i32 i32 i32) (result i32)))
 (import "wasmexec" "call" (func $call (param i32 i32 i32 i32) (result i32)))
 (import "wasmexec" "reply" (func $reply (param i32 i32) (result i32)))
 (import "wasmexec" "sleep" (func $sleep (param i64) (result i32)))
 (import "wasmexec" "stdio" (func $stdio (param i32 i32 i32) (result i32)))
 (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
"""


def frame(head: object, blob: bytes = b"") -> bytes:
    """A well-formed frame; `head` may be raw bytes instead of something to encode."""
    encoded = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<I", len(encoded)) + encoded + blob


def done(rows: bytes = b"[]", **more: object) -> bytes:
    """A done frame with rows."""
    return frame({"kind": "done", "outcome": "rows", "rows": [0, len(rows)], "count": 0, **more}, rows)


def compiled(code: bytes) -> bytes:
    """What a guest answers when it is asked to compile."""
    return frame({"kind": "done", "outcome": "compiled", "code": [0, len(code)]}, code)


def failed(error: object) -> bytes:
    """A done frame with an error."""
    return frame({"kind": "done", "outcome": "failed", "error": error})


def waiting(timer_seconds: float | None = None, **more: object) -> bytes:
    """A waiting frame."""
    return frame({"kind": "waiting", "calls": [], "cancels": [], "timer_seconds": timer_seconds, **more})


def call(name: str, *arguments: int) -> str:
    """A call of a host function with constants, as an expression."""
    return f"(call ${name} {' '.join(f'(i32.const {value})' for value in arguments)})"


def log(pointer: int, length: int, level: int = 2) -> str:
    """A log call whose answer is dropped."""
    return f"(drop {call('log', level, pointer, length)})"


def set_word(index: int, value: int) -> str:
    """A store to a word of the header."""
    return f"(i32.store (i32.const {HEADER + 4 * index}) (i32.const {value}))"


def times(count: int, body: str) -> str:
    """A loop inside wx_step."""
    return f"""(loop $again {body} (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const {count}))))"""


FOREVER = "(loop $forever (br $forever))"


@dataclass(kw_only=True)
class FakeGuest:
    """One module; the default is honest and returns `[]`.

    `step` is the body of wx_step, run before `outbox` is announced; the state it leaves in `$state` (DONE unless it
    sets another) is written to the header and returned. What the host asks it to compile it compiles to `compiled`, and
    does nothing else. `header` overrides words of the header by index, `data` puts
    bytes at addresses.
    """

    step: str = ""
    outbox: bytes = field(default_factory=done)
    state: int = DONE
    header: dict[int, int] = field(default_factory=dict)
    data: dict[int, bytes] = field(default_factory=dict)
    compiled: bytes = field(default_factory=lambda: compiled(b"code"))
    reserve: str = "(i32.const 0)"
    where: bytes = b"[]"
    where_step: str = ""
    extra: str = ""
    imports: str = IMPORTS
    omit_export: str = ""
    pages: int = PAGES

    def wat(self) -> str:
        """The module as text."""
        exports = {
            "_initialize": '(func (export "_initialize"))',
            "wx_channel": f'(func (export "wx_channel") (result i32) (i32.const {HEADER}))',
            "wx_reserve": f'(func (export "wx_reserve") (param $size i32) (result i32) {self.reserve})',
            "wx_where": f'(func (export "wx_where") (result i32) {self.where_step} (i32.const {len(self.where)}))',
            "wx_step": f"""(func (export "wx_step") (result i32) (local $state i32) (local $i i32) (local $j i64)
              (if (i32.eq (i32.load (i32.const {INBOX + 13})) (i32.const {int.from_bytes(b"comp", "little")}))
                (then {set_word(6, COMPILED_AT)} {set_word(7, len(self.compiled))} {set_word(2, DONE)}
                  (return (i32.const {DONE}))))
              (global.set $steps (i32.add (global.get $steps) (i32.const 1)))
              (local.set $state (i32.const {self.state}))
              {self.step}
              (i32.store (i32.const {HEADER + 8}) (local.get $state))
              (local.get $state))""",
        }
        exports.pop(self.omit_export, None)
        body = "\n".join(exports.values())
        return f"""(module {self.imports} (memory (export "memory") {self.pages})
          (global $steps (mut i32) (i32.const 0)) (table 1 funcref) (type $void (func))
          {body} {self.extra})"""

    def memory(self) -> bytes:
        """What the instances' memory begins with."""
        words = [
            0x31435857, 1, READY, INBOX, 0, BOX_BYTES, OUTBOX, len(self.outbox), max(BOX_BYTES, len(self.outbox)),
            WHERE, len(self.where), 4096, 0, 0, 0, 0,
        ]  # fmt: skip
        for index, value in self.header.items():
            words[index] = value
        data = {
            HEADER: struct.pack("<16I", *words),
            WHERE: self.where,
            OUTBOX: self.outbox,
            COMPILED_AT: self.compiled,
            **self.data,
        }
        memory = bytearray(self.pages * 65536)
        for at, content in data.items():
            memory[at : at + len(content)] = content
        assert len(memory) == self.pages * 65536
        return bytes(memory)

    def build(self, folder: Path, name: str = "fake") -> Path:
        """Compile it and write an image; returns the manifest to give to `Executor`."""
        engine = wasmtime.Engine(engine_config())
        compiled = bytes(wasmtime.Module(engine, self.wat()).serialize())
        manifest = folder / f"{name}.json"
        facts: dict[str, object] = {
            "name": name, "stamp": "0" * 16, "wasmtime": "", "channel_address": HEADER, "modules": [], "packages": {},
            "built": "", "build_seconds": 0,
        }  # fmt: skip
        for part, suffix, content in (("code", "cwasm", compiled), ("memory", "memory", self.memory())):
            file = folder / f"{name}.{suffix}"
            file.write_bytes(content)
            facts[part] = {"file": file.name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        manifest.write_text(json.dumps(facts), encoding="utf-8")
        return manifest
