"""The tables as SQLAlchemy sees them; the migrations make them (a test compares the two)."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from .errors import StoreError

VERSION_TABLE = "wx_version"
NAME_CHARACTERS = 200
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class _Checked(TypeDecorator[Any]):
    """SECURITY: SQLite takes a value of any type in any column, and gives it back as it is."""

    kind: type = int

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        if value is not None and type(value) is not self.kind:
            found, wanted = type(value).__name__, self.kind.__name__
            raise StoreError(f"the run store is damaged: a column of type {wanted} holds a value of type {found}")
        return value


class _BigInteger(_Checked):
    impl = BigInteger
    cache_ok = True


class _Integer(_Checked):
    impl = Integer
    cache_ok = True


class _SmallInteger(_Checked):
    impl = SmallInteger
    cache_ok = True


class _Double(_Checked):
    impl = Double
    cache_ok = True
    kind = float

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        if not math.isfinite(number := super().process_result_value(value, dialect) or 0.0):
            raise StoreError(f"the run store is damaged: a column of type float holds {number}")
        return value


class _String(_Checked):
    impl = String
    cache_ok = True
    kind = str


class _Text(_Checked):
    impl = Text
    cache_ok = True
    kind = str


# SQLite numbers rows by itself only in a column of type INTEGER.
_BigId = _BigInteger().with_variant(_Integer(), "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes in UTC; SQLite keeps them without a zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


steps = Table(
    "wx_steps",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("name", _String(NAME_CHARACTERS), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # The compare-and-swap of every checkpoint change; 0 is "none yet".
    Column("checkpoint_version", _BigInteger, nullable=False),
    UniqueConstraint("name"),
)

checkpoints = Table(
    "wx_checkpoints",
    metadata,
    Column("step_id", _BigId, ForeignKey("wx_steps.id"), primary_key=True),
    Column("version", _BigInteger, primary_key=True),
    Column("value", _Text, nullable=False),
    Column("cause", _String(10), nullable=False),
    # No foreign key: the history outlives deleted runs.
    Column("run_id", _BigId),
    Column("changed_at", UtcDateTime, nullable=False),
)

definitions = Table(
    "wx_definitions",
    metadata,
    Column("sha256", _String(64), primary_key=True),
    Column("text_bytes", _BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

runs = Table(
    "wx_runs",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("step_id", _BigId, ForeignKey("wx_steps.id"), nullable=False),
    Column("state", _String(10), nullable=False),
    Column("status", _SmallInteger),
    Column("status_name", _String(40)),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("usage", _Text),
    Column("error", _Text),
    Column("rows_in", _BigInteger, nullable=False),
    Column("rows_out", _BigInteger, nullable=False),
    Column("rows_failed", _BigInteger, nullable=False),
    Column("executions", _BigInteger, nullable=False),
    Column("log_records", _BigInteger, nullable=False),
    Column("log_bytes", _BigInteger, nullable=False),
    Column("log_dropped", _BigInteger, nullable=False),
    Column("row_errors", _BigInteger, nullable=False),
    Column("row_errors_dropped", _BigInteger, nullable=False),
    Column("warnings", _Text),
    Column("checkpoint_version_before", _BigInteger, nullable=False),
    Column("checkpoint_before", _Text),
    Column("checkpoint_version_after", _BigInteger),
    Column("checkpoint_after", _Text),
    Column("local_variables", _Text),
    Column("processing", _String(40)),
    Column("trigger", _String(40), nullable=False),
    Column("attributes", _Text),
    Column("definition_sha256", _String(64), ForeignKey("wx_definitions.sha256")),
    Column("replay_of", _BigId),
    # Which process runs it, so that others can tell that it died: see _process.py.
    Column("process_host", _String(255), nullable=False),
    Column("process_scope", _String(100), nullable=False),
    Column("process_id", _BigInteger, nullable=False),
    Column("process_start", _BigInteger, nullable=False),
    # Added by 0002.
    Column("output_chunks", _Integer, nullable=False, server_default="0"),
    Column("output_rows", _BigInteger, nullable=False, server_default="0"),
    Column("output_bytes", _BigInteger, nullable=False, server_default="0"),
    Index(None, "step_id", "id"),
    Index(None, "state", "step_id"),
    sqlite_autoincrement=True,
)

logs = Table(
    "wx_logs",
    metadata,
    Column("run_id", _BigId, ForeignKey("wx_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", _BigInteger, primary_key=True),
    Column("time", _Double, nullable=False),
    Column("level", _SmallInteger, nullable=False),
    Column("execution", _BigInteger),
    Column("message", _Text, nullable=False),
    sqlite_with_rowid=False,
)

row_errors = Table(
    "wx_row_errors",
    metadata,
    Column("run_id", _BigId, ForeignKey("wx_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", _BigInteger, primary_key=True),
    Column("row", _BigInteger, nullable=False),
    Column("status", _SmallInteger, nullable=False),
    Column("error", _Text, nullable=False),
    sqlite_with_rowid=False,
)

output = Table(
    "wx_output",
    metadata,
    Column("run_id", _BigId, ForeignKey("wx_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", _Integer, primary_key=True),
    Column("row_count", _BigInteger, nullable=False),
    Column("data_bytes", _BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    # Indexes of the input rows as differences, JSON, compressed.
    Column("source_bytes", _BigInteger),
    Column("source_rows", LargeBinary),
)

recordings = Table(
    "wx_recordings",
    metadata,
    Column("run_id", _BigId, ForeignKey("wx_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("meta", _Text, nullable=False),
    Column("is_sealed", _SmallInteger, nullable=False),
    Column("incomplete_reason", _Text, nullable=False),
    Column("parts", _BigInteger, nullable=False),
    Column("payload_bytes", _BigInteger, nullable=False),
    Column("stored_bytes", _BigInteger, nullable=False),
)

recorded_parts = Table(
    "wx_recorded_parts",
    metadata,
    Column("run_id", _BigId, ForeignKey("wx_recordings.run_id", ondelete="CASCADE"), primary_key=True),
    Column("seq", _BigInteger, primary_key=True),
    Column("kind", _String(40), nullable=False),
    Column("execution", _BigInteger, nullable=False),
    Column("meta", _Text, nullable=False),
    Column("payload_bytes", _BigInteger, nullable=False),
    Column("sha256", _String(64), nullable=False),
    Column("data", LargeBinary, nullable=False),
)
