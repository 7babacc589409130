"""Steps, checkpoints with their history, runs, logs and row errors."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "wx_steps",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("checkpoint_version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_wx_steps"),
        sa.UniqueConstraint("name", name="uq_wx_steps_name"),
    )
    op.create_table(
        "wx_checkpoints",
        sa.Column("step_id", _BIG_ID, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("cause", sa.String(10), nullable=False),
        sa.Column("run_id", _BIG_ID),
        sa.Column("changed_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("step_id", "version", name="pk_wx_checkpoints"),
        sa.ForeignKeyConstraint(["step_id"], ["wx_steps.id"], name="fk_wx_checkpoints_step_id"),
    )
    op.create_table(
        "wx_definitions",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("text_bytes", sa.BigInteger, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_wx_definitions"),
    )
    _create_runs()
    for name, columns in {
        "wx_logs": (
            sa.Column("time", sa.Double, nullable=False),
            sa.Column("level", sa.SmallInteger, nullable=False),
            sa.Column("execution", sa.BigInteger),
            sa.Column("message", sa.Text, nullable=False),
        ),
        "wx_row_errors": (
            sa.Column("row", sa.BigInteger, nullable=False),
            sa.Column("status", sa.SmallInteger, nullable=False),
            sa.Column("error", sa.Text, nullable=False),
        ),
    }.items():
        op.create_table(
            name,
            sa.Column("run_id", _BIG_ID, nullable=False),
            sa.Column("seq", sa.BigInteger, nullable=False),
            *columns,
            sa.PrimaryKeyConstraint("run_id", "seq", name=f"pk_{name}"),
            sa.ForeignKeyConstraint(["run_id"], ["wx_runs.id"], name=f"fk_{name}_run_id", ondelete="CASCADE"),
            sqlite_with_rowid=False,
        )


def _create_runs() -> None:
    counts = ("rows_in", "rows_out", "rows_failed", "executions", "log_records", "log_bytes", "log_dropped")
    op.create_table(
        "wx_runs",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("step_id", _BIG_ID, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("status", sa.SmallInteger),
        sa.Column("status_name", sa.String(40)),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME),
        sa.Column("usage", sa.Text),
        sa.Column("error", sa.Text),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in counts),
        sa.Column("row_errors", sa.BigInteger, nullable=False),
        sa.Column("row_errors_dropped", sa.BigInteger, nullable=False),
        sa.Column("warnings", sa.Text),
        sa.Column("checkpoint_version_before", sa.BigInteger, nullable=False),
        sa.Column("checkpoint_before", sa.Text),
        sa.Column("checkpoint_version_after", sa.BigInteger),
        sa.Column("checkpoint_after", sa.Text),
        sa.Column("local_variables", sa.Text),
        sa.Column("processing", sa.String(40)),
        sa.Column("trigger", sa.String(40), nullable=False),
        sa.Column("attributes", sa.Text),
        sa.Column("definition_sha256", sa.String(64)),
        sa.Column("replay_of", _BIG_ID),
        sa.Column("process_host", sa.String(255), nullable=False),
        sa.Column("process_scope", sa.String(100), nullable=False),
        sa.Column("process_id", sa.BigInteger, nullable=False),
        sa.Column("process_start", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_wx_runs"),
        sa.ForeignKeyConstraint(["step_id"], ["wx_steps.id"], name="fk_wx_runs_step_id"),
        sa.ForeignKeyConstraint(["definition_sha256"], ["wx_definitions.sha256"], name="fk_wx_runs_definition_sha256"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_wx_runs_step_id_id", "wx_runs", ["step_id", "id"])
    op.create_index("ix_wx_runs_state_step_id", "wx_runs", ["state", "step_id"])
