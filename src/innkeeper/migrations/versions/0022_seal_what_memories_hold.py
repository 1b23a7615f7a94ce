"""Seal what memories hold: the columns become bytes here, and are sealed when the server starts.

What was in them stays as it was, as UTF-8, until then.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

_Kind = sa.types.TypeEngine[Any]
_TEXT, _JSON = sa.Text(), sa.JSON()
_NOT_NULL: dict[str, dict[str, _Kind]] = {
    "memory_block_versions": {"text": _TEXT},
    "memory_blocks": {"text": _TEXT, "description": _TEXT},
    "memory_chunks": {"heading": _TEXT, "text": _TEXT},
    "memory_digests": {"text": _TEXT},
    "memory_documents": {"title": _TEXT, "summary": _TEXT, "sections": _JSON},
    "memory_events": {"payload": _JSON, "metadata": _JSON},
    "memory_held": {"text": _TEXT, "detail": _JSON},
    "memory_jobs": {"metadata": _JSON},
    "memory_record_history": {},
    "memory_records": {"text": _TEXT, "metadata": _JSON},
    "memory_turns": {"text": _TEXT},
}
_NULL: dict[str, dict[str, _Kind]] = {
    "memory_jobs": {"found": _JSON, "failure": _TEXT},
    "memory_record_history": {"before": _TEXT},
}
_COUNTING = {
    "memory_chunks",
    "memory_events",
    "memory_held",
    "memory_jobs",
    "memory_records",
    "memory_turns",
}


def upgrade() -> None:
    op.create_table(
        "memory_keys",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("memory", sa.String(length=64), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("account", "memory", name=op.f("pk_memory_keys")),
    )
    op.add_column("memory_records", sa.Column("likeness", sa.LargeBinary(length=16), nullable=True))
    op.add_column("memory_turns", sa.Column("characters", sa.Integer(), nullable=True))
    op.execute("UPDATE memory_turns SET characters = length(text)")
    postgresql = op.get_bind().dialect.name == "postgresql"
    for table, columns in _NOT_NULL.items():
        both = {name: (kind, False) for name, kind in columns.items()}
        both |= {name: (kind, True) for name, kind in _NULL.get(table, {}).items()}
        (_postgresql if postgresql else _sqlite)(table, both)
    if postgresql:
        op.alter_column("memory_turns", "characters", nullable=False)


def _postgresql(table: str, columns: dict[str, tuple[_Kind, bool]]) -> None:
    changed = (f"ALTER COLUMN {name} TYPE bytea USING convert_to({name}::text, 'UTF8')" for name in columns)
    op.execute(f"ALTER TABLE {table} {', '.join(changed)}")


def _sqlite(table: str, columns: dict[str, tuple[_Kind, bool]]) -> None:
    options = {"sqlite_autoincrement": True} if table in _COUNTING else {}
    with op.batch_alter_table(table, table_kwargs=options) as batch:
        for name, (kind, nullable) in columns.items():
            batch.alter_column(name, existing_type=kind, type_=sa.LargeBinary(), existing_nullable=nullable)
        if table == "memory_turns":
            batch.alter_column("characters", existing_type=sa.Integer(), nullable=False)
