"""`Vault`: seals bytes for one place in the store, and opens them there and nowhere else: AES-256-GCM.

    sealed = 1 | id of the sealing key (8) | random (28) | ciphertext | tag (16)

Each value has a key of its own, HMAC-SHA256 of the sealing key over the first 16 of the random bytes, and the other 12
as its nonce: under one key alone, random nonces were safe for some four billion values only.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ...errors import ConfigError
from .key_file import ID_BYTES, SealingKey
from .places import Place, SealError

_FORM: Final = b"\x01"
_SALT_BYTES, _NONCE_BYTES, _TAG_BYTES = 16, 12, 16
_HEAD_BYTES: Final = len(_FORM) + ID_BYTES + _SALT_BYTES + _NONCE_BYTES
_PIECE_BYTES: Final = 64 * 1024
"""Ciphering keeps the interpreter's lock: between pieces others get it."""


class Vault:
    """The sealing keys; the first seals.

    Raises:
        ConfigError: there is none.
    """

    def __init__(self, keys: Sequence[SealingKey]) -> None:
        if not keys:
            raise ConfigError("a vault needs a key")
        self._keys = {key.id: key.secret for key in keys}
        self.key_id = keys[0].id

    def seal(self, data: bytes, place: Place) -> bytes:
        """Bytes that only `open` with the same place makes `data` again."""
        random = os.urandom(_SALT_BYTES + _NONCE_BYTES)
        head = _FORM + self.key_id + random
        cipher = Cipher(algorithms.AES(_own_key(self._keys[self.key_id], random)), modes.GCM(random[_SALT_BYTES:]))
        encryptor = cipher.encryptor()
        encryptor.authenticate_additional_data(_bound(head, place))
        pieces = [encryptor.update(piece) for piece in _pieces(data)]
        return b"".join([head, *pieces, encryptor.finalize(), encryptor.tag])

    def open(self, sealed: bytes, place: Place) -> bytes:
        """What was sealed for a place.

        Raises:
            SealError: it was not sealed for this place, was changed, or its key is not there.
        """
        if len(sealed) < _HEAD_BYTES + _TAG_BYTES or not sealed.startswith(_FORM):
            raise SealError(f"{place.kind} {place.id} is not sealed")
        head, body, tag = sealed[:_HEAD_BYTES], memoryview(sealed)[_HEAD_BYTES:-_TAG_BYTES], sealed[-_TAG_BYTES:]
        key = self._keys.get(sealing_key_id(sealed))
        if key is None:
            raise SealError(f"{place.kind} {place.id} is sealed with the key {sealing_key_id(sealed).hex()}, "
                            "which is not there")  # fmt: skip
        random = head[-_SALT_BYTES - _NONCE_BYTES :]
        decryptor = Cipher(algorithms.AES(_own_key(key, random)), modes.GCM(random[_SALT_BYTES:], tag)).decryptor()
        decryptor.authenticate_additional_data(_bound(head, place))
        pieces = [decryptor.update(piece) for piece in _pieces(body)]
        try:
            pieces.append(decryptor.finalize())
        except InvalidTag:
            raise SealError(f"{place.kind} {place.id} was changed, or is in the place of another") from None
        return b"".join(pieces)


def sealing_key_id(sealed: bytes) -> bytes:
    """The id of the key that sealed it."""
    return sealed[len(_FORM) : len(_FORM) + ID_BYTES]


def _own_key(secret: bytes, random: bytes) -> bytes:
    return hmac.digest(secret, b"wasmexec sealed value" + random[:_SALT_BYTES], "sha256")


def _bound(head: bytes, place: Place) -> bytes:
    return head + msgspec.json.encode(place)


def _pieces(data: bytes | memoryview) -> Sequence[bytes | memoryview]:
    if len(data) <= _PIECE_BYTES:
        return (data,)
    view = memoryview(data)
    return [view[start : start + _PIECE_BYTES] for start in range(0, len(view), _PIECE_BYTES)]
