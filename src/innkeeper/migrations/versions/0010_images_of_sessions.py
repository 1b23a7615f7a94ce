"""Images of sessions."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    _runtime_session_images()


def _runtime_session_images() -> None:
    op.create_table(
        "runtime_session_images",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("life", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("agent", sa.Integer(), nullable=False),
        sa.Column("access_key_id", sa.String(length=128), nullable=False),
        sa.Column("mcp_session", sa.Text(), nullable=True),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "life", name=op.f("pk_runtime_session_images")),
    )
