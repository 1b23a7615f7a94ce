"""The guide's programs, as they stand there."""

import re
import sys
from pathlib import Path

from tests.running import RunningServer
from tests.stories.terminal import ROOT, Terminal


def test_the_guide_can_be_followed(server: RunningServer, tmp_path: Path) -> None:
    text = (ROOT / "docs/guide/memory-frameworks.md").read_text()
    programs = "".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    user = Terminal(tmp_path, {**server.environment, "INNKEEPER_DATA_DIR": str(server.data_dir)})
    memory = user.ok("innkeeper", "memory", "create", "people").strip()
    said = user.ok(sys.executable, "-c", programs, MEMORY_ID=memory)
    assert "3 so far\n" in said
    assert said.count("tea with milk") == 4
    assert "<user_context>I prefer tea with milk.</user_context>" in said
