"""Memories."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    _memories()


def _memories() -> None:
    op.create_table(
        "memories",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=48), nullable=False),
        sa.Column("arn", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("event_expiry_days", sa.Integer(), nullable=False),
        sa.Column("strategies", sa.JSON(), nullable=False),
        sa.Column("configuration", sa.JSON(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "id", name=op.f("pk_memories")),
        sa.UniqueConstraint("account", "name", name=op.f("uq_memories_account_name")),
    )
