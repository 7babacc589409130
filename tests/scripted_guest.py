"""A hand-written guest that does what its input says: the frames it leaves and the host calls it makes are data.

One image serves any number of generated attacks: `script(...)` is the input of a run, or the statement of a check: a
list of actions as hexadecimal digits, which the guest decodes and carries out one by one.
"""

from __future__ import annotations

import struct
from pathlib import Path

from tests.fake_guest import DONE, HEADER, IMPORTS, INBOX, OUTBOX, SCRATCH, WAITING, WHERE, FakeGuest

_REPLY = 0x78000
_REPLY_BYTES = 0x4000
_CHECK_HEAD = '{"kind":"check","statement":"'
_FRAME, _LOG, _CALL, _SLEEP, _STDIO, _POKE, _CLOCK, _RANDOM = range(8)

_PLAY = f"""
(global $at (mut i32) (i32.const 0))
(func $digit (param $c i32) (result i32)
  (if (result i32) (i32.ge_u (local.get $c) (i32.const 97))
    (then (i32.sub (local.get $c) (i32.const 87))) (else (i32.sub (local.get $c) (i32.const 48)))))
(func $decode (local $from i32) (local $to i32) (local $end i32)
  (local.set $from (i32.add (i32.const {INBOX + 4}) (i32.load (i32.const {INBOX}))))
  (local.set $end (i32.add (i32.const {INBOX}) (i32.load (i32.const {HEADER + 16}))))
  (if (i32.eq (local.get $from) (local.get $end)) (then
    (local.set $from (i32.const {INBOX + 4 + len(_CHECK_HEAD)}))
    (local.set $end (i32.sub (local.get $end) (i32.const 2)))))
  (local.set $to (i32.const {SCRATCH}))
  (block $over (loop $more
    (br_if $over (i32.ge_u (local.get $from) (local.get $end)))
    (i32.store8 (local.get $to) (i32.add
      (i32.mul (call $digit (i32.load8_u (local.get $from))) (i32.const 16))
      (call $digit (i32.load8_u (i32.add (local.get $from) (i32.const 1))))))
    (local.set $from (i32.add (local.get $from) (i32.const 2)))
    (local.set $to (i32.add (local.get $to) (i32.const 1)))
    (br $more)))
  (global.set $at (i32.const {SCRATCH})))
(func $play (result i32) (local $kind i32) (local $arg i32) (local $size i32) (local $data i32)
  (if (i32.eqz (global.get $at)) (then (call $decode)))
  (loop $next
    (local.set $kind (i32.load (global.get $at)))
    (local.set $arg (i32.load (i32.add (global.get $at) (i32.const 4))))
    (local.set $size (i32.load (i32.add (global.get $at) (i32.const 8))))
    (local.set $data (i32.add (global.get $at) (i32.const 12)))
    (global.set $at (i32.add (local.get $data) (local.get $size)))
    (block $frame (block $log (block $call (block $sleep (block $stdio (block $poke (block $clock (block $random
      (br_table $frame $log $call $sleep $stdio $poke $clock $random (local.get $kind)))
      (drop (call $random (local.get $arg) (i32.load (local.get $data)))) (br $next))
      (drop (call $clock (local.get $arg) (i64.const 1) (i32.const {_REPLY}))) (br $next))
      (memory.copy (local.get $arg) (local.get $data) (local.get $size)) (br $next))
      (drop (call $stdio (local.get $arg) (local.get $data) (local.get $size))) (br $next))
      (drop (call $sleep (i64.load (local.get $data)))) (br $next))
      (drop (call $call (local.get $data) (local.get $size) (i32.const {_REPLY}) (local.get $arg))) (br $next))
      (drop (call $log (local.get $arg) (local.get $data) (local.get $size))) (br $next))
    (memory.copy (i32.const {OUTBOX}) (local.get $data) (local.get $size))
    (i32.store (i32.const {HEADER + 28}) (local.get $size))
    (return (local.get $arg)))
  (unreachable))
"""
_CLOCK_IMPORT = """
 (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
"""


def build(folder: Path) -> Path:
    """The image; returns the manifest to give to `Executor`."""
    guest = FakeGuest(step="(local.set $state (call $play))", extra=_PLAY, imports=IMPORTS + _CLOCK_IMPORT)
    return guest.build(folder, "scripted")


def script(*actions: bytes) -> bytes:
    """The input with which the guest does these things; after the last it breaks the channel."""
    return b"".join(actions).hex().encode()


def leaves(frame: bytes, state: int = DONE) -> bytes:
    """Return to the host with this frame, in this state."""
    return _action(_FRAME, state, frame)


def waits(frame: bytes) -> bytes:
    """Return to the host and wait."""
    return leaves(frame, WAITING)


def logs(level: int, message: bytes) -> bytes:
    """Write to the log."""
    return _action(_LOG, level, message)


def calls(request: bytes, capacity: int = _REPLY_BYTES) -> bytes:
    """Perform a host call while standing still."""
    return _action(_CALL, capacity, request)


def sleeps(nanoseconds: int) -> bytes:
    """Block."""
    return _action(_SLEEP, 0, struct.pack("<q", nanoseconds))


def prints(fd: int, data: bytes) -> bytes:
    """Raw output."""
    return _action(_STDIO, fd, data)


def pokes(address: int, data: bytes) -> bytes:
    """Write to its own memory, the header included."""
    return _action(_POKE, address, data)


def sets_word(index: int, value: int) -> bytes:
    """Set a word of the header."""
    return pokes(HEADER + 4 * index, struct.pack("<I", value))


def says_where(data: bytes, more: int = 0) -> bytes:
    """What `wx_where` answers, with a length that may be `more` than it is."""
    return pokes(WHERE, data) + sets_word(10, len(data) + more)


def asks_clock(clock: int) -> bytes:
    """Ask a clock."""
    return _action(_CLOCK, clock, b"")


def asks_random(pointer: int, length: int) -> bytes:
    """Ask for random bytes."""
    return _action(_RANDOM, pointer, struct.pack("<I", length))


def _action(kind: int, argument: int, data: bytes) -> bytes:
    return struct.pack("<3I", kind, argument, len(data)) + data
