"""Sandboxes."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _sandbox_snapshots()
    _sandboxes()


def _sandbox_snapshots() -> None:
    op.create_table(
        "sandbox_snapshots",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=True),
        sa.Column("sandbox", sa.String(length=20), nullable=False),
        sa.Column("template", sa.String(length=63), nullable=False),
        sa.Column("network", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("image", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "id", name=op.f("pk_sandbox_snapshots")),
        sa.UniqueConstraint("account", "name", name=op.f("uq_sandbox_snapshots_account_name")),
    )


def _sandboxes() -> None:
    op.create_table(
        "sandboxes",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("template", sa.String(length=63), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("network", sa.String(length=16), nullable=False),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.Column("on_timeout", sa.String(length=8), nullable=False),
        sa.Column("timeout_seconds", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(length=128), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.Column("image", sa.String(length=32), nullable=True),
        sa.Column("image_bytes", sa.BigInteger(), nullable=False),
        sa.Column("environment", sa.LargeBinary(), nullable=True),
        sa.Column("cpu_seconds", sa.Float(), nullable=False),
        sa.Column("memory_peak_mib", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sandboxes")),
    )
    with op.batch_alter_table("sandboxes", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_sandboxes_account_started_at"), ["account", "started_at"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_sandboxes_host_state"), ["host", "state"], unique=False)
