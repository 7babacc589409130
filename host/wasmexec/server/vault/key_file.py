"""The file of sealing keys: one a line in Base64; the first seals, and each of them opens what it has sealed.

Lines that begin with # are remarks.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import secrets
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ...errors import ConfigError

KEY_BYTES: Final = 32
ID_BYTES: Final = 8
_MOST_BYTES = 64 * 1024
_MOST_KEYS = 100
_REMARK = "# Opens the secrets of a wasmexec server. Keep a copy, apart from those of its database.\n"


@dataclass(frozen=True, slots=True)
class SealingKey:
    """One key of 256 bits; its `id` follows from it and tells nothing of it."""

    secret: bytes = field(repr=False)

    @property
    def id(self) -> bytes:
        """Eight bytes that stand in everything that it has sealed."""
        return hmac.digest(self.secret, b"wasmexec sealing key", "sha256")[:ID_BYTES]


def read_key_file(file: Path) -> tuple[SealingKey, ...]:
    """The keys of a file, the one that seals first.

    SECURITY: a file that others may read or that belongs to somebody else is refused, not used with a warning.

    Raises:
        ConfigError: it cannot be read, is not safe from others, or is not a file of keys.
    """
    try:
        # What is no file must not hold the start up.
        with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb") as opened:
            _refuse_unsafe(file, os.fstat(opened.fileno()))
            content = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"the key file {file} cannot be read: {error.strerror}") from None
    if len(content) > _MOST_BYTES:
        raise ConfigError(f"the key file {file} has more than {_MOST_BYTES:,} bytes")
    # SECURITY: no message has anything of the content.
    keys = []
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip() or line.startswith(b"#"):
            continue
        try:
            secret = base64.b64decode(line.strip(), validate=True)
        except binascii.Error:
            secret = b""
        if len(secret) != KEY_BYTES:
            raise ConfigError(f"the key file {file}: line {number} is not a key of {KEY_BYTES} bytes in Base64")
        keys.append(SealingKey(secret))
    if not keys or len(keys) > _MOST_KEYS or len(set(keys)) < len(keys):
        raise ConfigError(f"the key file {file} must have 1 to {_MOST_KEYS} keys, each once; it has {len(keys):,}")
    return tuple(keys)


def make_key_file(file: Path) -> None:
    """A new file with a key of its own, for its owner only.

    Raises:
        ConfigError: there is one, or it cannot be written.
    """
    new = _written(file, [SealingKey(secrets.token_bytes(KEY_BYTES))])
    try:
        # Unlike a rename, it takes the place of no other file.
        os.link(new, file)
    except OSError as error:
        raise ConfigError(f"the key file {file} cannot be made: {error.strerror}") from None
    finally:
        new.unlink()
    _keep(file.parent)


def add_key(file: Path) -> tuple[SealingKey, ...]:
    """Put a new key at the beginning of a file; all keys of it.

    Raises:
        ConfigError: as `read_key_file`, or it cannot be written.
    """
    keys = (SealingKey(secrets.token_bytes(KEY_BYTES)), *read_key_file(file))
    # A link stays one.
    target = file.resolve()
    owner = target.stat()
    new = _written(target, keys)
    try:
        os.chown(new, owner.st_uid, owner.st_gid)
        os.replace(new, target)
    except OSError as error:
        new.unlink()
        raise ConfigError(f"the key file {file} cannot be replaced: {error.strerror}") from None
    _keep(target.parent)
    return keys


def _refuse_unsafe(file: Path, found: os.stat_result) -> None:
    """Raises: ConfigError: others may read or write the file."""
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"the key file {file} is not a file")
    if found.st_uid not in (os.geteuid(), 0):
        raise ConfigError(f"the key file {file} belongs to user {found.st_uid}, not to the server's, {os.geteuid()}")
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise ConfigError(f"the key file {file} is open to others (mode {mode:04o}): chmod 600 {file}")


def _written(file: Path, keys: Sequence[SealingKey]) -> Path:
    """A new file beside another, on the disk with its content."""
    new = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    text = _REMARK + "".join(base64.b64encode(key.secret).decode() + "\n" for key in keys)
    try:
        with open(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="ascii") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        raise ConfigError(f"the key file {file} cannot be written: {error.strerror}") from None
    return new


def _keep(folder: Path) -> None:
    """Have the names in a folder survive a power cut, too."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
