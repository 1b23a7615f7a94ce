"""Databases with all tables: copies of one of each kind, which the migrations have made once."""

import shutil
from pathlib import Path

from innkeeper.engines.store.database import Database
from tests.postgres import PostgresServer

DATABASES = ("sqlite", "postgresql")


class Tables:
    def __init__(self, folder: Path, postgres: PostgresServer) -> None:
        self._file = folder / "innkeeper.db"
        self._postgres = postgres
        self._url = ""

    async def copy(self, kind: str, folder: Path) -> str:
        """The URL of a new database; that of SQLite lies in the folder."""
        if kind == "sqlite":
            if not self._file.exists():
                await _migrate(_url_of(self._file))
            return _url_of(Path(shutil.copy(self._file, folder)))
        if not self._url:
            self._url = self._postgres.new_database()
            await _migrate(self._url)
        return self._postgres.new_database(like=self._url)


async def _migrate(url: str) -> None:
    database = Database(url)
    await database.migrate()
    await database.close()


def _url_of(file: Path) -> str:
    return f"sqlite+aiosqlite:///{file}"
