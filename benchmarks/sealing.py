"""How long the first start takes on a database that an older version wrote, before memories had keys.

python -m benchmarks.sealing [EVENTS] [--postgresql]
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from sqlalchemy import MetaData
from tests.postgres import PostgresServer

from innkeeper.engines.store.database import Database
from innkeeper.engines.store.migration import config_for
from innkeeper.engines.vault.local import LocalVault
from innkeeper.migrations.revise import import_tables
from innkeeper.services.memory.sealing.conversion import Conversion
from innkeeper.services.memory.sealing.keyring import with_keys

_BEFORE_KEYS = "0021"
_PIECE = 5000
_TIME = 10**15
_ACCOUNT, _MEMORY = "1" * 12, "old-0123456789"
_TEXT = "Hello number {}, I like my tea with milk and walking by the river in the morning. "


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the sealing of an old database.")
    parser.add_argument("events", nargs="?", type=int, default=100_000)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    import_tables()
    with (
        tempfile.TemporaryDirectory(prefix="innkeeper-bench-") as folder,
        _database_url(Path(folder), postgresql=options.postgresql) as url,
    ):
        asyncio.run(_measure(url, Path(folder), options.events))


@contextmanager
def _database_url(folder: Path, *, postgresql: bool) -> Iterator[str]:
    if not postgresql:
        yield f"sqlite+aiosqlite:///{folder / 'innkeeper.db'}"
        return
    server = PostgresServer()
    try:
        yield server.new_database()
    finally:
        server.stop()


async def _measure(url: str, folder: Path, events: int) -> None:
    database = Database(url)
    await _fill(database, events)
    began = time.perf_counter()
    await database.migrate()
    migrated = time.perf_counter()
    await Conversion(with_keys(database, LocalVault(folder / "master.key"))).run()
    print(f"migrations       {migrated - began:6.1f} s")
    print(f"{events:,} events {time.perf_counter() - migrated:6.1f} s")
    await database.close()


async def _fill(database: Database, events: int) -> None:
    """With events of one turn each, as they were before."""
    old = MetaData()
    async with database.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(config_for(sync), _BEFORE_KEYS))
        await connection.run_sync(old.reflect)
        memory = {"account": _ACCOUNT, "id": _MEMORY, "name": "old", "arn": "arn", "status": "ACTIVE"}
        kept = {"event_expiry_days": 30, "strategies": [], "configuration": {}, "revision": 1}
        made = {"created_at": _TIME, "updated_at": _TIME}
        await connection.execute(old.tables["memories"].insert(), [{**memory, **kept, **made}])
    for first in range(0, events, _PIECE):
        numbers = range(first, min(first + _PIECE, events))
        async with database.begin() as connection:
            await connection.execute(old.tables["memory_events"].insert(), [_event(n) for n in numbers])
            await connection.execute(old.tables["memory_turns"].insert(), [_turn(n) for n in numbers])


def _event(number: int) -> dict[str, Any]:
    said = {"role": "USER", "content": {"text": _TEXT.format(number) * 3}}
    kept = {"payload": [{"conversational": said}], "metadata": {}, "listed": True, "skip_extraction": False}
    return {**_place(number), **kept, "created_at": _TIME, "expires_at": _TIME}


def _turn(number: int) -> dict[str, Any]:
    return {**_place(number), "position": number, "role": "USER", "text": _TEXT.format(number) * 3}


def _place(number: int) -> dict[str, Any]:
    session = {
        "account": _ACCOUNT,
        "memory": _MEMORY,
        "actor": f"a{number % 50}",
        "session": f"s{number % 200}",
    }
    return {**session, "event_id": f"e{number}", "happened_at": _TIME}


if __name__ == "__main__":
    main()
