"""Credentials of agents in images."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    _runtime_session_images()
    _runtime_snapshots()


def _runtime_session_images() -> None:
    with op.batch_alter_table("runtime_session_images", schema=None) as batch_op:
        batch_op.add_column(sa.Column("credentials", sa.LargeBinary(), nullable=True))


def _runtime_snapshots() -> None:
    with op.batch_alter_table("runtime_snapshots", schema=None) as batch_op:
        batch_op.add_column(sa.Column("credentials", sa.LargeBinary(), nullable=True))
