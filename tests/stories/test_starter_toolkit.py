"""The AgentCore starter toolkit, as it comes, from its first command to its last."""

import json
import re
import shutil

import pytest

from tests.running import Agents, RunningServer
from tests.stories.terminal import ROOT, Terminal

CONFIGURE = "--entrypoint main.py --name guest --deployment-type direct_code_deploy --disable-memory"


def spoken(text: str) -> str:
    """The toolkit's output without the frames it draws and the lines it breaks."""
    return re.sub(r"\s+", " ", re.sub("[╭╮╰╯│─]", " ", text))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_starter_toolkit_takes_an_agent_through_its_life(
    server: RunningServer, agents: Agents, terminal: Terminal
) -> None:
    shutil.copytree(ROOT / "examples/hello", terminal.folder, dirs_exist_ok=True)
    toolkit = ("agentcore",)
    terminal.ok(*toolkit, "configure", *CONFIGURE.split(), "--non-interactive")

    deployed = spoken(terminal.ok(*toolkit, "deploy"))
    assert "Deployment Success" in deployed
    (runtime,) = agents.control.list_agent_runtimes()["agentRuntimes"]
    role = agents.control.get_agent_runtime(agentRuntimeId=runtime["agentRuntimeId"])["roleArn"]
    assert "AmazonBedrockAgentCoreSDKRuntime" in role

    for call in (1, 2):
        said = spoken(terminal.ok(*toolkit, "invoke", '{"prompt": "good evening"}'))
        answer = json.loads(said[said.index('{"answer"') : said.rindex("}") + 1])
        assert answer["answer"] == "Hello! You said: good evening"
        assert answer["call"] == call

    status = spoken(terminal.ok(*toolkit, "status"))
    assert "Ready - Agent deployed and endpoint available" in status
    assert "Endpoint: DEFAULT (READY)" in status
    assert runtime["agentRuntimeArn"] in status.replace(" ", "")

    assert "Session stopped successfully" in spoken(terminal.ok(*toolkit, "stop-session"))
    sessions = server.native("GET", f"/-/v1/runtimes/{runtime['agentRuntimeId']}/sessions")["sessions"]
    assert [session["status"] for session in sessions] == ["TERMINATED"]

    terminal.ok(*toolkit, "deploy")
    (updated,) = agents.control.list_agent_runtimes()["agentRuntimes"]
    assert updated["agentRuntimeVersion"] == "2"

    destroyed = spoken(terminal.ok(*toolkit, "destroy", "--force"))
    assert "Resources Successfully Destroyed" in destroyed
    assert agents.control.list_agent_runtimes()["agentRuntimes"] == []
    left = [found["RoleName"] for found in server.client("iam").list_roles()["Roles"]]
    assert left == ["InnkeeperAgentRole"]
