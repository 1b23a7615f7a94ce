"""Note what the index of memories has yet to take in."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    _memory_changes()


def _memory_changes() -> None:
    op.create_table(
        "memory_changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("memory", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memory_changes")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("memory_changes", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_memory_changes_account_memory"), ["account", "memory"], unique=False
        )
