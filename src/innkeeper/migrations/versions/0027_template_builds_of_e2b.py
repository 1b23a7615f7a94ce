"""Template builds of E2B."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    _e2b_builds()
    _e2b_tags()


def _e2b_builds() -> None:
    op.create_table(
        "e2b_builds",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("cpu_cores", sa.Float(), nullable=True),
        sa.Column("memory_mib", sa.Integer(), nullable=True),
        sa.Column("recipe", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "id", name=op.f("pk_e2b_builds")),
    )
    with op.batch_alter_table("e2b_builds", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_e2b_builds_account_name"), ["account", "name"], unique=False)


def _e2b_tags() -> None:
    op.create_table(
        "e2b_tags",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("tag", sa.String(length=63), nullable=False),
        sa.Column("build", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "name", "tag", "build", name=op.f("pk_e2b_tags")),
    )
