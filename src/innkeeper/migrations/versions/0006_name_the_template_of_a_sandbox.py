"""A sandbox's template by its name, apart from the ground that it stands on; what a template resolved to."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    _ground("sandboxes")
    _ground("sandbox_snapshots")
    _sandbox_templates()


def _ground(table: str) -> None:
    """Until now `template` was the ground."""
    with op.batch_alter_table(table) as batch:
        batch.add_column(sa.Column("ground", sa.String(length=63), nullable=True))
    op.execute(f"UPDATE {table} SET ground = template")  # noqa: S608 (a name of ours)
    with op.batch_alter_table(table) as batch:
        batch.alter_column("ground", existing_type=sa.String(length=63), nullable=False)


def _sandbox_templates() -> None:
    with op.batch_alter_table("sandbox_templates") as batch:
        batch.add_column(sa.Column("resolved", sa.JSON(), nullable=True))
    op.execute("UPDATE sandbox_templates SET resolved = '{}'")
    with op.batch_alter_table("sandbox_templates") as batch:
        batch.alter_column("resolved", existing_type=sa.JSON(), nullable=False)
