"""`open_vault`: the keys that the store is sealed with, checked at the start, and rotation carried out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Column, Connection, Row, and_, insert, inspect, select, update

from ...errors import ConfigError
from ...store import tables as store
from ...store.database import Database
from ..vault.key_file import SealingKey, make_key_file, read_key_file
from ..vault.places import Place, SealError, input_place, order_place, secret_place, step_request_place
from ..vault.vault import Vault
from .kept import KeptVault, Progress, is_whole
from .tables import runs, sealing_keys, secrets, step_runs

_RESEAL_SECONDS: Final = 1.0
_log = logging.getLogger(__name__)


_SEALED: Final[tuple[tuple[Column[bytes], Callable[[Row[Any]], Place]], ...]] = (
    (runs.c.order, lambda row: order_place(row.tenant, row.id)),
    (runs.c.input, lambda row: input_place(row.tenant, row.id)),
    (step_runs.c.request, lambda row: step_request_place(row.tenant, row.id)),
    (secrets.c.sealed, lambda row: secret_place(row.tenant, row.name, row.hosts, row.also_in)),
)
"""Every column of what waits and of secrets, which are sealed anew at once, and the place of a value of it."""


def open_vault(database: Database, file: Path) -> KeptVault:
    """The vault of a store; the key file is made if neither it nor anything sealed is there.

    What other keys than the file's first have sealed is sealed with that one, so that they are needed no more; of what
    is kept of runs that have ended as much as can be in a second.

    Raises:
        ConfigError: the file cannot be read, is not safe from others, or lacks a key that the store needs.
        StoreError: the store cannot be read or written.
    """
    with database.write() as connection:
        needed = set(connection.execute(select(sealing_keys.c.id).where(sealing_keys.c.retired_at.is_(None))).scalars())
        keys = _keys(file, needed)
        vault = Vault(keys)
        ids = {key.id.hex() for key in keys}
        if lacking := sorted(needed - ids):
            raise ConfigError(
                f"the store is sealed with the key {', '.join(lacking)}, which {file} does not have; give the file "
                "that has it: --secrets-key FILE"
            )
        if not needed:
            # A store from before there were keys: what waits in it is as it came.
            _replace_all(connection, vault.seal)
        elif needed != {vault.key_id.hex()}:
            _replace_all(connection, lambda data, place: vault.seal(vault.open(data, place), place))
        has_steps = inspect(connection).has_table(store.output.name)
        kept = KeptVault(vault, is_whole=is_whole(connection), file=file, has_steps=has_steps)
        _note_use(connection, vault.key_id.hex())
        if not kept.is_whole or needed != {vault.key_id.hex()}:
            kept.rest, until = Progress(), time.monotonic() + _RESEAL_SECONDS
            while kept.rest is not None and time.monotonic() < until:
                kept.reseal_page(connection)
        if kept.rest is None:
            kept.retire(connection)
    if kept.rest is None:
        kept.say_what_is_retired()
    return kept


def _note_use(connection: Connection, key_id: str) -> None:
    """The store needs a key from now on."""
    used = update(sealing_keys).where(sealing_keys.c.id == key_id).values(retired_at=None)
    if connection.execute(used).rowcount == 0:
        connection.execute(insert(sealing_keys).values(id=key_id, first_used_at=time.time()))


def _replace_all(connection: Connection, change: Callable[[bytes, Place], bytes]) -> None:
    """Change everything that is sealed, row by row: together it can be as long as all that waits."""
    for column, place in _SEALED:
        table = column.table
        keys = list(table.primary_key)
        for found in connection.execute(select(*keys).where(column.is_not(None))).all():
            is_row = and_(*(key == value for key, value in zip(keys, found, strict=True)))
            row = connection.execute(select(table).where(is_row)).one()
            try:
                sealed = change(row._mapping[column], place(row))
            except SealError as error:
                # It opens for nobody, and is no reason to serve nobody.
                _log.error("%s", error)
                continue
            connection.execute(update(table).where(is_row).values({column: sealed}))


def _keys(file: Path, needed: Collection[str]) -> tuple[SealingKey, ...]:
    if not needed and not file.exists():
        make_key_file(file)
    return read_key_file(file)
