"""Digests that were asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    _memory_digests()


def _memory_digests() -> None:
    with op.batch_alter_table("memory_digests", schema=None) as batch_op:
        batch_op.add_column(sa.Column("asked", sa.Boolean(), server_default=sa.false(), nullable=False))
