"""Names and entry points of what is deployed."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.cli.deploy import default_name, entry_file
from innkeeper.cli.failure import CommandFailed


@given(st.text(st.characters(blacklist_characters="/\0", codec="utf-8"), min_size=1, max_size=80))
def test_every_folder_name_makes_a_name_that_the_wire_takes(name: str) -> None:
    assert re.fullmatch("[a-zA-Z][a-zA-Z0-9_]{0,47}", default_name(Path("/nowhere") / name))


def test_the_name_of_a_plain_folder_is_kept() -> None:
    assert default_name(Path("/src/data_analyst")) == "data_analyst"
    assert default_name(Path("/src/my-agent.v2")) == "my_agent_v2"


def test_the_entry_point_is_main_unless_named(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"holds no main\.py"):
        entry_file(tmp_path, "")
    (tmp_path / "main.py").touch()
    (tmp_path / "agent.py").touch()
    assert entry_file(tmp_path, "") == "main.py"
    assert entry_file(tmp_path, "agent.py") == "agent.py"
    assert entry_file(tmp_path / "agent.py", "") == "agent.py"
    with pytest.raises(CommandFailed, match="leave --entrypoint out"):
        entry_file(tmp_path / "agent.py", "main.py")
