"""Keep which vectors the index of memories lacks."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    _memory_vectors()


def _memory_vectors() -> None:
    op.create_table(
        "memory_vectors",
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("model", sa.String(length=256), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_memory_vectors")),
    )
