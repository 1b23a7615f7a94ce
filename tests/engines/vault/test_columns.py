"""A rotation of the master key finds what is sealed by its column's type."""

from sqlalchemy import LargeBinary

from innkeeper.engines.store.database import metadata
from innkeeper.engines.vault.columns import VaultSealed
from innkeeper.engines.vault.rewrapping import sealed_columns
from innkeeper.migrations.revise import import_tables
from innkeeper.services.memory.sealing.columns import Likeness, Sealed


def test_bytes_in_the_database_are_sealed_by_the_vault_or_by_a_memory() -> None:
    """Any others might be a vault's secrets that a rotation would leave, and a retired key lose."""
    import_tables()
    other = {
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.c
        if isinstance(column.type, LargeBinary | VaultSealed | Sealed | Likeness)
        and not isinstance(column.type, VaultSealed | Sealed | Likeness)
    }
    assert other == set()


def test_a_context_is_made_of_columns_that_the_table_has() -> None:
    import_tables()
    for table, column in sealed_columns():
        assert isinstance(column.type, VaultSealed)
        assert set(column.type.names) <= set(table.c.keys())
