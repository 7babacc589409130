"""Rules of projects and keys in the database, and how budgets stood after the last run on record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, delete, select

from ..documents import PartRules
from ..quotas.budgets import Account, Dimension, Window
from ..quotas.refusals import Number, Owner
from ..runs.records import SavedAccount
from ..tenants.keys import Actor
from .audit import audit, changes
from .prepared import Prepared, bound, upsert
from .tables import accounts, part_rules

if TYPE_CHECKING:
    import asyncio

    from .transactions import Transactions

Since: TypeAlias = tuple[float, Number]
"""The beginning of a window, and what was used in it, carried debts included."""
_packed = list[tuple[Dimension, Window, float, Number]]


_NO_RULES = msgspec.json.encode(PartRules())


def saved(account: Account, now: float) -> SavedAccount:
    """How an account stands, to be stored in the transaction that ends the run that it was charged for."""
    spent = [(item.budget.dimension, item.budget.window, item.since, item.used) for item in account.spent(now)]
    return SavedAccount(account.owner, account.owner_id, msgspec.json.encode(spent).decode())


class AccountRows:
    """How accounts stand, written in the transaction that ends runs."""

    def __init__(self, engine: Engine) -> None:
        new = upsert(accounts, engine).values(bound(SavedAccount._fields))
        changed = {"spent": new.excluded.spent}
        saving = new.on_conflict_do_update(index_elements=["owner", "owner_id"], set_=changed)
        self._save = Prepared(saving, SavedAccount._fields, engine)

    def store(self, connection: Connection, rows: Iterable[SavedAccount]) -> None:
        """Store the last state of each account."""
        last = {(row.owner, row.owner_id): row for row in rows}
        if last:
            self._save.execute(connection, list(last.values()))


class AccountStorage:
    """Rows of the rules of projects and keys, and of accounts."""

    def __init__(self, storage: Transactions) -> None:
        self._storage = storage

    def part_rules(self) -> Iterator[tuple[str, Owner, str, PartRules]]:
        """All of them: the tenant, whose they are, the name or id of that."""
        with self._storage.database.read() as connection:
            for row in connection.execute(select(part_rules)).all():
                yield row.tenant, Owner(row.owner), row.name, msgspec.json.decode(row.document, type=PartRules)

    def put_rules(self, tenant: str, owner: Owner, name: str, rules: PartRules, actor: Actor) -> asyncio.Future[None]:
        """Store the rules of a project or a key, or others for one."""
        document = msgspec.json.encode(rules).decode()
        row = {"tenant": tenant, "owner": owner.value, "name": name, "document": document}

        def work(connection: Connection) -> None:
            old = connection.execute(select(part_rules.c.document).where(_is(tenant, owner, name))).scalar()
            new = upsert(part_rules, connection.engine).values(row)
            changed = {"document": document}
            connection.execute(new.on_conflict_do_update(index_elements=["tenant", "owner", "name"], set_=changed))
            detail = changes(msgspec.json.decode(old or _NO_RULES), msgspec.json.decode(document))
            if detail["after"]:
                audit(connection, actor, tenant, "rules.put", f"{owner}/{name}", detail)

        return self._storage.write(work)

    def delete_rules(self, tenant: str, owner: Owner, name: str, actor: Actor) -> asyncio.Future[None]:
        """Forget the rules of a project or a key, if it has some."""

        def work(connection: Connection) -> None:
            if connection.execute(delete(part_rules).where(_is(tenant, owner, name))).rowcount:
                audit(connection, actor, tenant, "rules.delete", f"{owner}/{name}", {})

        return self._storage.write(work)

    def spent(self) -> dict[tuple[Owner, str], dict[tuple[Dimension, Window], Since]]:
        """How every account stood when its last run was recorded."""
        with self._storage.database.read() as connection:
            return {
                (Owner(row.owner), row.owner_id): {
                    (dimension, window): (since, used)
                    for dimension, window, since, used in msgspec.json.decode(row.spent, type=_packed)
                }
                for row in connection.execute(select(accounts))
            }


def _is(tenant: str, owner: Owner, name: str) -> ColumnElement[bool]:
    table = part_rules.c
    return (table.tenant == tenant) & (table.owner == owner.value) & (table.name == name)
