"""The puppet: a guest whose program is the text of the statement, so that a lie costs an instance and no compilation.

It has the interface of every image (`host/wasmexec/_guest/interface.py`) and is loaded as one, with real limits, memory
that is put back, calls and logs. A statement is `@@`, a digit that says whether the program also plays when the host
asks to compile it, and the program as hexadecimal digits: instructions of six words (kind, four arguments, the number
of bytes that follow) and their bytes. Where those bytes lie in the guest's memory is known when a program is written.
"""

from __future__ import annotations

import enum
import struct
from pathlib import Path

from tests.fake_guest import DONE, HEADER, OUTBOX, SCRATCH, WAITING, WHERE, FakeGuest, compiled
from tests.fake_guest import IMPORTS as ALL_IMPORTS

MARK = "@@"
PROGRAM_BYTES = 0x40000
REPLY = SCRATCH + PROGRAM_BYTES
REPLY_BYTES = 0x8000
IMPORTS = (
    ALL_IMPORTS
    + """
 (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
 (import "wasi_snapshot_preview1" "clock_res_get" (func $resolution (param i32 i32) (result i32)))
"""
)


class Do(enum.IntEnum):
    """What an instruction does; its arguments are `a` to `d`. Behind a program's end there are zeros: it traps."""

    TRAP = 0
    CALL = 1
    REPLY = 2
    SLEEP = 3
    STDIO = 4
    RANDOM = 5
    TIME = 6
    RESOLUTION = 7
    STORE = 8
    FILL = 9
    GROW = 10
    LOG = 11
    RETURN = 12
    BACK = 13
    WHERE = 14
    RESERVE = 15
    NEST = 16
    SPIN = 17


def _argument(index: int) -> str:
    return f"(i32.load (i32.add (local.get $at) (i32.const {4 * index + 4})))"


_A, _B, _C, _D, _SIZE = map(_argument, range(5))
_BODIES = {
    Do.LOG: f"(drop (call $log {_A} {_B} {_C}))",
    Do.CALL: f"(drop (call $call {_A} {_B} {_C} {_D}))",
    Do.REPLY: f"(drop (call $reply {_A} {_B}))",
    Do.SLEEP: "(drop (call $sleep (i64.load (i32.add (local.get $at) (i32.const 4)))))",
    Do.STDIO: f"(drop (call $stdio {_A} {_B} {_C}))",
    Do.RANDOM: f"(drop (call $random {_A} {_B}))",
    Do.TIME: f"(drop (call $time {_A} (i64.extend_i32_u {_B}) {_C}))",
    Do.RESOLUTION: f"(drop (call $resolution {_A} {_B}))",
    Do.STORE: f"(memory.copy {_A} (local.get $data) {_SIZE})",
    Do.FILL: f"(memory.fill {_A} {_B} {_C})",
    Do.GROW: f"(drop (memory.grow {_A}))",
    Do.TRAP: "(unreachable)",
    Do.RETURN: f"""(global.set $at (local.get $next)) (i32.store (i32.const {HEADER + 8}) {_B})
      (return {_A})""",
    Do.BACK: f"""(if (i32.lt_u (global.get $turns) {_B}) (then
      (global.set $turns (i32.add (global.get $turns) (i32.const 1)))
      (local.set $next (i32.sub (local.get $at) {_A}))))""",
    Do.WHERE: "(global.set $where_at (local.get $data))",
    Do.RESERVE: f"(global.set $reserved {_A})",
    Do.NEST: f"(drop (call $nest {_A}))",
    Do.SPIN: f"""(local.set $count {_A}) (loop $spin
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br_if $spin (local.get $count)))""",
}


_ORDER = sorted(Do)


def _switch() -> str:
    """Blocks inside each other, one for each kind of instruction; after each the next one is read."""
    opened = "".join(f"(block $k{kind.value} " for kind in reversed(_ORDER))
    table = " ".join(f"$k{kind.value}" for kind in _ORDER)
    closed = "".join(f") {_BODIES[kind]} (local.set $at (local.get $next)) (br $more)\n" for kind in _ORDER)
    return f"(block $wrong {opened} (br_table {table} $wrong (i32.load (local.get $at))) {closed})"


_PLAY = f"""
(global $at (mut i32) (i32.const 0))
(global $turns (mut i32) (i32.const 0))
(global $where_at (mut i32) (i32.const 0))
(global $reserved (mut i32) (i32.const 0))
(func $digit (param $c i32) (result i32)
  (if (i32.lt_u (i32.sub (local.get $c) (i32.const 48)) (i32.const 10))
    (then (return (i32.sub (local.get $c) (i32.const 48)))))
  (if (i32.lt_u (i32.sub (local.get $c) (i32.const 97)) (i32.const 6))
    (then (return (i32.sub (local.get $c) (i32.const 87)))))
  (i32.const -1))
(func $nest (param $depth i32) (result i32)
  (if (i32.eqz (local.get $depth)) (then (return (i32.const 0))))
  (i32.add (call $nest (i32.sub (local.get $depth) (i32.const 1))) (i32.const 1)))
;; Where the program begins in the inbox, just behind the mark; traps if there is none.
(func $find (result i32) (local $i i32)
  (local.set $i (i32.add (i32.load (i32.const {HEADER + 12})) (i32.const 4)))
  (loop $more
    (if (i32.eq (i32.load16_u (local.get $i)) (i32.const {int.from_bytes(MARK.encode(), "little")}))
      (then (return (i32.add (local.get $i) (i32.const 2)))))
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br $more))
  (unreachable))
(func $decode (param $from i32) (local $to i32) (local $high i32) (local $low i32)
  (local.set $to (i32.const {SCRATCH}))
  (block $over (loop $more
    (local.set $high (call $digit (i32.load8_u (local.get $from))))
    (local.set $low (call $digit (i32.load8_u (i32.add (local.get $from) (i32.const 1)))))
    (br_if $over (i32.lt_s (i32.or (local.get $high) (local.get $low)) (i32.const 0)))
    (i32.store8 (local.get $to) (i32.or (i32.shl (local.get $high) (i32.const 4)) (local.get $low)))
    (local.set $from (i32.add (local.get $from) (i32.const 2)))
    (local.set $to (i32.add (local.get $to) (i32.const 1)))
    (br $more)))
  (global.set $at (i32.const {SCRATCH})))
(func $play (param $at i32) (result i32) (local $data i32) (local $next i32) (local $count i32)
  (loop $more
    (local.set $data (i32.add (local.get $at) (i32.const 24)))
    (local.set $next (i32.add (local.get $data) {_SIZE}))
    {_switch()})
  (unreachable))
(func (export "_initialize"))
(func (export "wx_channel") (result i32) (i32.const {HEADER}))
(func (export "wx_reserve") (param $size i32) (result i32) (global.get $reserved))
(func (export "wx_where") (result i32)
  (if (i32.eqz (global.get $where_at)) (then (return (i32.const 2))))
  (call $play (global.get $where_at)))
(func (export "wx_step") (result i32) (local $from i32)
  (if (i32.eqz (global.get $at)) (then
    (local.set $from (call $find))
    (if (i32.and
        (i32.eq (i32.load (i32.add (i32.load (i32.const {HEADER + 12})) (i32.const 13)))
          (i32.const {int.from_bytes(b"comp", "little")}))
        (i32.eq (i32.load8_u (local.get $from)) (i32.const 48)))
      (then (i32.store (i32.const {HEADER + 8}) (i32.const {DONE})) (return (i32.const {DONE}))))
    (call $decode (i32.add (local.get $from) (i32.const 1)))))
  (call $play (global.get $at)))
"""


class Puppet(FakeGuest):
    """The module; its outbox holds what an honest guest answers when it is asked to compile."""

    def wat(self) -> str:
        """The module as text."""
        return f'(module {IMPORTS} (memory (export "memory") {self.pages}) {_PLAY})'


def build(folder: Path) -> Path:
    """Write the image; returns the manifest to give to `Executor`."""
    return Puppet(outbox=compiled(b"code")).build(folder, "puppet")


class Program:
    """Instructions one after the other; `statement` is the text to run."""

    def __init__(self, *, plays_when_compiled: bool = False) -> None:
        self._parts = bytearray()
        self._plays_when_compiled = plays_when_compiled

    @property
    def statement(self) -> str:
        """The program as a statement."""
        return f"{MARK}{int(self._plays_when_compiled)}{self._parts.hex()}\n"

    def do(self, kind: Do | int, *arguments: int, data: bytes = b"") -> int:
        """One instruction; gives the address of its bytes in the guest's memory. Arguments are cut to 32 bits."""
        words = [argument & 0xFFFFFFFF for argument in arguments] + [0] * (4 - len(arguments))
        address = SCRATCH + len(self._parts) + 24
        if len(self._parts) + 24 + len(data) > PROGRAM_BYTES:
            raise ValueError("the program is too long for the puppet")
        self._parts += struct.pack("<6I", kind, *words, len(data)) + data
        return address

    def next_data(self) -> int:
        """Where the bytes of the next instruction will lie."""
        return SCRATCH + len(self._parts) + 24

    def log(self, level: int, message: bytes, more: int = 0) -> None:
        """Write to the log, with a length that may be `more` than it is."""
        self.do(Do.LOG, level, self.next_data(), len(message) + more, data=message)

    def call(self, request: bytes, capacity: int = REPLY_BYTES, reply: int = REPLY) -> None:
        """Perform a host call while standing still."""
        self.do(Do.CALL, self.next_data(), len(request), reply, capacity, data=request)

    def word(self, index: int, value: int) -> None:
        """Set a word of the header."""
        self.do(Do.STORE, HEADER + 4 * index, data=struct.pack("<I", value & 0xFFFFFFFF))

    def where(self, data: bytes, more: int = 0) -> None:
        """What `wx_where` finds written, with a length that may be `more` than it is."""
        self.do(Do.STORE, WHERE, data=data)
        self.word(10, len(data) + more)

    def leave(self, frame: bytes, state: int = DONE, said: int | None = None) -> None:
        """Return to the host with this frame; `said` is the state that the header shows, the returned one if None."""
        self.do(Do.STORE, OUTBOX, data=frame)
        self.word(7, len(frame))
        self.do(Do.RETURN, state, state if said is None else said)

    def wait(self, frame: bytes) -> None:
        """Return to the host and wait."""
        self.leave(frame, WAITING)
