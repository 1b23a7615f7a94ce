"""A real, private PostgreSQL for the tests: its own folder, its own Unix socket, no TCP port."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path

import psycopg

_START_TIMEOUT_SECONDS = 60
_INSTALL = "PostgreSQL is not installed; the tests need its server: apt-get install postgresql"


def binary(name: str) -> str:
    """A PostgreSQL program, from Debian's folders (newest first) or from PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=_version, reverse=True)
    found = str(debian[0]) if debian else shutil.which(name)
    if found is None:
        raise RuntimeError(_INSTALL)
    return found


def _version(path: Path) -> float:
    return float(path.parts[4])


class PostgresServer:
    """Runs until `stop`. Data does not outlive it: fsync is off."""

    def __init__(self) -> None:
        # Not under pytest's own temp folder: a socket path may have 107 bytes at most.
        self.folder = Path(tempfile.mkdtemp(prefix="innkeeper-pg-"))
        # PostgreSQL refuses to run as root; Debian's package brings this user.
        self._user = "postgres" if os.getuid() == 0 else None
        self._names = count(1)
        if self._user:
            shutil.chown(self.folder, self._user)
        data = self.folder / "data"
        self._run(
            binary("initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"
        )
        self._process = self._start(data)
        self._await_ready()

    def _run(self, *command: str) -> None:
        try:
            subprocess.run(
                command, user=self._user, group=self._user, cwd=self.folder, check=True, capture_output=True
            )
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"{command[0]} failed: {error.stderr.decode()}") from error

    def _start(self, data: Path) -> subprocess.Popen[bytes]:
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
            "max_connections": "200",
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("wb") as log:
            return subprocess.Popen(
                [binary("postgres"), "-D", str(data), *settings],
                user=self._user,
                group=self._user,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while True:
            try:
                self._execute("SELECT 1")
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = (self.folder / "log").read_text()
                    self.stop()
                    raise RuntimeError(f"PostgreSQL did not start:\n{log}") from error
                time.sleep(0.05)

    def _execute(self, statement: str) -> None:
        parameters = f"host={self.folder} user=postgres dbname=postgres"
        with psycopg.connect(parameters, autocommit=True) as connection:
            connection.execute(statement.encode())

    def new_database(self) -> str:
        """The SQLAlchemy URL of an empty database that nobody else uses."""
        name = f"test_{next(self._names)}"
        self._execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(timeout=_START_TIMEOUT_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)
