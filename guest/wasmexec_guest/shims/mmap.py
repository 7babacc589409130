"""Stands in for CPython's `mmap`: the names that pandas wants at import; mapping a file raises OSError."""

from __future__ import annotations

import errno
from typing import NoReturn

error = OSError
ACCESS_DEFAULT, ACCESS_READ, ACCESS_WRITE, ACCESS_COPY = range(4)
MAP_SHARED, MAP_PRIVATE, MAP_ANON, MAP_ANONYMOUS = 1, 2, 32, 32
PROT_READ, PROT_WRITE, PROT_EXEC = 1, 2, 4
PAGESIZE = ALLOCATIONGRANULARITY = 65_536


class mmap:
    """Raises: OSError: always."""

    def __new__(cls, *values: object, **options: object) -> NoReturn:
        raise OSError(errno.ENOSYS, "the guest cannot map files into memory: read them instead")
