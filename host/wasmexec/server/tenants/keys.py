"""API keys: `wx_<id>_<secret><checksum>`, of which only the SHA-256 is kept.

The id is public and finds the record. The secret is 256 random bits. The checksum tells a mistyped key from an unknown
one without a look at the store, and lets scanners of source code be sure of what they found.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
import zlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, NamedTuple

from ...errors import ConfigError, WasmexecError

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_BYTES, _ID_LENGTH = 11, 15
_SECRET_BYTES, _SECRET_LENGTH = 32, 43
_CHECKSUM_LENGTH = 6
_PARTS = re.compile(
    rf"(?P<signed>wx_(?P<id>[0-9A-Za-z]{{{_ID_LENGTH}}})_[0-9A-Za-z]{{{_SECRET_LENGTH}}})"
    rf"(?P<checksum>[0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)
KEY_LENGTH: Final = len("wx_") + _ID_LENGTH + len("_") + _SECRET_LENGTH + _CHECKSUM_LENGTH
# Compared with where there is no record, so that an unknown id takes as long as a wrong secret.
_NO_DIGEST = bytes(32)


OPERATOR = "operator"
"""The name in place of a tenant's that the operator's own keys have."""


class Actor(NamedTuple):
    """Who makes a change: the tenant whose key it was (or the operator), and the id of the key."""

    by: str
    key_id: str


SERVER: Final = Actor("server", "")
"""What the server does of itself."""


class Scope(StrEnum):
    """What a key may do; none includes another."""

    RUN = "run"
    """Submit and cancel runs."""
    READ = "read"
    """Look at runs, rows, logs, usage and quotas."""
    STEPS = "steps"
    """Write steps and their checkpoints."""
    SECRETS = "secrets"
    """Write secrets, which nobody reads."""
    KEYS = "keys"
    """Issue, rotate and revoke keys of the same tenant, with no more scopes than one has."""
    ADMIN = "admin"
    """Tenants, ceilings and nodes: the operator's."""


class KeyRefused(WasmexecError):
    """A key was not accepted; neither the message nor a field has any of its text.

    `rule` is "form", "checksum", "unknown" (no such id, or another secret), "revoked", "expired" or "scope".
    Only who has shown the secret is told more than "unknown".
    """

    rule: str
    scope: str | None

    def __init__(self, rule: str, message: str, *, scope: str | None = None) -> None:
        super().__init__(message)
        self.rule = rule
        self.scope = scope


class Key:
    """A key as its holder has it; neither `repr` nor `str` shows the secret."""

    __slots__ = ("_text", "id")

    def __init__(self, key_id: str, text: str) -> None:
        self.id = key_id
        self._text = text

    @classmethod
    def parse(cls, text: str) -> Key:
        """The key that a text is, nothing around it.

        Raises:
            KeyRefused: rule "form" or "checksum".
        """
        # SECURITY: nothing of the text goes into a message: it may be a key with one wrong letter.
        match = _PARTS.fullmatch(text) if len(text) == KEY_LENGTH else None
        if match is None:
            raise KeyRefused("form", f"an API key is wx_, an id, _ and a secret: {KEY_LENGTH} characters in all")
        if match["checksum"] != _checksum(match["signed"]):
            raise KeyRefused("checksum", "the API key was mistyped or cut: its checksum does not fit")
        return cls(match["id"], text)

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the whole text, which is what is kept of it."""
        return hashlib.sha256(self._text.encode("ascii")).digest()

    def reveal(self) -> str:
        """The text, to be shown once to whom the key is for."""
        return self._text

    def __repr__(self) -> str:
        return f"Key('wx_{self.id}_...')"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a Key is not pickled: keep its digest")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """What is kept of a key; times are seconds of the epoch, `expires_at` and `revoked_at` the first invalid moment.

    Keys of the same `name` and tenant follow each other by rotation.

    Raises:
        ConfigError: no scope, a time that is not finite, or a digest of another length.
    """

    id: str
    tenant: str
    name: str
    digest: bytes = field(repr=False)
    scopes: frozenset[Scope]
    created_at: float
    project: str | None = None
    expires_at: float | None = None
    revoked_at: float | None = None

    def __post_init__(self) -> None:
        if not self.scopes:
            raise ConfigError("keys: a key needs at least one scope")
        if len(self.digest) != 32:
            raise ConfigError("keys: a digest has 32 bytes")
        for at in (self.created_at, self.expires_at, self.revoked_at):
            if at is not None and not math.isfinite(at):
                raise ConfigError("keys: times must be finite")

    @property
    def actor(self) -> Actor:
        """Who makes what is asked for with it."""
        return Actor(self.tenant, self.id)

    def is_valid(self, now: float) -> bool:
        """Whether it is neither revoked nor expired."""
        return not any(at is not None and now >= at for at in (self.expires_at, self.revoked_at))

    def require(self, scope: Scope) -> None:
        """Return if the key has a scope.

        Raises:
            KeyRefused: rule "scope".
        """
        if scope not in self.scopes:
            has = ", ".join(sorted(self.scopes))
            message = f"the API key {self.id} has no scope {scope}, only {has}; who manages keys can issue another"
            raise KeyRefused("scope", message, scope=scope)


def find(key: Key, record: KeyRecord | None, now: float) -> KeyRecord:
    """The record that the store has for the id of a key, if the key is the one that was issued, and valid.

    SECURITY: an id that nobody has and a secret that is wrong take the same work and end the same.

    Raises:
        KeyRefused: rule "unknown", "revoked" or "expired".
    """
    digest = _NO_DIGEST if record is None else record.digest
    is_same = hmac.compare_digest(key.digest, digest)
    if record is None or not is_same:
        raise KeyRefused("unknown", "there is no such API key")
    if record.revoked_at is not None and now >= record.revoked_at:
        raise KeyRefused("revoked", f"the API key {record.id} was revoked")
    if record.expires_at is not None and now >= record.expires_at:
        raise KeyRefused("expired", f"the API key {record.id} has expired")
    return record


def issue(
    *,
    tenant: str,
    name: str,
    scopes: Iterable[Scope | str],
    now: float,
    project: str | None = None,
    lifetime_seconds: float | None = None,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[Key, KeyRecord]:
    """A new key, and what is kept of it.

    Raises:
        ConfigError: an unknown scope or none, or a lifetime that is not positive.
    """
    if lifetime_seconds is not None and not (math.isfinite(lifetime_seconds) and lifetime_seconds > 0):
        raise ConfigError(f"keys: lifetime_seconds must be positive, not {lifetime_seconds:,}")
    key_id = _base62(random_bytes(_ID_BYTES), _ID_LENGTH)
    signed = f"wx_{key_id}_{_base62(random_bytes(_SECRET_BYTES), _SECRET_LENGTH)}"
    key = Key(key_id, signed + _checksum(signed))
    record = KeyRecord(
        id=key_id,
        tenant=tenant,
        name=name,
        digest=key.digest,
        scopes=parse_scopes(scopes),
        created_at=now,
        project=project,
        expires_at=None if lifetime_seconds is None else now + lifetime_seconds,
    )
    return key, record


@dataclass(frozen=True, slots=True)
class Rotation:
    """A new key, its record, and the records of its name that change with it."""

    key: Key
    record: KeyRecord
    changed: tuple[KeyRecord, ...]


def rotate(
    records: Sequence[KeyRecord],
    *,
    now: float,
    overlap_seconds: float,
    lifetime_seconds: float | None = None,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> Rotation:
    """A key that takes the place of the newest valid one of a name, which stays valid for `overlap_seconds`.

    Every older one ends now, so that two are valid at most. The new key has the same scopes, and the lifetime that the
    newest had if no other is given.

    Raises:
        ConfigError: none of them is valid, they differ in tenant or name, or the overlap is negative.
    """
    if not (math.isfinite(overlap_seconds) and overlap_seconds >= 0):
        raise ConfigError(f"keys: overlap_seconds must be 0 or more, not {overlap_seconds:,}")
    if len({(record.tenant, record.name) for record in records}) > 1:
        raise ConfigError("keys: only keys of one tenant and one name are rotated together")
    valid = sorted((record for record in records if record.is_valid(now)), key=lambda record: record.created_at)
    if not valid:
        raise ConfigError("keys: there is no valid key to rotate; issue one")
    *older, newest = valid
    if lifetime_seconds is None and newest.expires_at is not None:
        lifetime_seconds = newest.expires_at - newest.created_at
    key, record = issue(
        tenant=newest.tenant,
        name=newest.name,
        scopes=newest.scopes,
        now=now,
        project=newest.project,
        lifetime_seconds=lifetime_seconds,
        random_bytes=random_bytes,
    )
    ends = [(newest, now + overlap_seconds), *((old, now) for old in older)]
    return Rotation(key, record, tuple(replace(old, expires_at=_earlier(old.expires_at, at)) for old, at in ends))


def parse_scopes(scopes: Iterable[Scope | str]) -> frozenset[Scope]:
    """Scopes by their names.

    Raises:
        ConfigError: one does not exist, or there is none.
    """
    if isinstance(scopes, str):
        raise ConfigError('keys: scopes must be a list, such as ["run", "read"]')
    found = set()
    for scope in scopes:
        try:
            found.add(Scope(scope))
        except ValueError:
            raise ConfigError(f"keys: there is no scope {scope!r}, only {', '.join(Scope)}") from None
    if not found:
        raise ConfigError("keys: a key needs at least one scope")
    return frozenset(found)


def check_delegation(asked: Collection[Scope], issuer: KeyRecord) -> None:
    """Return if a key may issue another with these scopes: it can hand on what it has, no more.

    Raises:
        KeyRefused: rule "scope".
    """
    issuer.require(Scope.KEYS)
    for scope in sorted(asked):
        issuer.require(scope)


def _earlier(one: float | None, other: float) -> float:
    return other if one is None else min(one, other)


def _base62(data: bytes, length: int) -> str:
    number, digits = int.from_bytes(data, "big"), []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode("ascii")).to_bytes(4, "big"), _CHECKSUM_LENGTH)
