"""Random bytes for ids, of which the system is asked for many at once: each call lets another thread go first."""

from __future__ import annotations

import base64
import os
import time
from typing import Final

_POOL_BYTES: Final = 4096
_RANDOM_BYTES: Final = 14
_TIME_BYTES: Final = 4
_pool = b""
_at = 0


def random_bytes(count: int) -> bytes:
    """Bytes that nobody can guess, each given out once; for one thread."""
    global _pool, _at
    if _at + count > len(_pool):
        _pool, _at = os.urandom(max(count, _POOL_BYTES)), 0
    found = _pool[_at : _at + count]
    _at += count
    return found


def new_token() -> str:
    """24 characters of an address: the second in which they were made, and 112 bits that nobody can guess.

    Ids of runs that are made together stand together in the indexes of the store: a transaction changes a few pages of
    them, not one for each run.
    """
    second = int(time.time()) & 0xFFFF_FFFF
    made = second.to_bytes(_TIME_BYTES, "big") + random_bytes(_RANDOM_BYTES)
    return base64.urlsafe_b64encode(made).decode()
