"""A newcomer looks at the command."""

import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest
import typer.main

from innkeeper.cli.main import app
from tests.cli.conftest import Run

AGENTS = "deploy invoke sessions logs url pause hibernate fork snapshot restore snapshots resume stop rm"
COMMANDS = f"up down env keys master-key doctor code sandbox templates secrets memory status {AGENTS}"


def _leaves(name: str, command: Any) -> list[tuple[str, Any]]:
    nested = getattr(command, "commands", None)
    if nested is None:
        return [(name, command)]
    return [leaf for child in nested.values() for leaf in _leaves(f"{name} {child.name}", child)]


def test_help_lists_every_command(run: Run) -> None:
    said = run("--help")
    assert said.returncode == 0
    listed = said.stdout.partition("Commands:")[2].splitlines()
    assert {line.split()[0] for line in listed if line.strip()} == set(COMMANDS.split())


def test_every_command_explains_itself_and_can_answer_in_json() -> None:
    for name, command in _leaves("innkeeper", typer.main.get_command(app)):
        options = {option for parameter in command.params for option in parameter.opts}
        assert command.help, name
        assert {"--json", "--data-dir"} <= options, name


def test_version(run: Run) -> None:
    assert run("--version").stdout.strip() == version("innkeeper")


def test_help_is_quick_because_nothing_heavy_is_loaded() -> None:
    heavy = "{'boto3', 'botocore', 'rich', 'pydantic', 'sqlalchemy', 'starlette'}"
    code = f"import sys, innkeeper.cli.main; print(*{heavy} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
    assert said.stdout == b"\n"


@pytest.mark.parametrize(
    "words",
    [
        ("no-such-command",),
        ("up", "--port", "70000"),
        ("env", "--shell", "tcsh"),
        ("invoke", "hello", "{}", "--file", "/etc/hostname"),
        ("stop", "hello"),
        ("deploy", "/no/such/folder"),
        ("deploy", ".", "--env", "NO_VALUE"),
        ("deploy", ".", "--protocol", "GOPHER"),
        ("deploy", ".", "--python", "2.7"),
        ("deploy", ".", "--jwt-client", "app"),
    ],
)
def test_a_wrong_call_exits_with_2_and_says_what_is_wrong(run: Run, words: tuple[str, ...]) -> None:
    said = run(*words)
    assert said.returncode == 2, said.stderr
    assert "Error: " in said.stderr
    assert "Traceback" not in said.stderr
