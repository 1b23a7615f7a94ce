"""Learn from what was said."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    _memory_jobs()
    _memory_learning()
    _memory_records()
    _memory_sessions()


def _memory_jobs() -> None:
    op.create_table(
        "memory_jobs",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("memory", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("session", sa.String(length=100), nullable=False),
        sa.Column("strategy", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("namespace", sa.String(length=1024), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("found", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("applied", sa.Integer(), nullable=False),
        sa.Column("dropped", sa.JSON(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("owner", sa.String(length=64), nullable=True),
        sa.Column("leased_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_memory_jobs")),
        sa.UniqueConstraint("id", name=op.f("uq_memory_jobs_id")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("memory_jobs", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_memory_jobs_account_memory_namespace_state"),
            ["account", "memory", "namespace", "state"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_memory_jobs_state_not_before"), ["state", "not_before"], unique=False
        )


def _memory_learning() -> None:
    op.create_table(
        "memory_learning",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("memory", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("session", sa.String(length=100), nullable=False),
        sa.Column("strategy", sa.String(length=100), nullable=False),
        sa.Column("session_made_at", sa.BigInteger(), nullable=False),
        sa.Column("read_until", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "account", "memory", "actor", "session", "strategy", name=op.f("pk_memory_learning")
        ),
    )


def _memory_records() -> None:
    with op.batch_alter_table("memory_records", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_memory_records_account_memory_superseded_by"),
            ["account", "memory", "superseded_by"],
            unique=False,
        )


def _memory_sessions() -> None:
    with op.batch_alter_table("memory_sessions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("learn_at", sa.BigInteger(), nullable=True))
        batch_op.create_index(batch_op.f("ix_memory_sessions_learn_at"), ["learn_at"], unique=False)
