"""`KeptVault`: what is kept of runs that have ended, and of answers to requests, sealed for its place in the store.

With a new first key all of it is sealed anew, and in a store from before it is sealed at all, a page at a time: the
start does what it can in a second, and `Resealing` the rest while the server runs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, FromClause, Row, Table, and_, func, select, tuple_, update

from ...store import tables as store
from ...store.seals import LOG, ROW_ERROR, ROWS, bytes_of, text_of
from ..vault.form import FORM, sealing_key_id
from ..vault.places import Place, SealError, answer_place, kept_place, step_place
from .prepared import upsert
from .tables import attachments, properties, request_keys, runs, sealing_keys

if TYPE_CHECKING:
    from ..vault.vault import Vault

PLAIN: Final = frozenset({b"[]", b"null"})
"""Nothing, which is kept as it is: most runs have no log, no error and no warnings."""
_NAME, _WHOLE = "kept", "sealed"
"""The property of a store of which everything that is kept is sealed."""
_HEAD_LENGTH: Final = 13
"""Bytes or characters that have the id of the key, of texts in Base64 behind their mark."""
_PAGE = 200
_PAGE_BYTES = 4 * 1024**2
_log = logging.getLogger(__name__)


class Progress(NamedTuple):
    """How far values have been sealed anew: of which kind, and behind which row."""

    kind: int = 0
    after: tuple[Any, ...] | None = None


def is_whole(connection: Connection) -> bool:
    """Whether everything that a store keeps is sealed."""
    found: str | None = connection.execute(select(properties.c.value).where(properties.c.name == _NAME)).scalar()
    return found == _WHOLE


class StepSeals:
    """Seals what runs of a tenant's steps have delivered and logged, see `store.seals`."""

    def __init__(self, kept: KeptVault, tenant: str) -> None:
        self._kept = kept
        self._tenant = tenant

    def seal(self, data: bytes, kind: str, run_id: int, seq: int) -> bytes:
        """What is stored instead."""
        return self._kept.seal(data, step_place(self._tenant, kind, run_id, seq))

    def open(self, stored: bytes, kind: str, run_id: int, seq: int) -> bytes:
        """What was sealed. Raises: SealError: it was changed, or is in the place of another."""
        return self._kept.open(stored, step_place(self._tenant, kind, run_id, seq))


class KeptVault:
    """Seals with the first of the keys; `rest` is what is not sealed with it yet, None if there is nothing.

    `is_whole` is whether everything that is kept is sealed with a key of ours; it is not in a store from before, until
    `Resealing` has come to the end of it.
    """

    def __init__(self, vault: Vault, *, is_whole: bool, file: Path, has_steps: bool) -> None:
        self.vault = vault
        self._kinds = (*_KINDS, *_STEP_KINDS) if has_steps else _KINDS
        self.file = file
        self.is_whole = is_whole
        self.rest: Progress | None = None

    def seal(self, data: bytes, place: Place) -> bytes:
        """What is kept instead."""
        return data if data in PLAIN else self.vault.seal(data, place)

    def open(self, kept: bytes, place: Place) -> bytes:
        """What was sealed for a place.

        SECURITY: once everything is sealed, nothing else is taken but nothing itself.

        Raises:
            SealError: it was not sealed for this place, was changed, or its key is not there.
        """
        if kept in PLAIN or (not self.is_whole and not kept.startswith(FORM)):
            return kept
        return self.vault.open(kept, place)

    def reseal_page(self, connection: Connection) -> None:
        """Seal some of the rest with the first key; what does not open stays as it is."""
        assert self.rest is not None
        kind = self._kinds[self.rest.kind]
        heads = [func.substr(column, 1, _HEAD_LENGTH).label(column.name) for column in kind.columns]
        query = select(*kind.keys, *heads).select_from(kind.source).order_by(*kind.keys).limit(_PAGE)
        if self.rest.after is not None:
            query = query.where(tuple_(*kind.keys) > tuple_(*self.rest.after))
        found = connection.execute(query).all()
        size = 0
        for row in found:
            if any(self._is_rest(_bytes(head)) for head in row[len(kind.keys) :]):
                size += self._reseal(connection, kind, row[: len(kind.keys)])
            self.rest = Progress(self.rest.kind, tuple(row[: len(kind.keys)]))
            if size > _PAGE_BYTES:
                return
        if len(found) < _PAGE:
            self.rest = Progress(self.rest.kind + 1) if self.rest.kind + 1 < len(self._kinds) else None

    def retire(self, connection: Connection) -> None:
        """Note that the other keys are not needed any more, once there is no rest."""
        new = upsert(properties, connection.engine).values(name=_NAME, value=_WHOLE)
        connection.execute(new.on_conflict_do_update(index_elements=["name"], set_={"value": _WHOLE}))
        self.is_whole = True
        ours = self.vault.key_id.hex()
        needed = sealing_keys.c.retired_at.is_(None)
        connection.execute(update(sealing_keys).where(needed, sealing_keys.c.id != ours).values(retired_at=time.time()))

    def say_what_is_retired(self) -> None:
        """Log which keys of the file seal nothing any more."""
        for key_id in sorted(self.vault.key_ids - {self.vault.key_id}):
            _log.warning("the key %s seals nothing any more: its line can be taken out of %s", key_id.hex(), self.file)

    def _is_rest(self, head: bytes | None) -> bool:
        if head is None or head in PLAIN:
            return False
        return not head.startswith(FORM) or sealing_key_id(head) != self.vault.key_id

    def _reseal(self, connection: Connection, kind: _Kind, keys: Sequence[Any]) -> int:
        """Seal what one row has; how many bytes that is."""
        is_row = and_(*(column == value for column, value in zip(kind.keys, keys, strict=True)))
        row = connection.execute(select(*kind.keys, *kind.others, *kind.columns).select_from(kind.source).where(is_row))
        found, changed = row.one(), {}
        for column in kind.columns:
            data = _bytes(found._mapping[column])
            if data is not None and self._is_rest(data):
                place = kind.place(found, column.name)
                try:
                    opened = self.open(data, place)
                    sealed = self.seal(opened, place)
                    changed[column.name] = text_of(sealed, opened) if kind.is_text else sealed
                except SealError as error:
                    # It opens for nobody, and is no reason to serve nobody.
                    _log.error("%s", error)
        if changed:
            connection.execute(update(kind.keys[0].table).where(is_row).values(changed))
        return sum(map(len, changed.values()))


class _Kind(NamedTuple):
    """Rows of a table: its primary key, the columns that are sealed, what else their places need, and from where."""

    keys: tuple[Column[Any], ...]
    columns: tuple[Column[Any], ...]
    others: tuple[ColumnElement[Any], ...]
    source: FromClause
    place: Callable[[Row[Any], str], Place]
    is_text: bool = False


_KINDS: Final = (
    _Kind(
        (runs.c.id,), (runs.c.rows, runs.c.logs, runs.c.error, runs.c.warnings), (runs.c.tenant,), runs,
        lambda row, name: kept_place(row.tenant, row.id, name),
    ),
    _Kind(
        (attachments.c.run_id, attachments.c.name), (attachments.c.data,), (runs.c.tenant,),
        attachments.join(runs, runs.c.id == attachments.c.run_id),
        lambda row, name: kept_place(row.tenant, row.run_id, row.name),
    ),
    _Kind(
        (request_keys.c.tenant, request_keys.c.key), (request_keys.c.answer,), (request_keys.c.run_id,), request_keys,
        lambda row, name: answer_place(row.tenant, row.key, row.run_id),
    ),
)  # fmt: skip


def _of_step(table: Table, column: Column[Any], kind: str, *, is_text: bool) -> _Kind:
    """Rows of runs of steps."""
    source = table.join(store.runs, store.runs.c.id == table.c.run_id).join(
        store.steps, store.steps.c.id == store.runs.c.step_id
    )
    return _Kind(
        (table.c.run_id, table.c.seq), (column,), (store.steps.c.name.label("step"),), source,
        lambda row, name: step_place(row.step.partition("/")[0], kind, row.run_id, row.seq), is_text,
    )  # fmt: skip


_STEP_KINDS: Final = (
    _of_step(store.output, store.output.c.data, ROWS, is_text=False),
    _of_step(store.logs, store.logs.c.message, LOG, is_text=True),
    _of_step(store.row_errors, store.row_errors.c.error, ROW_ERROR, is_text=True),
)


def _bytes(value: bytes | memoryview | str | None) -> bytes | None:
    """What a column has, or its beginning; a text as `store.seals` has them."""
    if value is None or not isinstance(value, str):
        return None if value is None else bytes(value)
    return bytes_of(value)
