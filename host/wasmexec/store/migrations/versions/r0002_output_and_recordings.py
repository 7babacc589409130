"""Output rows of a run, and recordings."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("wx_runs", sa.Column("output_chunks", sa.Integer, nullable=False, server_default="0"))
    op.add_column("wx_runs", sa.Column("output_rows", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("wx_runs", sa.Column("output_bytes", sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "wx_output",
        sa.Column("run_id", _BIG_ID, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        sa.Column("data_bytes", sa.BigInteger, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("source_bytes", sa.BigInteger),
        sa.Column("source_rows", sa.LargeBinary),
        sa.PrimaryKeyConstraint("run_id", "seq", name="pk_wx_output"),
        sa.ForeignKeyConstraint(["run_id"], ["wx_runs.id"], name="fk_wx_output_run_id", ondelete="CASCADE"),
    )
    op.create_table(
        "wx_recordings",
        sa.Column("run_id", _BIG_ID, nullable=False),
        sa.Column("meta", sa.Text, nullable=False),
        sa.Column("is_sealed", sa.SmallInteger, nullable=False),
        sa.Column("incomplete_reason", sa.Text, nullable=False),
        sa.Column("parts", sa.BigInteger, nullable=False),
        sa.Column("payload_bytes", sa.BigInteger, nullable=False),
        sa.Column("stored_bytes", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_wx_recordings"),
        sa.ForeignKeyConstraint(["run_id"], ["wx_runs.id"], name="fk_wx_recordings_run_id", ondelete="CASCADE"),
    )
    op.create_table(
        "wx_recorded_parts",
        sa.Column("run_id", _BIG_ID, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("execution", sa.BigInteger, nullable=False),
        sa.Column("meta", sa.Text, nullable=False),
        sa.Column("payload_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "seq", name="pk_wx_recorded_parts"),
        sa.ForeignKeyConstraint(
            ["run_id"], ["wx_recordings.run_id"], name="fk_wx_recorded_parts_run_id", ondelete="CASCADE"
        ),
    )
