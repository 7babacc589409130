"""What the commands of `wasmexec serve` share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ConfigError


@contextmanager
def server_extra() -> Iterator[None]:
    """Import what the server needs in here.

    Raises:
        ConfigError: a module is missing, and which extra has it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"serving needs {error.name}, which is not installed: pip install 'wasmexec[server]'"
        ) from None
