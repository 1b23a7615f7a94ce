"""The `innkeeper` command alone: from the server's start to its end."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.running import behaving, clean_environment, new_session
from tests.stories.conftest import share_packages
from tests.stories.processes import until
from tests.stories.terminal import Terminal

INN = "innkeeper"
SECONDS = 60.0

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, packages: Path) -> Iterator[Terminal]:
    """A terminal whose `innkeeper` commands share one data folder, on which a server runs."""
    folder = tmp_path_factory.mktemp("shell")
    data = share_packages(folder / "data", packages)
    shell = Terminal(folder, {**clean_environment(), "INNKEEPER_DATA_DIR": str(data), "INNKEEPER_PORT": "0"})
    shell.ok(INN, "up", "--detach")
    yield shell
    shell.ok(INN, "down")


@pytest.fixture(scope="module")
def guest(shell: Terminal) -> str:
    """The name of an agent that does as it is told, at version 2."""
    folder = shell.folder / "guest"
    folder.mkdir()
    (folder / "main.py").write_text(behaving())
    assert shell.json(INN, "deploy", "guest", "--json")["agentRuntimeVersion"] == "1"
    said = shell.ok(INN, "deploy", "guest", "--env", "MOOD=good", "--endpoint", "stable")
    assert "guest is ready, version 2" in said
    return "guest"


def tell(shell: Terminal, guest: str, session: str, **order: Any) -> Any:
    answer = shell.json(INN, "invoke", guest, json.dumps(order), "--session", session, "--json")
    assert answer["sessionId"] == session
    return answer["data"]


def test_a_second_deploy_makes_version_2_and_moves_its_endpoints(shell: Terminal, guest: str) -> None:
    (agent,) = shell.json(INN, "status", guest, "--json")["agents"]
    assert {(one["name"], one["liveVersion"]) for one in agent["endpoints"]} == {
        ("DEFAULT", "2"),
        ("stable", "2"),
    }
    assert tell(shell, guest, new_session(), do="environment")["MOOD"] == "good"
    table = shell.ok(INN, "status")
    assert "guest" in table
    assert "READY" in table


def test_an_answer_is_printed_as_it_is_and_the_session_goes_on(shell: Terminal, guest: str) -> None:
    said = shell.run(INN, "invoke", guest, '{"do": "count"}')
    assert json.loads(said.stdout)["calls"] == 1
    assert "go on with: innkeeper invoke guest --session cli-" in said.stderr
    session = said.stderr.split()[1].rstrip(";")
    assert tell(shell, guest, session, do="count")["calls"] == 2
    assert tell(shell, guest, new_session(), do="count")["calls"] == 1


def test_a_payload_comes_from_stdin_a_file_or_plain_words(shell: Terminal, guest: str) -> None:
    assert shell.json(INN, "invoke", guest, "-", given='{"from": "stdin"}') == {"from": "stdin"}
    assert shell.json(INN, "invoke", guest, "plain words") == {"prompt": "plain words"}
    (shell.folder / "image.png").write_bytes(b"\x89PNG" * 1000)
    assert shell.json(INN, "invoke", guest, "--file", "image.png") == {"size": 4000}


def test_events_are_printed_while_the_agent_still_speaks(shell: Terminal, guest: str) -> None:
    order = '{"do": "stream", "count": 5, "pause": 0.5}'
    with shell.start(INN, "invoke", guest, order, "--json") as invoking:
        assert invoking.stdout
        first = json.loads(invoking.stdout.readline())
        assert first["data"]["number"] == 0
        assert invoking.poll() is None
        rest = [json.loads(line)["data"]["number"] for line in invoking.stdout]
    assert (rest, invoking.returncode) == ([1, 2, 3, 4], 0)


def test_a_stream_that_breaks_off_is_a_failure(shell: Terminal, guest: str) -> None:
    said = shell.run(INN, "invoke", guest, '{"do": "cut"}')
    assert said.stdout == "1\n"
    assert said.returncode == 1
    assert said.stderr.splitlines()[-1].startswith("error: the connection to the server broke")


def test_what_an_agent_refuses_is_told_with_where_its_log_is(shell: Terminal, guest: str) -> None:
    error = shell.refused(INN, "invoke", guest, '{"do": "fail"}')
    assert error.startswith("error: RuntimeClientError: Received error (500) from runtime.")
    hint = error[error.index("innkeeper logs") :].rstrip(".").split()
    shell.ok(*hint)


def test_wrong_names_and_ids_are_told_with_what_there_is(shell: Terminal, guest: str) -> None:
    assert shell.refused(INN, "invoke", "nobody", "{}").endswith("no agent is named nobody; there are: guest")
    short = shell.refused(INN, "invoke", guest, "{}", "--session", "too-short")
    assert "runtimeSessionId" in short
    assert "33" in short
    assert "nowhere" in shell.refused(INN, "invoke", guest, "{}", "--endpoint", "nowhere")
    assert "no live session" in shell.refused(INN, "stop", guest, new_session())
    assert "had no session" in shell.refused(INN, "logs", guest, new_session())
    assert shell.run(INN, "deploy", "not-there").returncode == 2
    (shell.folder / "empty").mkdir()
    assert "holds no main.py" in shell.refused(INN, "deploy", "empty")


def test_an_agent_that_cannot_be_built_says_why(shell: Terminal) -> None:
    folder = shell.folder / "hopeless"
    folder.mkdir()
    (folder / "main.py").write_text("")
    (folder / "requirements.txt").write_text("no-such-package-of-innkeeper ===")
    error = shell.refused(INN, "deploy", "hopeless")
    assert error.startswith("error: hopeless is CREATE_FAILED: ")
    assert "requirements.txt" in error
    shell.ok(INN, "rm", "hopeless", "--yes")


def test_sessions_are_listed_followed_and_stopped(shell: Terminal, guest: str) -> None:
    session = new_session()
    tell(shell, guest, session, do="print", text="good morning")
    with shell.start(INN, "logs", guest, session, "--follow") as following:
        assert following.stdout
        assert until(lambda: "good morning" in shell.ok(INN, "logs", guest, session), SECONDS)
        tell(shell, guest, session, do="print", text="good night")
        live = shell.json(INN, "sessions", guest, "--json")["sessions"]
        assert [one["status"] for one in live if one["sessionId"] == session] == ["READY"]
        assert shell.ok(INN, "stop", guest, session) == f"Stopped {session}.\n"
        text = following.communicate(timeout=SECONDS)[0]
    assert (following.returncode, text.count("good morning"), text.count("good night")) == (0, 2, 2)
    assert session not in shell.ok(INN, "sessions", guest)
    ended = shell.json(INN, "sessions", guest, "--all", "--json")["sessions"]
    assert [one["status"] for one in ended if one["sessionId"] == session] == ["TERMINATED"]
    lines = shell.ok(INN, "logs", guest, session, "--json").splitlines()
    assert "good night" in [json.loads(line)["line"] for line in lines]
    assert shell.json(INN, "stop", guest, "--all", "--json")["stopped"]
    assert shell.json(INN, "sessions", guest, "--json") == {"sessions": []}


def test_a_session_is_paused_and_resumed(shell: Terminal, guest: str) -> None:
    session = new_session()
    tell(shell, guest, session, do="echo")
    assert shell.ok(INN, "pause", guest, session) == f"Paused {session}.\n"
    assert "PAUSED" in shell.ok(INN, "sessions", guest)
    assert shell.ok(INN, "resume", guest, session) == f"Resumed {session}.\n"
    assert shell.json(INN, "pause", guest, session, "--json")["status"] == "PAUSED"
    tell(shell, guest, session, do="echo")
    assert shell.json(INN, "resume", guest, session, "--json")["status"] == "READY"
    assert "no live session" in shell.refused(INN, "pause", guest, new_session())


def test_a_key_works_until_it_is_disabled_and_again_once_enabled(shell: Terminal) -> None:
    made = shell.json(INN, "keys", "create", "--json")
    key = made["accessKeyId"]
    client = boto3.client(
        "sts",
        endpoint_url=shell.json(INN, "env", "--json")["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=made["secretAccessKey"],
    )

    def refused() -> bool:
        try:
            client.get_caller_identity()
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
            return True
        return False

    assert not refused()
    shell.ok(INN, "keys", "disable", key)
    assert until(refused, SECONDS)
    shell.ok(INN, "keys", "enable", key)
    assert until(lambda: not refused(), SECONDS)
    shell.ok(INN, "keys", "rm", key)
    assert until(refused, SECONDS)


def test_env_leads_any_client_of_a_shell_here(shell: Terminal) -> None:
    script = 'eval "$(innkeeper env)" && aws sts get-caller-identity'
    identity = shell.json("bash", "-c", script)
    assert identity["Arn"].endswith(":root")


def test_doctor_finds_this_machine_fit(shell: Terminal) -> None:
    checks = {check["name"]: check for check in shell.json(INN, "doctor", "--json")["checks"]}
    assert {checks[name]["state"] for name in ("python", "bwrap", "sandbox", "uv", "server")} == {"ok"}
    assert "MISSING" not in shell.ok(INN, "doctor").upper()


def test_a_data_folder_has_one_server_even_when_its_note_is_lost(shell: Terminal) -> None:
    note = Path(shell.environment["INNKEEPER_DATA_DIR"]) / "server.json"
    kept = note.with_name("kept")
    shutil.copy(note, kept)
    note.unlink()
    try:
        assert "a server runs on" in shell.refused(INN, "up")
    finally:
        kept.rename(note)
    shell.ok(INN, "status")


def test_what_was_deployed_is_there_after_down_and_up_until_it_is_removed(
    shell: Terminal, guest: str
) -> None:
    session = new_session()
    tell(shell, guest, session, do="count")
    assert shell.json(INN, "down", "--json") == {"stopped": True}
    assert "start one: innkeeper up --detach" in shell.refused(INN, "status")
    started = shell.json(INN, "up", "--detach", "--json")
    assert started["url"].startswith("http://127.0.0.1:")
    assert started["sandboxes"].split(":")[0] in ("gvisor", "bubblewrap")
    assert tell(shell, guest, session, do="count")["calls"] == 1
    assert "give --yes" in shell.refused(INN, "rm", guest)
    assert ":runtime/guest-" in shell.json(INN, "rm", guest, "--yes", "--json")["deleted"]
    assert "none is deployed yet" in shell.refused(INN, "status", guest)
