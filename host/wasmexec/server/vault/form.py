"""What tells something sealed from anything else, and with which key it was."""

from __future__ import annotations

from typing import Final

from .key_file import ID_BYTES

FORM: Final = b"\x01"
"""The first byte of everything that is sealed; no JSON begins with it."""


def sealing_key_id(sealed: bytes) -> bytes:
    """The id of the key that sealed it."""
    return sealed[len(FORM) : len(FORM) + ID_BYTES]
