"""Client libraries whose requests the host carries out: one module per library, installed at its own transport seam."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module

_LIBRARIES = ("httpx", "urllib3", "aiohttp")


def install(modules: Collection[str]) -> None:
    """Put the host behind the client libraries among `modules`, the names that this image can import."""
    import_module(".http_client", __name__).install()
    import_module(".headers", __name__).install(modules)
    for name in _LIBRARIES:
        if name in modules:
            import_module(f".{name}", __name__).install()
