"""A server that may be killed, and an agent on it whose sessions keep their memory on disk."""

import sqlite3
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.running import Agents, RunningServer

SECONDS = 60.0
STORAGE = [{"sessionStorage": {"mountPath": "/mnt/data"}}]
SETTINGS = {"sandbox_driver": "gvisor", "session_sweep_seconds": "0.2", "session_snapshots_max_count": "4"}


class Inn:
    def __init__(self, folder: Path) -> None:
        self.server = RunningServer(folder, SETTINGS)
        self.start()
        self.agent = self.agents.deploy(filesystemConfigurations=STORAGE)
        self.arn: str = self.agent["agentRuntimeArn"]

    def start(self, **settings: str) -> None:
        self.server.settings.update(settings)
        self.server.start()
        self.agents = Agents(self.server)

    def ask(self, session: str, **order: Any) -> Any:
        return self.agents.ask(self.arn, session, **order)

    def change(self, session: str, action: str, body: Any = None) -> Any:
        path = f"/-/v1/runtimes/{self.agent['agentRuntimeId']}/sessions/{quote(session, safe='')}/{action}"
        return self.server.native("POST", path, body)

    def refusal(self, session: str, action: str, body: Any = None) -> tuple[int, str]:
        return refused(self.change, session, action, body)

    def typed(self, command: str, *words: str) -> str:
        """What the command line prints, without the end of the line."""
        line = [*command.split(), self.agent["agentRuntimeName"], *words]
        line += ["--data-dir", str(self.server.data_dir)]
        return subprocess.check_output([sys.executable, "-m", "innkeeper", *line], text=True).strip()

    def native(self, method: str, kind: str, body: Any = None, keys: tuple[str, str] | None = None) -> Any:
        """A call below the agent's own path."""
        path = f"/-/v1/runtimes/{self.agent['agentRuntimeId']}/{kind}"
        return self.server.native(method, path, body, keys)

    def record(self, session: str) -> Any:
        path = f"/-/v1/runtimes/{self.agent['agentRuntimeId']}/sessions"
        return next(one for one in self.server.native("GET", path)["sessions"] if one["sessionId"] == session)

    def status(self, session: str) -> str:
        return str(self.record(session)["status"])

    def stop(self, session: str) -> None:
        self.agents.data.stop_runtime_session(agentRuntimeArn=self.arn, runtimeSessionId=session)

    def folders(self, word: str = "images") -> list[Path]:
        folder = self.server.data_dir / "sessions" / word
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def sandboxes(self) -> list[str]:
        """Those of sessions."""
        return [id_ for id_, _ in self.server.sandboxes() if not id_.startswith(("spare-", "probe-"))]

    def sql(self, statement: str, *values: str) -> None:
        with closing(sqlite3.connect(self.server.data_dir / "innkeeper.db", timeout=SECONDS)) as database:
            database.execute(statement, values)
            database.commit()


@contextmanager
def slowly_noted(server: RunningServer, status: str) -> Iterator[None]:
    """Meanwhile the database takes a second or more to note that a session has this status."""
    with closing(sqlite3.connect(server.data_dir / "innkeeper.db", timeout=SECONDS)) as database:
        database.execute(
            "CREATE VIEW numbers AS WITH RECURSIVE counted(number) AS "
            "(SELECT 1 UNION ALL SELECT number + 1 FROM counted LIMIT 10000000) SELECT number FROM counted"
        )
        count = "BEGIN SELECT count(*) FROM numbers; END"
        database.execute(
            f"CREATE TRIGGER slow BEFORE UPDATE ON runtime_sessions WHEN NEW.status = '{status}' {count}"
        )
        try:
            yield
        finally:
            database.execute("DROP TRIGGER slow")
            database.execute("DROP VIEW numbers")


def refused(call: Any, *arguments: Any) -> tuple[int, str]:
    """The status and the body of the answer to a call that is refused."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        call(*arguments)
    with caught.value as error:
        return error.code, error.read().decode()


def until_it_breaks(work: Any, *arguments: Any) -> None:
    """What the death of the server may cut short."""
    try:
        work(*arguments)
    except (OSError, ClientError, BotoCoreError):
        return
