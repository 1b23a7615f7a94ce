"""Running servers that the tests of a worker share, whatever file they are in: starting one takes seconds."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.postgres import PostgresServer
from tests.running import RunningServer


class Servers:
    """One server for each database and settings, from when it is first asked for until `stop`. Whoever uses
    it finds what others left there: a test takes new names, and looks at nothing that is not its own."""

    def __init__(self, folder: Path, postgres: PostgresServer) -> None:
        self._folder = folder
        self._postgres = postgres
        self._running: dict[tuple[str, frozenset[tuple[str, str]]], RunningServer] = {}

    def on(self, database: str, settings: Mapping[str, str]) -> RunningServer:
        key = database, frozenset(settings.items())
        if key not in self._running:
            own = dict(settings)
            if database == "postgresql":
                own["database_url"] = self._postgres.new_database()
            folder = self._folder / f"{database}-{len(self._running)}"
            self._running[key] = RunningServer(folder, own).start()
        return self._running[key]

    def stop(self) -> None:
        with ThreadPoolExecutor() as all_at_once:
            list(all_at_once.map(RunningServer.stop, self._running.values()))
