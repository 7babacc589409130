"""Fresh randomness for every execution.

The state of every generator is part of the image, so all instances would draw the same numbers. Each execution seeds
anew, from the operating system through `random_get`: `random`, numpy's global generator, OpenSSL. The rest (`secrets`,
`uuid4`, `numpy.random.default_rng`, `random.SystemRandom` in passlib and jose) asks the system at each use.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import uuid
from collections.abc import Callable
from typing import Any

import _wasmexec

_generator: random.Random = random._inst

# The C method itself: the Python one above it only adds what `clear` does once.
_seeders: list[Callable[[], object]] = [super(random.Random, _generator).seed, _wasmexec.reseed_crypto]


def _numpy_seeder(numpy: Any) -> Callable[[], None]:
    """Seeds numpy's legacy global generator with 256 bits: the same initialisation as `numpy.random.seed(array)`."""
    generator = numpy.random.mtrand._rand._bit_generator
    seed, frombuffer, word, urandom = generator._legacy_seeding, numpy.frombuffer, numpy.dtype("uint32"), os.urandom

    def reseed_numpy() -> None:
        seed(frombuffer(urandom(32), word))

    return reseed_numpy


def prepare() -> None:
    """Find the generators of this image. Called once, after everything is imported."""
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None:
        _seeders.append(_numpy_seeder(numpy))
    for name, module in list(sys.modules.items()):
        generator = getattr(module, "rng", None) if name.startswith("passlib.") else None
        if type(generator) is random.Random:
            _seeders.append(generator.seed)


def clear() -> None:
    """Clear what generators keep beside the state that `reseed` sets. Called last before the snapshot."""
    # Names and addresses drawn at random when first needed, and then kept.
    tempfile._name_sequence = None  # type: ignore[attr-defined]
    setattr(uuid, "_node", None)  # noqa: B010
    setattr(uuid, "_last_timestamp", None)  # noqa: B010
    setattr(_generator, "gauss_next", None)  # noqa: B010
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None:
        # Seeding the bit generator alone would leave half a pair of normal deviates behind.
        numpy.random.seed()


def reseed() -> None:
    """Seed every generator. Called at the start of each execution, before anything of the statement runs."""
    for seed in _seeders:
        seed()
