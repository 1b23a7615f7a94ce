"""Tokens of memories as tools."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    _memory_tool_tokens()


def _memory_tool_tokens() -> None:
    op.create_table(
        "memory_tool_tokens",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("memory", sa.String(length=64), nullable=False),
        sa.Column("token", sa.String(length=42), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("trust", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memory_tool_tokens")),
        sa.UniqueConstraint(
            "account", "memory", "token", name=op.f("uq_memory_tool_tokens_account_memory_token")
        ),
    )
    with op.batch_alter_table("memory_tool_tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_memory_tool_tokens_expires_at"), ["expires_at"], unique=False)
