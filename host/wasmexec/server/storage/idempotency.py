"""Keys of requests that may be repeated, each with the answer to the first of them, in the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, Engine, Select, bindparam, delete, func, select, update

from ..runs.records import KeptAnswer
from ..vault.places import Place, answer_place
from .prepared import Prepared, bound, upsert
from .tables import request_keys

if TYPE_CHECKING:
    from .kept import KeptVault
    from .transactions import Transactions

KEPT_SECONDS = 86_400.0
"""How long a key is kept."""
_NAMES = ("tenant", "key", "digest", "run_id", "created_at", "status", "size", "answer")
_CHANGED = _NAMES[2:]


class KeyRows:
    """Rows of keys, written in the transaction of their run; the answers are sealed."""

    def __init__(self, engine: Engine, kept: KeptVault) -> None:
        self._kept = kept
        new = upsert(request_keys, engine).values(bound(_NAMES))
        # One that is there has expired, and nobody has swept yet.
        replaced = {name: new.excluded[name] for name in _CHANGED}
        self._put = Prepared(new.on_conflict_do_update(index_elements=["tenant", "key"], set_=replaced), _NAMES, engine)
        gone = delete(request_keys).where(request_keys.c.run_id == bindparam("gone"))
        self._delete = Prepared(gone, ("gone",), engine)

    def store(self, connection: Connection, kept: Sequence[KeptAnswer]) -> None:
        """Keep answers."""
        if kept:
            self._put.execute(connection, [
                (item.tenant, item.key, item.digest, item.run_id, item.created_at, item.status, len(item.body or b""),
                 None if item.body is None else self._kept.seal(item.body, _place(item)))
                for item in kept
            ])  # fmt: skip

    def forget(self, connection: Connection, run_ids: Sequence[str]) -> None:
        """Delete the keys of runs."""
        self._delete.execute(connection, [(run_id,) for run_id in run_ids])


class KeptRows:
    """Answers that belong to no single run."""

    place = 4

    def __init__(self, engine: Engine, kept: KeptVault) -> None:
        self._keys = KeyRows(engine, kept)

    def store(self, connection: Connection, rows: Sequence[KeptAnswer]) -> None:
        """Keep them."""
        self._keys.store(connection, rows)

    def store_again(self, connection: Connection, row: KeptAnswer) -> None:
        """Keep one."""
        self.store(connection, [row])


class KeysTaken(NamedTuple):
    """How many keys of a tenant are kept, the bytes of their answers, and when the oldest came."""

    number: int
    size: int
    oldest: float


class RequestKeyStorage:
    """What is kept of a tenant's keys."""

    def __init__(self, storage: Transactions) -> None:
        self._storage = storage
        self._kept = KeptRows(storage.database.engine, storage.kept)

    def keep(self, kept: KeptAnswer) -> asyncio.Future[None]:
        """Keep an answer that belongs to no single run; it waits for a store that is away."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def told(result: object, error: Exception | None) -> None:
            if error is None:
                stored.set_result(None)
            else:
                stored.set_exception(error)

        size = len(kept.body or b"")
        self._storage.writer.put(self._kept, kept, told, is_urgent=True, is_patient=True, size=size)
        return stored

    async def find(self, tenant: str, key: str) -> tuple[KeptAnswer | None, KeysTaken]:
        """The answer that is kept for a key, and what all of the tenant's take.

        Raises:
            StoreError: nobody can tell.
        """
        since = time.time() - KEPT_SECONDS
        mine = (request_keys.c.tenant == tenant, request_keys.c.created_at > since)
        figures = (func.count(), func.coalesce(func.sum(request_keys.c.size), 0), func.min(request_keys.c.created_at))

        def work(connection: Connection) -> tuple[KeptAnswer | None, KeysTaken]:
            row = connection.execute(select(request_keys).where(*mine, request_keys.c.key == key)).first()
            if row is not None:
                found = KeptAnswer(row.tenant, row.key, row.digest, row.run_id, row.created_at, row.status, row.answer)
                if found.body is not None:
                    found = found._replace(body=self._storage.kept.open(bytes(found.body), _place(found)))
                return found, KeysTaken(0, 0, 0.0)
            number, size, oldest = connection.execute(select(*figures).where(*mine)).one()
            return None, KeysTaken(int(number), int(size), float(oldest or 0.0))

        return await self._storage.read(work)


def _place(item: KeptAnswer) -> Place:
    return answer_place(item.tenant, item.key, item.run_id)


def drop_answers(connection: Connection, run_ids: Sequence[str] | Select[tuple[str]]) -> None:
    """Keep no answer of runs that are deleted; a repeated request is told so."""
    connection.execute(update(request_keys).where(request_keys.c.run_id.in_(run_ids)).values(answer=None, size=0))


def delete_expired(connection: Connection, most: int) -> int:
    """Delete at most so many keys that have expired; how many that were."""
    old = select(request_keys.c.run_id).where(request_keys.c.created_at < time.time() - KEPT_SECONDS).limit(most)
    return connection.execute(delete(request_keys).where(request_keys.c.run_id.in_(old))).rowcount
