"""What sandboxes may reach."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    _sandbox_snapshots()
    _sandboxes()


def _sandbox_snapshots() -> None:
    with op.batch_alter_table("sandbox_snapshots", schema=None) as batch_op:
        batch_op.add_column(sa.Column("egress", sa.LargeBinary(), nullable=True))


def _sandboxes() -> None:
    with op.batch_alter_table("sandboxes", schema=None) as batch_op:
        batch_op.add_column(sa.Column("egress", sa.LargeBinary(), nullable=True))
