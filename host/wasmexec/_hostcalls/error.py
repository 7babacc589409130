"""`HostCallError`: how a host call says no."""

from __future__ import annotations


class HostCallError(Exception):
    """A host call that fails in a way that the guest is told about: a stable `code` and a `message` for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
