"""Every way in which wasmtime reports a failure, turned into one small exception of ours."""

from __future__ import annotations

from typing import Any

import wasmtime


class GuestTrap(Exception):
    """A call into the guest did not return.

    `code` is a short stable name ("unreachable", "stack-overflow", "memory-out-of-bounds", ...; "stopped" when the
    host ended it, "engine" for anything that is not a trap), `detail` the engine's own text, for diagnosis only.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


DESCRIPTIONS = {
    "stack-overflow": "the guest ran out of stack",
    "memory-out-of-bounds": "the guest accessed memory that it does not have",
    "table-out-of-bounds": "the guest called a function that does not exist",
    "indirect-call-to-null": "the guest called a null function",
    "bad-signature": "the guest called a C function with the wrong signature",
    "unreachable": "the guest aborted",
    "uncaught-exception": "a C++ exception was not caught in the guest",
    "allocation-too-large": "the guest asked for more memory than it may have",
}
"""What to tell people; codes that are not listed describe themselves."""


def from_trap(pointer: Any) -> GuestTrap:
    """The exception for a `wasm_trap_t*`, which is consumed."""
    trap = wasmtime.Trap._from_ptr(pointer)
    code = trap.trap_code
    # Only exceptions that leave the guest come without a code (and traps of host functions, whose reason is elsewhere).
    name = "uncaught-exception" if code is None else code.name.lower().replace("_", "-")
    return GuestTrap(name, _first_line(trap.message))


def from_error(pointer: Any) -> GuestTrap:
    """The exception for a `wasmtime_error_t*`, which is consumed."""
    return GuestTrap("engine", _first_line(str(wasmtime.WasmtimeError._from_ptr(pointer))))


def describe(code: str) -> str:
    """A trap code as words."""
    return DESCRIPTIONS.get(code, code.replace("-", " "))


def _first_line(text: str) -> str:
    causes = text.partition("Caused by:")[2].split("\n")
    return next((line.strip() for line in (*causes, *text.split("\n")) if line.strip()), "")[:500]
