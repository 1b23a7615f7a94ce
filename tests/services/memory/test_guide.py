"""The guide's programs and commands, as they stand there."""

import re
import sys
from pathlib import Path

import pytest

from tests.running import RunningServer
from tests.stories.terminal import ROOT, Terminal

pytestmark = pytest.mark.parametrize("server", ["sqlite"], indirect=True)


@pytest.mark.timeout(600)
def test_the_guide_can_be_followed(server: RunningServer, tmp_path: Path) -> None:
    user = Terminal(tmp_path, {**server.environment, "INNKEEPER_DATA_DIR": str(server.data_dir)})
    text = (ROOT / "docs/guide/memory.md").read_text()

    def blocks(kind: str) -> str:
        return "".join(re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL))

    assert "Ann takes milk in her tea.\n" in user.ok(sys.executable, "-c", blocks("python"))
    said = user.ok("bash", "-euo", "pipefail", "-c", blocks("bash"))
    assert "events: 4\n" in said
    assert "I take my tea with milk." in said
    user.ok("bash", "-c", 'test "$(innkeeper memory export guide)" = ""')
