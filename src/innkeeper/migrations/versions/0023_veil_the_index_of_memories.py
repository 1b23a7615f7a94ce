"""Veil the index of memories: it is made anew."""

from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TABLE IF EXISTS search_passages")
    for kind, table in (("turn", "memory_turns"), ("record", "memory_records"), ("chunk", "memory_chunks")):
        op.execute(
            f"INSERT INTO memory_changes (account, memory, kind, row) "  # noqa: S608
            f"SELECT account, memory, '{kind}', id FROM {table}"
        )
