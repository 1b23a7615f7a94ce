"""Events and records of memories."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    _memory_branches()
    _memory_events()
    _memory_records()
    _memory_sessions()
    _memory_turns()


def _memory_branches() -> None:
    op.create_table(
        "memory_branches",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("memory", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("session", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("parent", sa.String(length=100), nullable=True),
        sa.Column("root_event_id", sa.String(length=64), nullable=False),
        sa.Column("root_at", sa.BigInteger(), nullable=False),
        sa.Column("root_row", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "account", "memory", "actor", "session", "name", name=op.f("pk_memory_branches")
        ),
    )


def _memory_events() -> None:
    op.create_table(
        "memory_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("memory", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("session", sa.String(length=100), nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("happened_at", sa.BigInteger(), nullable=False),
        sa.Column("branch", sa.String(length=100), nullable=True),
        sa.Column("root_event_id", sa.String(length=64), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("request", sa.String(length=64), nullable=True),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column("skip_extraction", sa.Boolean(), nullable=False),
        sa.Column("namespace_variables", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memory_events")),
        sa.UniqueConstraint("request", name=op.f("uq_memory_events_request")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("memory_events", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_memory_events_account_memory_actor_session_happened_at_id"),
            ["account", "memory", "actor", "session", "happened_at", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_memory_events_event_id_memory"), ["event_id", "memory"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_memory_events_expires_at"), ["expires_at"], unique=False)


def _memory_records() -> None:
    op.create_table(
        "memory_records",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("memory", sa.String(length=64), nullable=False),
        sa.Column("record_id", sa.String(length=50), nullable=False),
        sa.Column("namespace", sa.String(length=1024), nullable=False),
        sa.Column("strategy", sa.String(length=100), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("happened_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("valid_to", sa.BigInteger(), nullable=True),
        sa.Column("superseded_by", sa.String(length=50), nullable=True),
        sa.Column("source_event_ids", sa.JSON(), nullable=False),
        sa.Column("trust", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memory_records")),
        sa.UniqueConstraint(
            "account", "memory", "record_id", name=op.f("uq_memory_records_account_memory_record_id")
        ),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("memory_records", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_memory_records_account_memory_namespace_id"),
            ["account", "memory", "namespace", "id"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_memory_records_expires_at"), ["expires_at"], unique=False)


def _memory_sessions() -> None:
    op.create_table(
        "memory_sessions",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("memory", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("session", sa.String(length=100), nullable=False),
        sa.Column("turns", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("touched_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "memory", "actor", "session", name=op.f("pk_memory_sessions")),
    )
    with op.batch_alter_table("memory_sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_memory_sessions_touched_at"), ["touched_at"], unique=False)


def _memory_turns() -> None:
    op.create_table(
        "memory_turns",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("memory", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("session", sa.String(length=100), nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("happened_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memory_turns")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("memory_turns", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_memory_turns_account_memory_actor_session_position"),
            ["account", "memory", "actor", "session", "position"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_memory_turns_event_id_memory"), ["event_id", "memory"], unique=False
        )
