"""`make demo`: the main job, as a newcomer sees it."""

import re

import pytest

from tests.running import clean_environment
from tests.stories.processes import naming
from tests.stories.terminal import ROOT, Terminal

FOLDER = ROOT / ".innkeeper/demo"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_demo_shows_sessions_with_charts_and_a_memory_and_leaves_nothing_running() -> None:
    said = Terminal(ROOT, clean_environment()).ok("python", "-m", "scripts.demo")
    for session in "AB":
        assert len(re.findall(rf"^  {session} \| answer ", said, re.MULTILINE)) == 2
    assert "Each session remembered its own first question, and nothing of the other's" in said
    *_, third = said.partition("A third session")
    assert "  C | memory   Ann once said: I prefer to see revenue by category." in third
    assert "  C | answer   In short: revenue by category: " in third
    charts = [ROOT / name for name in re.findall(r"saved to (\S+\.png)", said)]
    assert len({chart.parent for chart in charts}) == 3
    for chart in charts:
        assert chart.read_bytes().startswith(b"\x89PNG")
    assert "docs/guide/getting-started.md" in said
    assert re.search(r"Stopped http://\S+\s*$", said)
    assert naming(FOLDER) == []
