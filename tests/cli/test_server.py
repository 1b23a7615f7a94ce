"""Commands look for the running server, and say plainly when there is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from innkeeper.cli import server
from innkeeper.cli.failure import CommandFailed
from tests.cli.conftest import Run, write_note

NEEDS_A_SERVER = [
    ("env",),
    ("status",),
    ("sessions", "hello"),
    ("logs", "hello"),
    ("stop", "hello", "--all"),
    ("rm", "hello", "--yes"),
    ("invoke", "hello", "{}"),
    ("keys", "ls"),
]


@pytest.mark.parametrize("words", NEEDS_A_SERVER, ids=" ".join)
def test_without_a_server_a_command_says_how_to_start_one(run: Run, words: tuple[str, ...]) -> None:
    said = run(*words)
    assert said.returncode == 1
    assert said.stdout == ""
    assert said.stderr.startswith("error: no server is running on ")
    assert said.stderr.endswith("start one: innkeeper up --detach\n")


def test_a_server_that_was_killed_is_not_taken_for_running(data: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(timeout=30)
    write_note(data, "http://127.0.0.1:9", gone.pid)
    with pytest.raises(CommandFailed, match="no server is running"):
        server.find(data)


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert child.stdout
    child.stdout.read()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not server.process_alive(child.pid)
    child.communicate(timeout=30)


def test_the_server_is_found_with_its_key(data: Path, url: str) -> None:
    found = server.find(data)
    assert (found.url, found.version, found.region) == (url, "9.9.9", "eu-west-1")
    assert found.secret_access_key not in repr(found)


def test_a_missing_key_is_named(data: Path, url: str) -> None:
    (data / "credentials").unlink()
    with pytest.raises(CommandFailed, match="credentials is missing"):
        server.find(data)


def test_up_refuses_to_start_a_second_server(run: Run, url: str) -> None:
    said = run("up")
    assert said.returncode == 1
    assert f"a server runs already: {url}" in said.stderr


def test_down_without_a_server_is_no_error(run: Run) -> None:
    said = run("down")
    assert said.returncode == 0
    assert "No server is running" in said.stdout


def test_a_wrong_setting_is_named(run: Run) -> None:
    said = run("env", INNKEEPER_PORT="a lot")
    assert said.returncode == 1
    assert said.stderr.startswith("error: setting port: ")
