"""Records from before the history."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    _memory_unadopted()
    _memory_record_history()
    _note_what_is_older()


def _memory_unadopted() -> None:
    op.create_table(
        "memory_unadopted",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("memory", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("account", "memory", name=op.f("pk_memory_unadopted")),
    )


def _memory_record_history() -> None:
    with op.batch_alter_table("memory_record_history", schema=None) as batch_op:
        batch_op.add_column(sa.Column("shortened", sa.String(length=64), nullable=True))


def _note_what_is_older() -> None:
    """Memories with records that have no history, or one that begins in the middle: the server takes those in
    when it starts, under its key."""
    op.execute(
        """
        INSERT INTO memory_unadopted (account, memory)
        SELECT one.account, one.memory FROM memory_records AS one WHERE NOT EXISTS (
            SELECT 1 FROM memory_record_history AS its
            WHERE its.account = one.account AND its.memory = one.memory AND its.record_id = one.record_id
        )
        UNION
        SELECT begun.account, begun.memory FROM memory_record_history AS begun
        WHERE begun.was IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM memory_record_history AS earlier
            WHERE earlier.account = begun.account AND earlier.memory = begun.memory
            AND earlier.record_id = begun.record_id AND earlier.sequence < begun.sequence
        )
        """
    )
