"""A user starts a server, and stops it."""

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.fixture
def started(run: Run) -> Iterator[dict[str, str]]:
    said = run("up", "--detach", "--port", "0", "--json")
    assert said.returncode == 0, said.stderr
    yield json.loads(said.stdout)
    assert run("down").returncode == 0


def test_a_detached_server_is_found_until_it_is_stopped(run: Run, started: dict[str, str]) -> None:
    server = json.loads(run("status", "--json").stdout)["server"]
    assert server == {name: started[name] for name in ("url", "pid", "version", "dataDir")}
    again = run("up", "--detach")
    assert again.returncode == 1
    assert f"a server runs already: {started['url']}" in again.stderr
    assert run("down").stdout == f"Stopped {started['url']}.\n"
    assert run("status").returncode == 1


def test_the_root_key_is_for_this_user_only(data: Path, started: dict[str, str]) -> None:
    assert (data / "credentials").stat().st_mode & 0o777 == 0o600


def test_keys_are_made_disabled_and_removed(run: Run, started: dict[str, str]) -> None:
    made = json.loads(run("keys", "create", "--description", "mine", "--json").stdout)
    key = made["accessKeyId"]

    def listed() -> dict[str, bool]:
        keys = json.loads(run("keys", "ls", "--json").stdout)["keys"]
        return {each["accessKeyId"]: each["active"] for each in keys}

    assert listed()[key]
    assert run("keys", "disable", key).stdout == f"{key} is disabled.\n"
    assert not listed()[key]
    run("keys", "rm", key)
    assert key not in listed()
    unknown = run("keys", "rm", key)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr.startswith("error: ")


@pytest.mark.parametrize("options", [(), ("--detach",)])
def test_a_taken_port_is_named(run: Run, options: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said: subprocess.CompletedProcess[str] = run("up", "--port", str(port), *options)
    assert said.returncode == 1
    assert f"port {port} is taken; choose another: --port 0" in said.stderr
