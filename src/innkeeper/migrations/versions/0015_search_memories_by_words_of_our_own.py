"""Search memories by words of our own: the index is made anew."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TABLE IF EXISTS search_passages")
    for kind, table in (("turn", "memory_turns"), ("record", "memory_records")):
        op.execute(
            f"INSERT INTO memory_changes (account, memory, kind, row) "  # noqa: S608
            f"SELECT account, memory, '{kind}', id FROM {table}"
        )
