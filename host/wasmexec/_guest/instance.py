"""One fresh guest: a store, an instance of the image in it, and what its host functions do with guest memory."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Protocol

import wasmtime
from wasmtime import _bindings as bindings

from . import traps
from .channel import BadFrame, Channel, LinearMemory
from .interface import running, watch
from .memory import for_next_instance
from .traps import GuestTrap

if TYPE_CHECKING:
    from .engine import GuestModule

MAX_TABLE_ELEMENTS = 1_000_000
MAX_REQUEST_BYTES = 64 * 1024 * 1024
MAX_STDIO_BYTES = 1024 * 1024
_RANDOM_PIECE_BYTES = 64 * 1024
_REALTIME, _MONOTONIC = 0, 1
_BAD_DESCRIPTOR = 8
_CLOCK_IDS = 4
_CLOCK_MASK = 2**64 - 1


class StopGuest(Exception):
    """Raised by the owner of an instance inside a host function to end the guest there and then."""


class VirtualTime(Protocol):
    """Clocks and randomness in place of the system's; asked on the thread that runs the guest only."""

    @property
    def start(self) -> int:
        """Where the clock began, in nanoseconds since the epoch."""
        ...

    def ask(self) -> int:
        """The time in nanoseconds since the epoch, which every question advances."""
        ...

    def take(self, length: int) -> bytes:
        """The next random bytes."""
        ...


class Owner(Protocol):
    """What an instance asks of the execution that owns it, always on the thread that runs the guest.

    Any of these may raise `StopGuest` or `BadFrame`; the call into the guest then raises it and must be the last.
    """

    def guest_log(self, level: int, message: memoryview) -> bool:
        """Take one message; False when the log is full."""
        ...

    def guest_call(self, request: memoryview) -> bytes:
        """Answer a request frame with a reply frame."""
        ...

    def guest_sleep(self, seconds: float) -> None:
        """Block for that long."""
        ...

    def guest_stdio(self, fd: int, data: bytes) -> None:
        """Take raw output of the guest's C code."""
        ...

    def guest_tick(self) -> None:
        """Called every few milliseconds while the guest runs."""
        ...


class Instance:
    """A guest that nobody has used before; close it after use, never give it to another execution.

    Usable from any one thread at a time. memory_bytes: what its memory may grow to. program: see `MemoryPool.take`.
    virtual: replaces the system's clocks and randomness.

    Raises:
        GuestTrap: the instance could not be created (no memory, no address space).
    """

    def __init__(
        self, guest: GuestModule, owner: Owner, memory_bytes: int, virtual: VirtualTime | None = None, program: int = 0
    ) -> None:
        self.fault: BaseException | None = None
        self._owner = owner
        self._virtual = virtual
        self._reply = b""
        self._pool = guest.memories
        try:
            self._memory = memory = guest.memories.take(memory_bytes, program)
        except OSError as no_room:
            raise GuestTrap("engine", f"no room for its memory ({no_room.strerror})") from None
        self.memory = LinearMemory(memory.base, lambda: memory.size)
        self._store = store = wasmtime.Store(guest.engine)
        try:
            # The memory itself has its limit.
            store.set_limits(table_elements=MAX_TABLE_ELEMENTS, instances=1, tables=8, memories=1)
            if virtual is None:
                pre = guest.pre
                store.set_wasi(wasmtime.WasiConfig())
            else:
                pre = guest.virtual_pre
            watch(store)
            self._context = store._context()
            self._instance = bindings.wasmtime_instance_t()
            trap = ctypes.POINTER(bindings.wasm_trap_t)()
            running.instance = self
            try:
                with for_next_instance(memory):
                    error = bindings.wasmtime_instance_pre_instantiate(
                        pre.ptr(), self._context, ctypes.byref(self._instance), ctypes.byref(trap)
                    )
            finally:
                running.instance = None
            self._raise_failure(error, trap)
            self.channel = Channel(self.memory, guest.channel_address, self._reserve)
            self._step = self._export(b"wx_step").func
        except BaseException:
            self.close()
            raise

    @property
    def was_refused_memory(self) -> bool:
        """Whether the guest asked for more memory than it may have."""
        return self._memory.was_refused

    def step(self) -> int:
        """Run the guest until it waits, is done or dies.

        Raises:
            GuestTrap: it did not return.
            BaseException: whatever a method of the owner raised, `StopGuest` included.
        """
        return self._call(self._step)

    def where(self) -> bytes:
        """Ask a stopped guest where the statement was: JSON that nobody has checked.

        Raises:
            GuestTrap, BadFrame, StopGuest: the guest is in no state to tell.
        """
        self._call(self._export(b"wx_where").func)
        return self.channel.where()

    def close(self) -> None:
        """End the guest and give its memory back; every view of it must be gone."""
        self._store.close()
        self._pool.give_back(self._memory)

    def _reserve(self, length: int) -> int:
        return self._call(self._export(b"wx_reserve").func, length) & 0xFFFFFFFF

    def _export(self, name: bytes) -> Any:
        item = bindings.wasmtime_extern_t()
        if not bindings.wasmtime_instance_export_get(
            self._context, ctypes.byref(self._instance), name, len(name), ctypes.byref(item)
        ):
            raise BadFrame(f"the module exports no {name.decode()}")
        return item.of

    def _call(self, function: Any, argument: int = 0) -> int:
        values = (bindings.wasmtime_val_raw_t * 1)()
        values[0].i32 = argument
        trap = ctypes.POINTER(bindings.wasm_trap_t)()
        self.fault = None
        running.instance = self
        try:
            error = bindings.wasmtime_func_call_unchecked(
                self._context, ctypes.byref(function), values, 1, ctypes.byref(trap)
            )
        finally:
            running.instance = None
        if error or trap:
            self._raise_failure(error, trap)
        result: int = values[0].i32
        return result

    def _raise_failure(self, error: Any, trap: Any) -> None:
        failure = traps.from_error(error) if error else traps.from_trap(trap) if trap else None
        fault, self.fault = self.fault, None
        if fault is not None:
            # The engine only reports that a host function refused; the reason is ours.
            raise fault
        if failure is not None:
            raise failure

    def host_log(self, level: int, pointer: int, length: int) -> int:
        return 0 if self._owner.guest_log(level, self.memory.view(pointer, length)) else 1

    def host_call(self, request: int, request_length: int, reply: int, reply_capacity: int) -> int:
        if request_length > MAX_REQUEST_BYTES:
            raise BadFrame(f"request of {request_length} bytes, at most {MAX_REQUEST_BYTES} allowed")
        self.memory.check(reply, reply_capacity)
        answer = self._owner.guest_call(self.memory.view(request, request_length))
        if len(answer) > reply_capacity:
            self._reply = answer
        else:
            self.memory.write(reply, answer)
        return len(answer)

    def host_reply(self, pointer: int, capacity: int) -> int:
        answer, self._reply = self._reply, b""
        if not answer or len(answer) > capacity:
            raise BadFrame(f"a reply of {len(answer)} bytes was fetched into {capacity}")
        self.memory.write(pointer, answer)
        return len(answer)

    def host_sleep(self, nanoseconds: int) -> int:
        self._owner.guest_sleep(max(0, nanoseconds) / 1e9)
        return 0

    def host_stdio(self, fd: int, pointer: int, length: int) -> int:
        self.memory.check(pointer, length)
        # As much as is kept of it: a secret that is cut here would be found no more.
        taken = min(length, MAX_STDIO_BYTES)
        self._owner.guest_stdio(fd, self.memory.read(pointer + length - taken, taken))
        return 0

    def host_random_get(self, pointer: int, length: int) -> int:
        assert self._virtual is not None
        self.memory.check(pointer, length)
        end = pointer + length
        while pointer < end:
            piece = self._virtual.take(min(end - pointer, _RANDOM_PIECE_BYTES))
            self.memory.write(pointer, piece)
            pointer += len(piece)
            if pointer < end:
                self._owner.guest_tick()
        return 0

    def host_clock_time_get(self, clock: int, precision: int, pointer: int) -> int:
        assert self._virtual is not None
        if clock not in (_REALTIME, _MONOTONIC):
            return _other_clock(clock)
        now = self._virtual.ask()
        if clock == _MONOTONIC:
            now -= self._virtual.start
        # As it is in C: after the year 2554 it starts again.
        self.memory.write(pointer, (now & _CLOCK_MASK).to_bytes(8, "little"))
        return 0

    def host_clock_res_get(self, clock: int, pointer: int) -> int:
        if clock not in (_REALTIME, _MONOTONIC):
            return _other_clock(clock)
        self.memory.write(pointer, (1).to_bytes(8, "little"))
        return 0

    def host_tick(self) -> None:
        self._owner.guest_tick()


def _other_clock(clock: int) -> int:
    """What the engine's own WASI does about the clocks that it does not have."""
    if clock < _CLOCK_IDS:
        return _BAD_DESCRIPTOR
    raise BadFrame(f"there is no clock {clock}")
