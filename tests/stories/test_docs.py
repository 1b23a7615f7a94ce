"""What the README and the first guide tell a newcomer to type really works, as it stands there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import clean_environment
from tests.stories.conftest import share_packages
from tests.stories.processes import naming
from tests.stories.terminal import ROOT, Terminal

BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SET_UP = re.compile(r"make setup( && )?\n?")  # these tests run because it was done
DEMO = "make demo\n"  # a story of its own

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def newcomer(tmp_path: Path, packages: Path) -> Iterator[Terminal]:
    """In the project's folder, with no server yet."""
    data = share_packages(tmp_path / "data", packages)
    settings = {"INNKEEPER_DATA_DIR": str(data), "INNKEEPER_PORT": "0"}
    terminal = Terminal(ROOT, {**clean_environment(), **settings})
    yield terminal
    terminal.ok("innkeeper", "down")
    assert naming(data) == []


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page, without set-up."""
    found = BLOCK.findall((ROOT / page).read_text())
    return [text for name, block in found if name == language and (text := SET_UP.sub("", block)) != DEMO]


def run(terminal: Terminal, script: str) -> str:
    return terminal.ok("bash", "-euo", "pipefail", "-c", script)


def test_the_readmes_commands_lead_to_a_running_agent(newcomer: Terminal) -> None:
    (commands,) = blocks("README.md", "bash")
    said = run(newcomer, commands)
    assert '"Hello! You said: hi"' in said


def test_the_getting_started_guide_can_be_followed_to_its_end(newcomer: Terminal, tmp_path: Path) -> None:
    page = "docs/guide/getting-started.md"
    said = "".join(run(newcomer, commands) for commands in blocks(page, "bash"))
    assert '"Hello! You said: hi"' in said
    assert '"Hello! You said: again"' in said
    assert "Stopped cli-0123456789abcdef0123456789abcdef." in said
    own = tmp_path / "own"
    own.mkdir()
    (code,) = blocks(page, "python")
    (own / "main.py").write_text(code)
    (own / "requirements.txt").write_text("bedrock-agentcore")
    newcomer.ok("innkeeper", "deploy", str(own))
    assert newcomer.json("innkeeper", "invoke", "own", "good day") == {"answer": "You said good day"}
