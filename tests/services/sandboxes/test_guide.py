"""The guide's commands, as they stand there."""

import re
from pathlib import Path

import pytest

from tests.running import RunningServer
from tests.stories.terminal import ROOT, Terminal

pytestmark = [pytest.mark.timeout(300), pytest.mark.parametrize("server", ["bubblewrap"], indirect=True)]


def test_the_guide_can_be_followed(server: RunningServer, tmp_path: Path) -> None:
    user = Terminal(tmp_path, {**server.environment, "INNKEEPER_DATA_DIR": str(server.data_dir)})
    page = (ROOT / "docs/guide/sandboxes.md").read_text()
    commands = "".join(re.findall(r"^```bash\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    said = user.ok("bash", "-euo", "pipefail", "-c", commands)
    assert said.count("hello\n") == 3
    assert (tmp_path / "note.txt").read_text() == "hello\n"
