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
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ...errors import ConfigError
from .form import FORM, sealing_key_id
from .key_file import ID_BYTES, SealingKey
from .places import Place, SealError

_SALT_BYTES, _NONCE_BYTES, _TAG_BYTES = 16, 12, 16
_HEAD_BYTES: Final = len(FORM) + ID_BYTES + _SALT_BYTES + _NONCE_BYTES
_PIECE_BYTES: Final = 64 * 1024
"""Ciphering keeps the interpreter's lock: between pieces others get it. What is no longer than one is done at once."""


class Vault:
    """The sealing keys; the first seals.

    Raises:
        ConfigError: there is none.
    """

    def __init__(self, keys: Sequence[SealingKey]) -> None:
        if not keys:
            raise ConfigError("a vault needs a key")
        # Copied for each value: to begin with the key takes twice as long.
        self._keys = {key.id: hmac.new(key.secret, b"wasmexec sealed value", "sha256") for key in keys}
        self.key_id = keys[0].id
        self.key_ids = frozenset(self._keys)

    def seal(self, data: bytes, place: Place) -> bytes:
        """Bytes that only `open` with the same place makes `data` again."""
        random = os.urandom(_SALT_BYTES + _NONCE_BYTES)
        head, own = FORM + self.key_id + random, _own_key(self._keys[self.key_id], random)
        nonce, bound = random[_SALT_BYTES:], _bound(head, place)
        if len(data) <= _PIECE_BYTES:
            return head + AESGCM(own).encrypt(nonce, data, bound)
        encryptor = Cipher(algorithms.AES(own), modes.GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(bound)
        pieces = [encryptor.update(piece) for piece in _pieces(data)]
        return b"".join([head, *pieces, encryptor.finalize(), encryptor.tag])

    def open(self, sealed: bytes, place: Place) -> bytes:
        """What was sealed for a place.

        Raises:
            SealError: it was not sealed for this place, was changed, or its key is not there.
        """
        if len(sealed) < _HEAD_BYTES + _TAG_BYTES or not sealed.startswith(FORM):
            raise SealError(f"{place.kind} {place.id} is not sealed")
        head, body, tag = sealed[:_HEAD_BYTES], memoryview(sealed)[_HEAD_BYTES:-_TAG_BYTES], sealed[-_TAG_BYTES:]
        key = self._keys.get(sealing_key_id(sealed))
        if key is None:
            raise SealError(f"{place.kind} {place.id} is sealed with the key {sealing_key_id(sealed).hex()}, "
                            "which is not there")  # fmt: skip
        random = head[-_SALT_BYTES - _NONCE_BYTES :]
        own, nonce, bound = _own_key(key, random), random[_SALT_BYTES:], _bound(head, place)
        try:
            if len(body) <= _PIECE_BYTES:
                return AESGCM(own).decrypt(nonce, sealed[_HEAD_BYTES:], bound)
            decryptor = Cipher(algorithms.AES(own), modes.GCM(nonce, tag)).decryptor()
            decryptor.authenticate_additional_data(bound)
            pieces = [decryptor.update(piece) for piece in _pieces(body)]
            pieces.append(decryptor.finalize())
        except InvalidTag:
            raise SealError(f"{place.kind} {place.id} was changed, or is in the place of another") from None
        return b"".join(pieces)


def _own_key(begun: hmac.HMAC, random: bytes) -> bytes:
    own = begun.copy()
    own.update(random[:_SALT_BYTES])
    return own.digest()


def _bound(head: bytes, place: Place) -> bytes:
    return head + msgspec.json.encode(place)


def _pieces(data: bytes | memoryview) -> Sequence[memoryview]:
    view = memoryview(data)
    return [view[start : start + _PIECE_BYTES] for start in range(0, len(view), _PIECE_BYTES)]
