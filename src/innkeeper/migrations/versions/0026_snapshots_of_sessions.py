"""Snapshots of sessions."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    _runtime_snapshots()
    _runtime_session_images()


def _runtime_snapshots() -> None:
    op.create_table(
        "runtime_snapshots",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("runtime_id", sa.String(length=128), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=True),
        sa.Column("endpoint", sa.String(length=64), nullable=False),
        sa.Column("session_id", sa.String(length=256), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("image", sa.String(length=32), nullable=False),
        sa.Column("agent", sa.Integer(), nullable=False),
        sa.Column("access_key_id", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("mcp_session", sa.Text(), nullable=True),
        sa.Column("storage", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("account", "id", name=op.f("pk_runtime_snapshots")),
        sa.UniqueConstraint(
            "account", "runtime_id", "name", name=op.f("uq_runtime_snapshots_account_runtime_id_name")
        ),
    )


def _runtime_session_images() -> None:
    with op.batch_alter_table("runtime_session_images", schema=None) as batch_op:
        batch_op.add_column(sa.Column("storage", sa.String(length=32), nullable=True))
