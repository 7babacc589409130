"""The tables as SQLAlchemy sees them; the migrations make them (a test compares the two)."""

from __future__ import annotations

from datetime import UTC, datetime

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
# SQLite numbers rows by itself only in a column of type INTEGER.
BigId = BigInteger().with_variant(Integer(), "sqlite")


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
    Column("id", BigId, primary_key=True),
    Column("name", String(NAME_CHARACTERS), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # The compare-and-swap of every checkpoint change; 0 is "none yet".
    Column("checkpoint_version", BigInteger, nullable=False),
    UniqueConstraint("name"),
)

checkpoints = Table(
    "wx_checkpoints",
    metadata,
    Column("step_id", BigId, ForeignKey("wx_steps.id"), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("value", Text, nullable=False),
    Column("cause", String(10), nullable=False),
    # No foreign key: the history outlives deleted runs.
    Column("run_id", BigId),
    Column("changed_at", UtcDateTime, nullable=False),
)

definitions = Table(
    "wx_definitions",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("text_bytes", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

runs = Table(
    "wx_runs",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("step_id", BigId, ForeignKey("wx_steps.id"), nullable=False),
    Column("state", String(10), nullable=False),
    Column("status", SmallInteger),
    Column("status_name", String(40)),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("usage", Text),
    Column("error", Text),
    Column("rows_in", BigInteger, nullable=False),
    Column("rows_out", BigInteger, nullable=False),
    Column("rows_failed", BigInteger, nullable=False),
    Column("executions", BigInteger, nullable=False),
    Column("log_records", BigInteger, nullable=False),
    Column("log_bytes", BigInteger, nullable=False),
    Column("log_dropped", BigInteger, nullable=False),
    Column("row_errors", BigInteger, nullable=False),
    Column("row_errors_dropped", BigInteger, nullable=False),
    Column("warnings", Text),
    Column("checkpoint_version_before", BigInteger, nullable=False),
    Column("checkpoint_before", Text),
    Column("checkpoint_version_after", BigInteger),
    Column("checkpoint_after", Text),
    Column("local_variables", Text),
    Column("processing", String(40)),
    Column("trigger", String(40), nullable=False),
    Column("attributes", Text),
    Column("definition_sha256", String(64), ForeignKey("wx_definitions.sha256")),
    Column("replay_of", BigId),
    # Which process runs it, so that others can tell that it died: see _process.py.
    Column("process_host", String(255), nullable=False),
    Column("process_scope", String(100), nullable=False),
    Column("process_id", BigInteger, nullable=False),
    Column("process_start", BigInteger, nullable=False),
    # Added by 0002.
    Column("output_chunks", Integer, nullable=False, server_default="0"),
    Column("output_rows", BigInteger, nullable=False, server_default="0"),
    Column("output_bytes", BigInteger, nullable=False, server_default="0"),
    Index(None, "step_id", "id"),
    Index(None, "state", "step_id"),
    sqlite_autoincrement=True,
)

logs = Table(
    "wx_logs",
    metadata,
    Column("run_id", BigId, ForeignKey("wx_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("time", Double, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("execution", BigInteger),
    Column("message", Text, nullable=False),
    sqlite_with_rowid=False,
)

row_errors = Table(
    "wx_row_errors",
    metadata,
    Column("run_id", BigId, ForeignKey("wx_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("row", BigInteger, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("error", Text, nullable=False),
    sqlite_with_rowid=False,
)

output = Table(
    "wx_output",
    metadata,
    Column("run_id", BigId, ForeignKey("wx_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("row_count", BigInteger, nullable=False),
    Column("data_bytes", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    # Indexes of the input rows as differences, JSON, compressed.
    Column("source_bytes", BigInteger),
    Column("source_rows", LargeBinary),
)

recordings = Table(
    "wx_recordings",
    metadata,
    Column("run_id", BigId, ForeignKey("wx_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("meta", Text, nullable=False),
    Column("is_sealed", SmallInteger, nullable=False),
    Column("incomplete_reason", Text, nullable=False),
    Column("parts", BigInteger, nullable=False),
    Column("payload_bytes", BigInteger, nullable=False),
    Column("stored_bytes", BigInteger, nullable=False),
)

recorded_parts = Table(
    "wx_recorded_parts",
    metadata,
    Column("run_id", BigId, ForeignKey("wx_recordings.run_id", ondelete="CASCADE"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("kind", String(40), nullable=False),
    Column("execution", BigInteger, nullable=False),
    Column("meta", Text, nullable=False),
    Column("payload_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("data", LargeBinary, nullable=False),
)
