"""Wrapping all that a database keeps sealed anew, under the master key in use.

Piece by piece, each in a transaction of its own: who is cut off begins again, and finds less to do. What
somebody else writes meanwhile stays.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    LargeBinary,
    Table,
    Update,
    bindparam,
    select,
    tuple_,
    type_coerce,
    update,
)

from innkeeper.engines.store.database import Database, metadata
from innkeeper.engines.vault.columns import VaultSealed
from innkeeper.engines.vault.vault import Vault

_PIECE = 500
_WAS, _NEW, _KEY = "was", "new", "key_"


@dataclass(slots=True)
class Rewrapped:
    """How many secrets there are, how many were under another key, and of which tables how many open under no
    key that there is."""

    secrets: int = 0
    changed: int = 0
    unreadable: dict[str, int] = field(default_factory=dict)


class Rewrapping:
    def __init__(self, database: Database, vault: Vault, told: Callable[[int], None]) -> None:
        """`told` hears after each piece how many secrets were looked at."""
        self._database = database
        self._vault = vault
        self._told = told

    async def run(self) -> Rewrapped:
        done = Rewrapped()
        for table, column in sealed_columns():
            last: Sequence[Any] | None = []
            while last is not None:
                last = await self._database.in_thread(self._piece(table, column, last, done))
                self._told(done.secrets)
        return done

    def _piece(
        self, table: Table, column: Column[bytes], after: Sequence[Any], done: Rewrapped
    ) -> Callable[[Connection], Sequence[Any] | None]:
        """Does the next rows, and tells the last one's key; None when there were no more."""

        def work(connection: Connection) -> Sequence[Any] | None:
            key = list(table.primary_key)
            names = {one.name: one for one in (*key, *(table.c[name] for name in _kind(column).names))}
            query = select(type_coerce(column, LargeBinary).label(_WAS), *names.values())
            query = query.where(column.is_not(None)).order_by(*key).limit(_PIECE)
            if after:
                query = query.where(tuple_(*key) > tuple_(*after))
            rows = connection.execute(query).mappings().all()
            if changes := self._changes(table, column, rows, done):
                connection.execute(_update(table, column), changes)
            return [rows[-1][one.name] for one in key] if rows else None

        return work

    def _changes(
        self, table: Table, column: Column[bytes], rows: Sequence[Any], done: Rewrapped
    ) -> list[dict[str, Any]]:
        changes = []
        for row in rows:
            done.secrets += 1
            try:
                new = self._vault.rewrap(bytes(row[_WAS]), _kind(column).context(row))
            except ValueError:
                done.unreadable[table.name] = done.unreadable.get(table.name, 0) + 1
                continue
            if new is not None:
                done.changed += 1
                place = {_KEY + one.name: row[one.name] for one in table.primary_key}
                changes.append({_WAS: row[_WAS], _NEW: new, **place})
        return changes


def _update(table: Table, column: Column[bytes]) -> Update:
    """What somebody else has written meanwhile stays."""
    same = [one == bindparam(_KEY + one.name, type_=one.type) for one in table.primary_key]
    return update(table).where(*same, column == bindparam(_WAS)).values({column: bindparam(_NEW)})


def sealed_columns() -> list[tuple[Table, Column[bytes]]]:
    """Of the tables that this process knows."""
    return [
        (table, column)
        for table in metadata.sorted_tables
        for column in table.c
        if isinstance(column.type, VaultSealed)
    ]


def _kind(column: Column[bytes]) -> VaultSealed:
    assert isinstance(column.type, VaultSealed)
    return column.type
