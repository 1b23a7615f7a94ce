"""Usage of sandboxes."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _usage_hours()


def _usage_hours() -> None:
    op.create_table(
        "usage_hours",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("agent", sa.String(length=128), nullable=False),
        sa.Column("session", sa.String(length=256), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("cpu_seconds", sa.Float(), nullable=False),
        sa.Column("memory_mib_seconds", sa.Float(), nullable=False),
        sa.Column("memory_peak_mib", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("account", "id", "hour", name=op.f("pk_usage_hours")),
    )
    with op.batch_alter_table("usage_hours", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_usage_hours_account_hour"), ["account", "hour"], unique=False)
        batch_op.create_index(batch_op.f("ix_usage_hours_hour"), ["hour"], unique=False)
