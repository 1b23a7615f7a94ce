"""History of records, and policies of their safety."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    _memory_history_heads()
    _memory_record_history()
    _memory_safety()
    _memory_records()


def _memory_history_heads() -> None:
    op.create_table(
        "memory_history_heads",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("memory", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "memory", name=op.f("pk_memory_history_heads")),
    )


def _memory_record_history() -> None:
    op.create_table(
        "memory_record_history",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("memory", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("record_id", sa.String(length=50), nullable=False),
        sa.Column("namespace", sa.String(length=1024), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("was", sa.String(length=64), nullable=True),
        sa.Column("became", sa.String(length=64), nullable=True),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.Column("erased", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("account", "memory", "sequence", name=op.f("pk_memory_record_history")),
    )
    with op.batch_alter_table("memory_record_history", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_memory_record_history_account_memory_record_id_sequence"),
            ["account", "memory", "record_id", "sequence"],
            unique=False,
        )


def _memory_safety() -> None:
    op.create_table(
        "memory_safety",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("memory", sa.String(length=64), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "memory", name=op.f("pk_memory_safety")),
    )


def _memory_records() -> None:
    with op.batch_alter_table("memory_records", schema=None) as batch_op:
        batch_op.add_column(sa.Column("concerns", sa.JSON(), server_default="[]", nullable=False))
