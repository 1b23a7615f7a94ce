"""Secrets."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    _secret_versions()
    _secrets()


def _secret_versions() -> None:
    op.create_table(
        "secret_versions",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("arn", sa.String(length=1024), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("is_text", sa.Boolean(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("accessed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("arn", "id", name=op.f("pk_secret_versions")),
    )


def _secrets() -> None:
    op.create_table(
        "secrets",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=512), nullable=False),
        sa.Column("arn", sa.String(length=1024), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("kms_key_id", sa.Text(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("accessed_at", sa.BigInteger(), nullable=True),
        sa.Column("delete_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("account", "name", name=op.f("pk_secrets")),
        sa.UniqueConstraint("arn", name=op.f("uq_secrets_arn")),
    )
    with op.batch_alter_table("secrets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_secrets_delete_at"), ["delete_at"], unique=False)
