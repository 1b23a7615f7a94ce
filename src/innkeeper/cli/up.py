"""`innkeeper up`: run the server, here or in the background."""

import errno
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from innkeeper.cli import server
from innkeeper.cli.failure import CommandFailed
from innkeeper.cli.options import DataDir, Json
from innkeeper.cli.terminal import print_json, progress, say

if TYPE_CHECKING:
    from innkeeper.settings import Settings

START_TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.1

Port = Annotated[
    int | None,
    typer.Option(
        min=0, max=65535, help="TCP port; 0 takes a free one.", show_default="INNKEEPER_PORT, or 8471"
    ),
]
Detach = Annotated[bool, typer.Option("--detach", help="Run in the background; `innkeeper down` stops it.")]


def up(data_dir: DataDir = None, port: Port = None, detach: Detach = False, as_json: Json = False) -> None:
    """Start the server."""
    settings = server.load_settings(data_dir, port=port)
    found = server.running(settings.data_dir)
    if found:
        raise CommandFailed(
            f"a server runs already: {found.url} (pid {found.pid}); "
            f"stop it: innkeeper down --data-dir {found.data_dir}"
        )
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    (settings.data_dir / "server.json").unlink(missing_ok=True)  # left by a server that was killed
    if detach:
        _announce(_start(settings), data_dir, as_json, detached=True)
    else:
        _serve(settings, data_dir, as_json)


def _serve(settings: "Settings", data_dir: Path | None, as_json: bool) -> None:
    from innkeeper.server import AlreadyRunning, run

    def announce_when_ready() -> None:
        if found := _wait_until_running(settings.data_dir, lambda: True):
            _announce(found, data_dir, as_json, detached=False)

    threading.Thread(target=announce_when_ready, daemon=True).start()
    try:
        run(settings)
    except AlreadyRunning as error:
        raise CommandFailed(str(error)) from error
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise CommandFailed(f"port {settings.port} is taken; choose another: --port 0") from error
    except KeyboardInterrupt:
        say("Stopped.")


def _start(settings: "Settings") -> server.Server:
    command = [sys.executable, "-m", "innkeeper", "up", "--data-dir", str(settings.data_dir)]
    log_path = settings.data_dir / "server.log"
    with log_path.open("ab") as log, progress("Starting the server"):
        start = log.tell()
        process = subprocess.Popen(
            [*command, "--port", str(settings.port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            if found := _wait_until_running(settings.data_dir, _starting(process, log_path)):
                return found
        except KeyboardInterrupt:
            process.terminate()
            raise
    process.terminate()
    said = log_path.read_bytes()[start:].decode(errors="replace").strip()
    reason = said.splitlines()[-1] if said else f"it said nothing for {START_TIMEOUT_SECONDS:.0f} s"
    raise CommandFailed(f"the server did not start: {reason} (log: {log_path})")


def _starting(process: "subprocess.Popen[bytes]", log: Path) -> Callable[[], bool]:
    """Whether it may come up yet: it runs, and was not silent for too long. A first start of a new version on
    a large database says from time to time how far it is."""
    heard, size = time.monotonic(), 0

    def starts() -> bool:
        nonlocal heard, size
        if (now := log.stat().st_size) != size:
            heard, size = time.monotonic(), now
        return process.poll() is None and time.monotonic() - heard < START_TIMEOUT_SECONDS

    return starts


def _wait_until_running(folder: Path, starts: Callable[[], bool]) -> server.Server | None:
    """None when it does not start any more."""
    while starts():
        if found := server.running(folder):
            return found
        time.sleep(POLL_SECONDS)
    return None


def _announce(found: server.Server, data_dir: Path | None, as_json: bool, *, detached: bool) -> None:
    if as_json:
        note = {"url": found.url, "pid": found.pid, "version": found.version, "dataDir": str(found.data_dir)}
        print_json({**note, "sandboxes": found.sandboxes})
        return
    option = f" --data-dir {data_dir}" if data_dir else ""
    stop = f"innkeeper down{option}" if detached else "Ctrl-C"
    log = f"\n  log       {found.data_dir / 'server.log'}" if detached else ""
    typer.echo(
        f"Innkeeper {found.version} is open at {found.url}\n"
        f"  data      {found.data_dir}{log}\n"
        f"  sandboxes {found.sandboxes}\n"
        f'  clients   eval "$(innkeeper env{option})"\n'
        f"  next      innkeeper deploy PATH{option}\n"
        f"  stop      {stop}"
    )
