"""The C module of the guest (guest/native): the channel to the host and what must be fast."""

from collections.abc import Callable
from typing import Final

class EncodeError(Exception):
    """A value of the rows has no JSON form. `pointer` is a JSON pointer, `value` a short repr."""

    pointer: Final[str]
    rule: Final[str]
    value: Final[str]

class OutputTooLarge(Exception):
    """The rows as JSON exceed the limit; `used` is the size at which encoding stopped, in bytes."""

    used: Final[int]

def take_inbox() -> tuple[str, memoryview]: ...
def put_outbox(head: bytes | str, blob: bytes | bytearray | memoryview = b"") -> None: ...
def call(head: str | bytes, blob: bytes | bytearray | memoryview = b"") -> tuple[str, bytes]: ...
def log(level: int, message: str) -> bool: ...
def encode_rows(
    rows: list[object], convert: Callable[[object], object], max_bytes: int, max_keys: int, max_depth: int
) -> memoryview: ...
def reseed_crypto() -> None: ...
