"""Documents of memories."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    _memory_chunks()
    _memory_documents()
    _memory_pulled()


def _memory_chunks() -> None:
    op.create_table(
        "memory_chunks",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("memory", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("session", sa.String(length=100), nullable=False),
        sa.Column("document", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("heading", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memory_chunks")),
        sa.UniqueConstraint(
            "account",
            "memory",
            "actor",
            "document",
            "number",
            name=op.f("uq_memory_chunks_account_memory_actor_document_number"),
        ),
        sqlite_autoincrement=True,
    )


def _memory_documents() -> None:
    op.create_table(
        "memory_documents",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("memory", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("session", sa.String(length=100), nullable=False),
        sa.Column("document", sa.String(length=40), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("sections", sa.JSON(), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memory_documents")),
        sa.UniqueConstraint(
            "account",
            "memory",
            "actor",
            "document",
            name=op.f("uq_memory_documents_account_memory_actor_document"),
        ),
    )


def _memory_pulled() -> None:
    op.create_table(
        "memory_pulled",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("memory", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("session", sa.String(length=100), nullable=False),
        sa.Column("document", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memory_pulled")),
        sa.UniqueConstraint(
            "account",
            "memory",
            "actor",
            "session",
            "document",
            "number",
            name=op.f("uq_memory_pulled_account_memory_actor_session_document_number"),
        ),
    )
