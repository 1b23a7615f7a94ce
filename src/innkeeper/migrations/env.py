"""Alembic runs this file for each of its commands, on the connection that the caller opened."""

from typing import Any, Literal

from alembic import context
from sqlalchemy.types import TypeDecorator

from innkeeper.engines.store.database import metadata


def _render(kind: str, item: Any, _context: object) -> str | Literal[False]:
    """A migration says how a value is kept, not which class of ours reads it: that may change later."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl_instance!r}"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    render_item=_render,
    **context.config.attributes.get("options", {}),
)
with context.begin_transaction():
    context.run_migrations()
