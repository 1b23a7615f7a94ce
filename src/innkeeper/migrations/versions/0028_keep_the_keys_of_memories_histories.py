"""Keep the keys of memories' histories."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    _memory_keys()


def _memory_keys() -> None:
    with op.batch_alter_table("memory_keys", schema=None) as batch_op:
        batch_op.add_column(sa.Column("history", sa.LargeBinary(), nullable=True))
