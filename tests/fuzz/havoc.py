"""Changes of bytes that know nothing of what the bytes mean."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.fuzz.seeds import MAX_BYTES

_BYTES = (0, 1, 2, 7, 8, 0x0A, 0x0D, 0x20, 0x22, 0x2C, 0x30, 0x39, 0x5B, 0x5C, 0x7B, 0x7D, 0x7F, 0x80, 0xC3, 0xFE, 0xFF)


def new_input(chance: random.Random, corpus: Sequence[bytes]) -> bytes:
    """Random bytes, or something of the corpus with changes."""
    if not corpus or chance.random() < 0.3:
        return chance.randbytes(min(MAX_BYTES, int(chance.expovariate(1 / 120)) + 1))
    data = bytearray(chance.choice(corpus))
    for _ in range(1 << chance.randrange(5)):
        _change(chance, data, corpus)
    return bytes(data[:MAX_BYTES])


def _change(chance: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    end = min(len(data), at + 1 + int(chance.expovariate(1 / 8)))
    kind = chance.randrange(8)
    if kind == 0 and at < len(data):
        data[at] = chance.randrange(256)
    elif kind == 1 and at < len(data):
        data[at] = chance.choice(_BYTES)
    elif kind == 2 and at < len(data):
        data[at] ^= 1 << chance.randrange(8)
    elif kind == 3:
        del data[at:end]
    elif kind == 4:
        data[at:at] = data[at:end]
    elif kind == 5:
        data[at:at] = chance.randbytes(end - at + 1)
    elif kind == 6:
        other = chance.choice(corpus)
        start = chance.randrange(len(other) + 1)
        data[at:end] = other[start : start + 1 + chance.randrange(32)]
    else:
        data[at:end] = chance.randbytes(end - at)
