"""The audit log: every change that somebody has made, each row chained to the one before it by SHA-256.

    hash = SHA-256(hash of the row before | canonical JSON of [number, at, tenant, by, actor, action, target, detail])

Numbers count from 1 without a gap; before the first row the hash is 32 zero bytes. Who can write to the database can
chain anew what follows a change: an `Anchor` that is kept elsewhere finds that, and rows cut off at the end, too.

What is older than is to be kept is deleted from the beginning on, and the same transaction adds a row `audit.cut` with
the number and the hash of the last that is gone: what is left is chained to that.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from ...errors import ConfigError
from ...store.database import Database, resolve_url
from ..tenants.keys import OPERATOR, SERVER, Actor
from .tables import audit as table

if TYPE_CHECKING:
    from .transactions import Transactions

TENANT_CREATE: Final = "tenant.create"
"""The action of the row with which a tenant begins."""
CUT: Final = "audit.cut"
"""The action of the row that tells which rows were deleted."""
_NO_HASH: Final = bytes(32)
_MICROSECONDS = 1_000_000
_DAY = 86_400
_MOST_CUT = 20_000
_TOGETHER = 500
_BUSY_SECONDS = 5.0


class AuditRow(NamedTuple):
    """One row; `at` is in microseconds of the epoch, `detail` a JSON text without secrets."""

    number: int
    at: int
    tenant: str
    by: str
    actor: str
    action: str
    target: str
    detail: str
    hash: bytes


class Anchor(NamedTuple):
    """How many rows there were, and the hash of the last of them: ROWS:HASH."""

    rows: int
    hash: bytes

    @classmethod
    def parse(cls, text: str) -> Anchor:
        """The anchor that a text is.

        Raises:
            ConfigError: it is none.
        """
        count, _, digits = text.partition(":")
        try:
            anchor = cls(int(count), bytes.fromhex(digits))
        except ValueError:
            anchor = cls(-1, b"")
        if anchor.rows < 0 or len(anchor.hash) != len(_NO_HASH):
            raise ConfigError("an anchor is ROWS:HASH, as `audit verify` prints it")
        return anchor

    def __str__(self) -> str:
        return f"{self.rows}:{self.hash.hex()}"


class Verdict(NamedTuple):
    """Whether the chain is whole: up to where, and what is wrong with the first row that does not fit.

    `cut` is how many rows were deleted at its beginning.
    """

    anchor: Anchor
    broken: int | None = None
    why: str | None = None
    cut: int = 0


def audit(
    connection: Connection, actor: Actor, tenant: str, action: str, target: str, detail: Mapping[str, Any]
) -> None:
    """Put a change on record, in the transaction that makes it; `tenant` is whose log has it, `detail` what to know.

    SECURITY: `detail` never has a secret, the text of a key, or a part of one.
    """
    last = connection.execute(select(table.c.number, table.c.hash).order_by(table.c.number.desc()).limit(1)).first()
    number, before = (0, _NO_HASH) if last is None else last
    row = AuditRow(
        number + 1, int(time.time() * _MICROSECONDS), tenant, actor.by, actor.key_id, action, target,
        msgspec.json.encode(detail).decode(), b"",
    )  # fmt: skip
    connection.execute(insert(table).values(row._replace(hash=_chained(before, row))._asdict()))


def cut(connection: Connection, older_than: float) -> bool:
    """Delete rows that are older than so many seconds; whether there may be more of them.

    That is put on record, and therefore done once a day.
    """
    before = int((time.time() - older_than) * _MICROSECONDS)
    first = connection.execute(select(table.c.number, table.c.at).order_by(table.c.number).limit(1)).first()
    if first is None or first.at >= before - _DAY * _MICROSECONDS:
        return False
    # A clock may have been set back: the first that is to be kept keeps all behind it.
    kept = select(table.c.number).where(table.c.at >= before).order_by(table.c.number).limit(1)
    last = connection.execute(select(func.max(table.c.number))).scalar_one()
    until = connection.execute(kept).scalar()
    number = min(last if until is None else until - 1, first.number + _MOST_CUT - 1)
    found = connection.execute(select(table.c.hash).where(table.c.number == number)).scalar_one()
    audit(connection, SERVER, OPERATOR, CUT, "audit", {"rows": number, "hash": found.hex()})
    connection.execute(delete(table).where(table.c.number <= number))
    return bool(number == first.number + _MOST_CUT - 1)


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What differs, as `detail` has it: {"before": {...}, "after": {...}}."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return {
        "before": {name: before[name] for name in names if name in before},
        "after": {name: after[name] for name in names if name in after},
    }


def verify(connection: Connection, anchor: Anchor | None = None) -> Verdict:
    """Follow the chain from its first row to its last.

    Raises:
        StoreError: it cannot be read.
    """
    start = _start(connection)
    count, last = start
    if anchor is not None and (anchor.rows < count or (anchor.rows == count and anchor.hash != last)):
        # SECURITY: whoever chains all anew can say that what an anchor has was deleted.
        why = f"the anchor has {anchor.rows:,} rows, and {count:,} were deleted: it proves nothing of what is left"
        return Verdict(start, count + 1, why, count)
    verdict = _follow(connection, start, anchor)
    return verdict._replace(cut=start.rows)


def _follow(connection: Connection, start: Anchor, anchor: Anchor | None) -> Verdict:
    """What follows where the chain begins."""
    count, last = start
    # From below zero: a row may have been put in before the first.
    after = -(2**63)
    while rows := connection.execute(
        select(table).where(table.c.number > after).order_by(table.c.number).limit(_TOGETHER)
    ).all():
        for found in rows:
            row = AuditRow(*found)
            if row.number != count + 1:
                return Verdict(Anchor(count, last), count + 1, f"in its place is the row {row.number}")
            if _chained(last, row) != row.hash:
                return Verdict(Anchor(count, last), row.number, "it, or its place after the row before it, was changed")
            count = after = row.number
            last = row.hash
            if anchor is not None and count == anchor.rows and last != anchor.hash:
                return Verdict(Anchor(count, last), count, "it, or a row before it, is not the one of the anchor")
    if anchor is not None and count < anchor.rows:
        return Verdict(Anchor(count, last), count + 1, f"the anchor has {anchor.rows:,} rows; the last are missing")
    return Verdict(Anchor(count, last))


def _start(connection: Connection) -> Anchor:
    """Where what is left begins, as the row of the last deletion tells; if that is a lie, it does not fit the chain."""
    mine = (table.c.action == CUT, table.c.tenant == OPERATOR)
    query = select(table.c.detail).where(*mine).order_by(table.c.number.desc()).limit(1)
    detail = connection.execute(query).scalar()
    if detail is None:
        return Anchor(0, _NO_HASH)
    try:
        told = msgspec.json.decode(detail, type=_Cut)
        return Anchor.parse(f"{told.rows}:{told.hash}")
    except (msgspec.MsgspecError, ConfigError):
        return Anchor(0, _NO_HASH)


class _Cut(msgspec.Struct):
    """What a deletion has on record."""

    rows: int
    hash: str


class AuditStorage:
    """Rows of the audit log, to be read."""

    def __init__(self, storage: Transactions) -> None:
        self._storage = storage

    async def page(self, tenant: str | None, before: int | None, limit: int, *, is_own: bool = False) -> list[AuditRow]:
        """The rows before a number, newest first; those of a tenant, or all.

        Of its own it has those since it was made.
        """
        query = select(table).order_by(table.c.number.desc()).limit(limit)
        if tenant is not None:
            query = query.where(table.c.tenant == tenant)
        if is_own:
            # SECURITY: another one may have had its name.
            made = select(func.max(table.c.number)).where(table.c.tenant == tenant, table.c.action == TENANT_CREATE)
            query = query.where(table.c.number >= func.coalesce(made.scalar_subquery(), 0))
        if before is not None:
            query = query.where(table.c.number < before)

        def work(connection: Connection) -> list[AuditRow]:
            return [AuditRow(*row) for row in connection.execute(query)]

        return await self._storage.read(work)

    async def anchor(self) -> Anchor:
        """How many rows there are, and the hash of the last."""

        def work(connection: Connection) -> Anchor:
            row = connection.execute(select(table).order_by(table.c.number.desc()).limit(1)).first()
            return Anchor(0, _NO_HASH) if row is None else Anchor(row.number, row.hash)

        return await self._storage.read(work)


def _chained(before: bytes, row: AuditRow) -> bytes:
    return hashlib.sha256(before + msgspec.json.encode(row[:-1])).digest()


def verify_store(store: str, anchor: Anchor | None) -> Verdict:
    """Follow the chain of a store that a server may be using.

    Raises:
        StoreError: it cannot be read.
    """
    database = Database(resolve_url(store), busy_timeout_seconds=_BUSY_SECONDS, create=False)
    try:
        with database.read() as connection:
            return verify(connection, anchor)
    finally:
        database.close()
