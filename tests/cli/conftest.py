"""A data folder as a running server leaves it, and the command run as a user runs it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

SECRET = "it's a $ecret/with+signs"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"status": "ok", "version": "9.9.9"}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """The `innkeeper` command, with a data folder of its own."""

    def innkeeper(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"INNKEEPER_DATA_DIR": str(tmp_path / "data")} | variables
        return subprocess.run(
            [sys.executable, "-m", "innkeeper", *words],
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return innkeeper


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def write_note(folder: Path, url: str, pid: int) -> None:
    (folder / "server.json").write_text(json.dumps({"url": url, "pid": pid, "version": "9.9.9"}))
    (folder / "credentials").write_text(
        f"[default]\naws_access_key_id = AKIATEST\naws_secret_access_key = {SECRET}\nregion = eu-west-1\n"
    )


@pytest.fixture
def url(data: Path) -> Iterator[str]:
    """A server that answers its health check and is found through the data folder."""
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        write_note(data, address, os.getpid())
        yield address
        server.shutdown()
