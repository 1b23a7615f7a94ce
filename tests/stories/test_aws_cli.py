"""The AWS CLI takes an agent from its code to its end."""

import json
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.running import Agents, behaving, new_session
from tests.stories.terminal import Terminal

CONTROL = ("aws", "bedrock-agentcore-control")
DATA = ("aws", "bedrock-agentcore")
ANSWER = {"do": "read", "path": "/var/task/answer.txt"}


def upload(terminal: Terminal, answer: str) -> str:
    """The `--agent-runtime-artifact` of an agent that knows one answer."""
    with zipfile.ZipFile(terminal.folder / f"{answer}.zip", "w") as archive:
        archive.writestr("main.py", behaving())
        archive.writestr("answer.txt", answer)
    terminal.ok("aws", "s3", "cp", f"{answer}.zip", "s3://recipes/agents/")
    code = {"s3": {"bucket": "recipes", "prefix": f"agents/{answer}.zip"}}
    return json.dumps(
        {"codeConfiguration": {"code": code, "runtime": "PYTHON_3_11", "entryPoint": ["main.py"]}}
    )


def settled(terminal: Terminal, runtime_id: str) -> Any:
    for _ in range(100):
        runtime = terminal.json(*CONTROL, "get-agent-runtime", "--agent-runtime-id", runtime_id)
        if runtime["status"] not in ("CREATING", "UPDATING"):
            assert runtime["status"] == "READY", runtime
            return runtime
        time.sleep(0.2)
    raise AssertionError(f"{runtime_id} did not settle")


def ask(terminal: Terminal, arn: str, session: str, qualifier: str = "DEFAULT", **order: Any) -> Any:
    words = ["--agent-runtime-arn", arn, "--runtime-session-id", session, "--qualifier", qualifier]
    words += ["--payload", json.dumps(order or ANSWER), "answer.json"]
    terminal.ok(*DATA, "invoke-agent-runtime", *words)
    return json.loads((terminal.folder / "answer.json").read_text())


def test_the_caller_is_told_who_they_are(terminal: Terminal, agents: Agents) -> None:
    identity = terminal.json("aws", "sts", "get-caller-identity")
    assert identity["Account"] == agents.account


def test_files_go_into_a_bucket_and_come_back(terminal: Terminal) -> None:
    terminal.ok("aws", "s3", "mb", "s3://cellar")
    (terminal.folder / "wine").write_bytes(bytes(range(256)) * 50_000)  # 12 MB: in parts
    terminal.ok("aws", "s3", "cp", "wine", "s3://cellar/red/wine")
    assert "12800000 wine" in terminal.ok("aws", "s3", "ls", "s3://cellar/red/")
    terminal.ok("aws", "s3", "cp", "s3://cellar/red/wine", "again")
    assert (terminal.folder / "again").read_bytes() == (terminal.folder / "wine").read_bytes()
    terminal.ok("aws", "s3", "rb", "s3://cellar", "--force")
    assert "cellar" not in terminal.ok("aws", "s3", "ls")


@pytest.mark.slow
def test_an_agent_is_created_invoked_updated_and_deleted(terminal: Terminal, agents: Agents) -> None:
    terminal.ok("aws", "s3", "mb", "s3://recipes")
    common = ("--role-arn", agents.role, "--network-configuration", "networkMode=PUBLIC")
    artifact = ("--agent-runtime-artifact", upload(terminal, "soup"))
    made = terminal.json(*CONTROL, "create-agent-runtime", "--agent-runtime-name", "cook", *artifact, *common)
    runtime_id, arn = made["agentRuntimeId"], made["agentRuntimeArn"]
    settled(terminal, runtime_id)
    one = ("--agent-runtime-id", runtime_id)
    terminal.ok(*CONTROL, "create-agent-runtime-endpoint", *one, "--name", "pinned")
    session = new_session()
    assert ask(terminal, arn, session) == {"text": "soup"}
    assert ask(terminal, arn, session, do="count")["calls"] == 2

    artifact = ("--agent-runtime-artifact", upload(terminal, "stew"))
    terminal.ok(*CONTROL, "update-agent-runtime", *one, *artifact, *common)
    assert settled(terminal, runtime_id)["agentRuntimeVersion"] == "2"
    assert ask(terminal, arn, new_session()) == {"text": "stew"}
    assert ask(terminal, arn, new_session(), "pinned") == {"text": "soup"}
    pinned = terminal.json(*CONTROL, "get-agent-runtime-endpoint", *one, "--endpoint-name", "pinned")
    assert (pinned["liveVersion"], pinned["status"]) == ("1", "READY")

    stop = ("stop-runtime-session", "--agent-runtime-arn", arn, "--runtime-session-id", session)
    terminal.ok(*DATA, *stop)
    again = terminal.run(*DATA, *stop)
    assert "ResourceNotFoundException" in again.stderr

    terminal.ok(*CONTROL, "delete-agent-runtime", *one)
    for _ in range(100):
        gone = terminal.run(*CONTROL, "get-agent-runtime", *one)
        if "ResourceNotFoundException" in gone.stderr:
            return
        time.sleep(0.2)
    raise AssertionError("the runtime is still there")


def test_a_wrong_secret_is_refused(terminal: Terminal) -> None:
    said = terminal.run("aws", "sts", "get-caller-identity", AWS_SECRET_ACCESS_KEY="wrong")
    assert said.returncode != 0
    assert "SignatureDoesNotMatch" in said.stderr


def test_a_missing_file_names_the_key(terminal: Terminal, tmp_path: Path) -> None:
    said = terminal.run("aws", "s3", "cp", "s3://nowhere/at-all", str(tmp_path / "x"))
    assert said.returncode != 0
    assert "404" in said.stderr or "NoSuchBucket" in said.stderr
