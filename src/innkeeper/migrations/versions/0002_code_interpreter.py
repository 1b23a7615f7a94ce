"""Code interpreter."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _code_interpreter_sessions()
    _code_interpreters()


def _code_interpreter_sessions() -> None:
    op.create_table(
        "code_interpreter_sessions",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("interpreter", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("timeout_seconds", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.Column("cpu_seconds", sa.Float(), nullable=False),
        sa.Column("memory_peak_mib", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_code_interpreter_sessions")),
    )
    with op.batch_alter_table("code_interpreter_sessions", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_code_interpreter_sessions_account_interpreter_created_at"),
            ["account", "interpreter", "created_at"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_code_interpreter_sessions_host_status"), ["host", "status"], unique=False
        )


def _code_interpreters() -> None:
    op.create_table(
        "code_interpreters",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=48), nullable=False),
        sa.Column("arn", sa.Text(), nullable=False),
        sa.Column("configuration", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "id", name=op.f("pk_code_interpreters")),
        sa.UniqueConstraint("account", "name", name=op.f("uq_code_interpreters_account_name")),
    )
