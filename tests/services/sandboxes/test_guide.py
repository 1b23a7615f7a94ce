"""The guide's commands, as they stand there."""

import re
from pathlib import Path

import pytest

from tests.running import RunningServer
from tests.stories.terminal import ROOT, Terminal

pytestmark = [pytest.mark.timeout(300), pytest.mark.parametrize("server", ["bubblewrap"], indirect=True)]


def followed(page: str, server: RunningServer, folder: Path) -> str:
    user = Terminal(folder, {**server.environment, "INNKEEPER_DATA_DIR": str(server.data_dir)})
    text = (ROOT / "docs/guide" / page).read_text()
    commands = "".join(re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    return user.ok("bash", "-euo", "pipefail", "-c", commands)


def test_templates_are_built_as_the_guide_says(server: RunningServer, tmp_path: Path) -> None:
    said = followed("templates.md", server, tmp_path)
    assert "< hello >" in said
    assert "web is ready" in said


def test_the_guide_can_be_followed(server: RunningServer, tmp_path: Path) -> None:
    said = followed("sandboxes.md", server, tmp_path)
    assert said.count("hello\n") == 3
    assert (tmp_path / "note.txt").read_text() == "hello\n"
