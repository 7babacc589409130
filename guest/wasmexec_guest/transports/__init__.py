"""Client libraries whose requests the host carries out: one module per library, installed at its own transport seam."""

from __future__ import annotations


def install() -> None:
    """Put the host behind the client libraries of this image; they must be importable."""
    from . import httpx

    httpx.install()
