"""`python -m innkeeper.migrations.revise "add tags to runtimes"`: a new migration, from what the code says.

The tables of all services are compared with those that the present migrations make in an empty SQLite
database. The new file has one small function per table. Read it before committing it: Alembic sees neither
renames nor what must happen to the rows. There are no downgrades: the way back is a backup.
"""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules, walk_packages

from alembic import command
from alembic.migration import MigrationContext
from alembic.operations.ops import (
    CreateTableOp,
    DowngradeOps,
    DropTableOp,
    MigrateOperation,
    MigrationScript,
    ModifyTableOps,
    UpgradeOps,
)
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from innkeeper import services
from innkeeper.engines import store
from innkeeper.engines.store.database import Database
from innkeeper.engines.store.migration import FOLDER, config_for


def import_tables() -> None:
    """Make the metadata whole: import every module whose name says that it defines tables."""
    for module in iter_modules(store.__path__, f"{store.__name__}."):
        import_module(module.name)
    for module in walk_packages(services.__path__, f"{services.__name__}."):
        if module.name.endswith("store"):
            import_module(module.name)


async def revise(message: str) -> list[Path]:
    """The new file; none when the tables are as the migrations make them."""
    import_tables()
    before = set(_versions())
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{Path(folder) / 'empty.db'}"
        database = Database(url)
        await database.migrate()
        await database.close()
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            await connection.run_sync(_generate, message, f"{len(before) + 1:04d}")
        await engine.dispose()
    made = sorted(set(_versions()) - before)
    await asyncio.to_thread(_tidy, made)
    return made


def _versions() -> Iterable[Path]:
    return (FOLDER / "versions").glob("[0-9]*.py")


def _tidy(files: list[Path]) -> None:
    for action in (["check", "--fix-only", "--quiet"], ["format", "--quiet"]) if files else ():
        subprocess.run([sys.executable, "-m", "ruff", *action, *files], check=True)


def _generate(connection: Connection, message: str, revision: str) -> None:
    tables: list[str] = []

    def by_table(_context: MigrationContext, _revision: object, scripts: list[MigrationScript]) -> None:
        tables.extend(_split(scripts))

    config = config_for(connection)
    config.attributes["options"] = {
        "process_revision_directives": by_table,
        "template_args": {"tables": tables},
    }
    command.revision(config, message, autogenerate=True, rev_id=revision)


def _split(scripts: list[MigrationScript]) -> list[str]:
    """One group of operations for each table, so that no function of the file grows long. Its names."""
    (script,) = scripts
    groups: dict[str, list[MigrateOperation]] = {}
    for operation in script.upgrade_ops_list[0].ops:
        assert isinstance(operation, (CreateTableOp, DropTableOp, ModifyTableOps))
        groups.setdefault(f"_{operation.table_name}", []).append(operation)
    if not groups:
        scripts.clear()
    script.upgrade_ops = [UpgradeOps(operations, name) for name, operations in groups.items()]
    script.downgrade_ops = [DowngradeOps([], f"{name}_down") for name in groups]
    return list(groups)


def main() -> None:
    if len(sys.argv) != 2 or not sys.argv[1].strip():
        sys.exit('usage: python -m innkeeper.migrations.revise "what changes, in a few words"')
    if not asyncio.run(revise(sys.argv[1])):
        print("The tables are as the migrations make them: nothing to do.")


if __name__ == "__main__":
    main()
