"""The tables of the server. Times are seconds of the epoch, costs whole microseconds.

What is added (a table, an index, a column that may be null or has a server default) comes into older stores by itself;
any other change raises `VERSION`, and is a step of `upgrade`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    literal_column,
)

VERSION = 3
metadata = MetaData()

properties = Table(
    "wx_server", metadata, Column("name", String(40), primary_key=True), Column("value", Text, nullable=False)
)

tenants = Table(
    "wx_server_tenants",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("document", Text, nullable=False),
    Column("created_at", Double, nullable=False),
)

keys = Table(
    "wx_server_keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(63), nullable=False),
    Column("name", String(63), nullable=False),
    # Of the secret nothing else is kept.
    Column("digest", LargeBinary, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    Column("project", String(63)),
)

part_rules = Table(
    "wx_server_part_rules",
    metadata,
    Column("tenant", String(63), primary_key=True),
    # project, key
    Column("owner", String(10), primary_key=True),
    Column("name", String(63), primary_key=True),
    Column("document", Text, nullable=False),
)

accounts = Table(
    "wx_server_accounts",
    metadata,
    # tenant, project, key
    Column("owner", String(10), primary_key=True),
    Column("owner_id", String(130), primary_key=True),
    # JSON: how the budgets stand after the last run that is on record.
    Column("spent", Text, nullable=False),
)

_state = Column("state", String(10), nullable=False)
# Written out: an index of some rows serves only a query that says the same.
IS_UNFINISHED: ColumnElement[bool] = _state != literal_column("'ended'")
"""Of rows of runs: it was accepted and has not ended."""

COSTS = ("cpu_us", "wall_us", "http_requests", "http_bytes_sent", "http_bytes_received", "output_bytes", "row_count",
         "log_count", "gb_us", "log_bytes")  # fmt: skip

COUNTS = ("runs", "failed", *COSTS)
"""What usage adds up."""

runs = Table(
    "wx_server_runs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(63), nullable=False),
    Column("key_id", String(40), nullable=False),
    # queued, ended; one that runs is queued for whoever comes after a crash.
    _state,
    # Whether an attempt has begun that may reach the network: it is not repeated after a crash.
    Column("may_have_effects", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("attempts", Integer, nullable=False),
    # Until it has ended; both are sealed, for the order contains secrets, and the input may.
    Column("order", LargeBinary),
    Column("input", LargeBinary),
    Column("wall_seconds", Double, nullable=False),
    Column("has_grants", Integer, nullable=False),
    Column("status", Integer),
    *(Column(name, BigInteger) for name in COSTS),
    Column("peak_memory_bytes", BigInteger),
    Column("log_dropped", BigInteger),
    # Null where they went out with the answer and nowhere else.
    Column("rows", LargeBinary),
    Column("logs", LargeBinary),
    Column("error", LargeBinary),
    Column("warnings", LargeBinary),
    Column("project", String(63)),
    # A hash of the statement: what runs of a kind have in common.
    Column("kind", String(40)),
    Index("ix_wx_server_runs_tenant", "tenant", "created_at"),
    Index("ix_wx_server_runs_ended", "ended_at"),
    Index("ix_wx_server_runs_unfinished", "created_at", "id", sqlite_where=IS_UNFINISHED,
          postgresql_where=IS_UNFINISHED),
)  # fmt: skip

request_keys = Table(
    "wx_server_request_keys",
    metadata,
    Column("tenant", String(63), primary_key=True),
    Column("key", String(255), primary_key=True),
    # SHA-256 of the request.
    Column("digest", LargeBinary, nullable=False),
    Column("run_id", String(40), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("status", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    # Null once its run has been deleted.
    Column("answer", LargeBinary),
    Index("ix_wx_server_request_keys_run", "run_id"),
    Index("ix_wx_server_request_keys_created", "created_at"),
)

step_versions = Table(
    "wx_server_steps",
    metadata,
    Column("tenant", String(63), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("document", LargeBinary, nullable=False),
    # What the document asks for, read by a process of its own.
    Column("plan", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
)

step_runs = Table(
    "wx_server_step_runs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(63), nullable=False),
    Column("step", String(64), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("key_id", String(40), nullable=False),
    Column("project", String(63)),
    # queued, running, ended.
    Column("state", String(10), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("attempts", Integer, nullable=False),
    # Whether an attempt has begun that may reach the network: it is not begun anew after a crash.
    Column("may_have_effects", Integer, nullable=False),
    # The number of its last attempt in the run store, which has its rows, its log and its end.
    Column("store_run", BigInteger),
    # Of one that ended before it began.
    Column("status", Integer),
    Column("error", Text),
    # Until it has ended: what it was asked with, inputs and secrets included.
    Column("request", LargeBinary),
    *(Column(name, BigInteger, nullable=False, server_default="0") for name in COSTS),
    Index("ix_wx_server_step_runs_step", "tenant", "step", "created_at"),
    Index("ix_wx_server_step_runs_state", "state"),
)

attachments = Table(
    "wx_server_attachments",
    metadata,
    # What a run has beside its row: "recording" and "order" of one that was recorded, "replay" of one that repeats it.
    Column("run_id", String(40), primary_key=True),
    Column("name", String(20), primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

usage = Table(
    "wx_server_usage_by_key",
    metadata,
    Column("tenant", String(63), primary_key=True),
    # Seconds of the epoch at its beginning.
    Column("hour", BigInteger, primary_key=True),
    # Empty for runs of no project.
    Column("project", String(63), primary_key=True),
    Column("key_id", String(40), primary_key=True),
    *(Column(name, BigInteger, nullable=False) for name in COUNTS),
)

sealing_keys = Table(
    "wx_server_sealing_keys",
    metadata,
    # In hexadecimal; the keys themselves are in a file.
    Column("id", String(16), primary_key=True),
    Column("first_used_at", Double, nullable=False),
    # Since when nothing is sealed with it.
    Column("retired_at", Double),
)

secrets = Table(
    "wx_server_secrets",
    metadata,
    Column("tenant", String(63), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    # JSON texts.
    Column("hosts", Text, nullable=False),
    Column("also_in", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)

audit = Table(
    "wx_server_audit",
    metadata,
    # From 1, without a gap.
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    # Microseconds of the epoch: whole, so that the hash is of the very same.
    Column("at", BigInteger, nullable=False),
    # Whose log has it, whose key it was, and the id of that.
    Column("tenant", String(63), nullable=False),
    Column("by", String(63), nullable=False),
    Column("actor", String(40), nullable=False),
    Column("action", String(60), nullable=False),
    Column("target", String(100), nullable=False),
    Column("detail", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Index("ix_wx_server_audit_tenant", "tenant", "number"),
)
