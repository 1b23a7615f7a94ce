"""The code interpreter tools that come with Strands and LangChain work unmodified."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from tests.running import RunningServer
from tests.services.code_interpreter.conftest import SETTINGS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PACKAGES = ("strands-agents-tools[agent_core_code_interpreter]", "langchain-aws", "bedrock-agentcore")
SCRIPT = Path(__file__).parent / "framework_tools.py.txt"


def test_the_tools_of_frameworks_work(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    uv = find_uv_bin()
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(venv)], check=True)
    python = str(venv / "bin" / "python")
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *PACKAGES], check=True)
    server = RunningServer(tmp_path / "inn", SETTINGS).start()
    try:
        done = subprocess.run(
            [python, "-c", SCRIPT.read_text()],
            env=server.environment,
            stdout=subprocess.PIPE,
            check=True,
            timeout=200,
            text=True,
        )
    finally:
        server.stop()
    told = json.loads(done.stdout.splitlines()[-1])
    result, _, read, listed = told["strands"]
    assert "42" in result
    assert "from strands" in read
    assert "note.txt" in listed
    result, _, read, started = told["langchain"]
    assert result.strip() == "42"
    assert "from langchain" in read
    assert "is working" in started
