"""`innkeeper down`: stop a server that runs in the background."""

import os
import signal
import time

import typer

from innkeeper.cli import server
from innkeeper.cli.failure import CommandFailed
from innkeeper.cli.options import DataDir, Json
from innkeeper.cli.terminal import print_json, progress

STOP_TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.1


def down(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Stop the server, and with it every session."""
    folder = server.load_settings(data_dir).data_dir
    found = server.running(folder)
    if found:
        _stop(found)
    if as_json:
        print_json({"stopped": found is not None})
    else:
        typer.echo(f"Stopped {found.url}." if found else f"No server is running on {folder}.")


def _stop(found: server.Server) -> None:
    os.kill(found.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    with progress("Stopping the server"):
        while server.process_alive(found.pid):
            if time.monotonic() > deadline:
                raise CommandFailed(
                    f"process {found.pid} did not stop in {STOP_TIMEOUT_SECONDS:.0f} s; "
                    f"see {found.data_dir / 'server.log'}, or end it: kill -9 {found.pid}"
                )
            time.sleep(POLL_SECONDS)
