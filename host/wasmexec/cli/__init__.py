"""The command line: `python -m wasmexec`, or `wasmexec`."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    from .group import invoke

    return invoke(arguments)


__all__ = ["main"]
