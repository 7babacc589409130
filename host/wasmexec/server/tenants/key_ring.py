"""`KeyRing`: all API keys as the running server knows them; issued, rotated and revoked one change at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..problems import ProblemError, not_found
from .keys import OPERATOR, SERVER, Actor, Key, KeyRecord, KeyRefused, Rotation, Scope, check_delegation, issue, rotate

if TYPE_CHECKING:
    from ..storage.storage import Storage

_MOST_ENDED = 100
"""Keys of a tenant that are no longer valid are told of as revoked or expired; of more, the oldest are forgotten."""


class KeyRing:
    """The records of all keys: `records` by their ids."""

    def __init__(self, storage: Storage, changed: Callable[[KeyRecord, Collection[str]], None]) -> None:
        self._storage = storage
        self._changed = changed
        """Called with a key that has changed, and the ids of those that were forgotten."""
        self.records: dict[str, KeyRecord] = {}
        self._ids: dict[str, set[str]] = {}
        self._know(storage.keys.all())
        self._changing = asyncio.Lock()

    def of(self, tenant: str) -> list[KeyRecord]:
        """Those of a tenant, newest first."""
        found = (self.records[key_id] for key_id in self._ids.get(tenant, ()))
        return sorted(found, key=lambda record: record.created_at, reverse=True)

    def valid(self, tenant: str, now: float) -> list[KeyRecord]:
        """Those that are accepted now."""
        return [record for record in self.of(tenant) if record.is_valid(now)]

    def find(self, tenant: str, key_id: str) -> KeyRecord | None:
        """A key of a tenant."""
        record = self.records.get(key_id)
        return record if record is not None and record.tenant == tenant else None

    def forget(self, tenant: str) -> list[KeyRecord]:
        """Accept none of a tenant any more; the records, for `know_again`."""
        return [self.records.pop(key_id) for key_id in self._ids.pop(tenant, ())]

    def know_again(self, records: Iterable[KeyRecord]) -> None:
        """Accept keys that were forgotten."""
        self._know(records)

    def count(self, tenant: str) -> int:
        """How many a tenant has: one that was rotated and its successor are one."""
        return len({record.name for record in self.valid(tenant, time.time())})

    async def issue(
        self,
        issuer: KeyRecord | None,
        *,
        tenant: str,
        name: str | None,
        scopes: Iterable[str],
        lifetime_seconds: float | None,
        project: str | None = None,
        most: int | None = None,
    ) -> tuple[Key, KeyRecord]:
        """A new key; the server itself is the issuer of the operator's first.

        Raises:
            ConfigError: there is no such scope.
            ProblemError: 400, 403, 409: the issuer may not hand these scopes on, the name is taken, too many keys.
        """  # fmt: skip
        async with self._changing:
            now = time.time()
            key, record = issue(
                tenant=tenant, name=name or "unnamed", scopes=scopes, now=now, lifetime_seconds=lifetime_seconds,
                project=project,
            )  # fmt: skip
            if name is None:
                record = replace(record, name=f"key-{record.id.lower()}")
            _refuse_scopes(record.scopes, tenant, issuer)
            if any(other.name == record.name for other in self.valid(tenant, now)):
                text = f"there is a valid key {record.name}; rotate it, or choose another name"
                raise ProblemError(409, "key.name", text, asked=record.name, changed_by="tenant")
            actor = SERVER if issuer is None else issuer.actor
            await self._store(actor, "key.issue", record, {
                "name": record.name, "scopes": sorted(record.scopes), "project": project,
                "expires_at": record.expires_at,
            }, most=most)  # fmt: skip
            return key, record

    async def rotate(
        self, issuer: KeyRecord, tenant: str, key_id: str, overlap_seconds: float, lifetime_seconds: float | None
    ) -> Rotation:
        """A key in place of the newest of a name, which stays valid for a while.

        Raises:
            ProblemError: 403, 404, 409: the issuer has less than the key, there is no such key, or it is not valid.
        """
        async with self._changing:
            now = time.time()
            name = self._existing(tenant, key_id).name
            family = [record for record in self.valid(tenant, now) if record.name == name]
            if not family:
                text = f"no key {name} is valid any more; issue one"
                raise ProblemError(409, "key.valid", text, changed_by="tenant")
            turn = rotate(family, now=now, overlap_seconds=overlap_seconds, lifetime_seconds=lifetime_seconds)
            _refuse_scopes(turn.record.scopes, tenant, issuer)
            await self._store(issuer.actor, "key.rotate", turn.record, {
                "name": name, "scopes": sorted(turn.record.scopes), "expires_at": turn.record.expires_at,
                "replaces": {record.id: record.expires_at for record in turn.changed},
            }, changed=turn.changed)  # fmt: skip
            return turn

    async def revoke(self, revoker: KeyRecord, tenant: str, key_id: str) -> KeyRecord:
        """Have a key accepted no more, from now on; one that has ended stays as it is.

        Raises:
            ProblemError: 403, 404, 409: who asks is of a project, there is no such key, or it is the operator's last.
        """
        async with self._changing:
            now = time.time()
            record = self._existing(tenant, key_id)
            _refuse_project(revoker)
            if not record.is_valid(now):
                return record
            if tenant == OPERATOR and self.valid(OPERATOR, now) == [record]:
                text = "this is the operator's last valid key; issue or rotate one first"
                raise ProblemError(409, "key.last", text, value=1, changed_by="operator")
            ended = replace(record, revoked_at=now)
            await self._store(revoker.actor, "key.revoke", ended, {"name": record.name})
            return ended

    def _existing(self, tenant: str, key_id: str) -> KeyRecord:
        """Raises: ProblemError: 404."""
        record = self.find(tenant, key_id)
        if record is None:
            raise not_found()
        return record

    async def _store(
        self, actor: Actor, action: str, record: KeyRecord, detail: dict[str, object], *,
        changed: Sequence[KeyRecord] = (), most: int | None = None,
    ) -> None:  # fmt: skip
        now = time.time()
        ended = [item.id for item in self.of(record.tenant) if not item.is_valid(now)]
        forgotten = ended[_MOST_ENDED:]
        await self._storage.keys.change(
            actor, action, record, detail, changed=changed, forgotten=forgotten, most=most
        )  # fmt: skip
        self._know((record, *changed))
        for key_id in forgotten:
            self._ids[record.tenant].discard(key_id)
            self.records.pop(key_id, None)
        self._changed(record, forgotten)

    def _know(self, records: Iterable[KeyRecord]) -> None:
        for record in records:
            self.records[record.id] = record
            self._ids.setdefault(record.tenant, set()).add(record.id)


def _refuse_scopes(scopes: frozenset[Scope], tenant: str, issuer: KeyRecord | None) -> None:
    """SECURITY: who makes or renews a key learns it, so nobody does that with scopes beyond its own.

    Raises: ProblemError: 400: a tenant's key would be the operator's or the other way round; 403: scopes beyond.
    """
    if (tenant == OPERATOR) != (Scope.ADMIN in scopes) or (tenant == OPERATOR and len(scopes) > 1):
        text = "the operator's keys have the scope admin and no other, a tenant's keys any but that"
        raise ProblemError(400, "key.scope", text, asked=sorted(scopes), changed_by="nobody")
    if issuer is None or issuer.tenant == OPERATOR:
        return
    _refuse_project(issuer)
    try:
        check_delegation(scopes, issuer)
    except KeyRefused as refusal:
        raise ProblemError(403, "key.scope", refusal.message, asked=sorted(scopes), changed_by="tenant") from None


def _refuse_project(issuer: KeyRecord) -> None:
    """SECURITY: a key of a project is held to rules that a key that it issues would not have.

    Raises: ProblemError: 403.
    """
    if issuer.project is not None:
        text = f"this key is of the project {issuer.project}; keys are issued and revoked by keys of no project"
        raise ProblemError(403, "key.project", text, changed_by="tenant")
