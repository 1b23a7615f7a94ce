"""Snapshots of sessions: a guest can go back to what was, and another can go on from there."""

import json
import re
import threading
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pytest

from tests.running import new_session
from tests.services.runtime.inn import SECONDS, STORAGE, Inn, refused, until_it_breaks
from tests.stories.processes import all_gone, below, until
from tests.stories.terminal import ROOT, Terminal


def told(inn: Inn, session: str, text: str) -> int:
    """The agent keeps it in memory, in its storage and in its own files; how often it was called by then."""
    for place in ("/mnt/data/note", "/tmp/note"):
        inn.ask(session, do="write", path=place, text=text)
    return int(inn.ask(session, do="count")["calls"])


def kept(inn: Inn, session: str) -> tuple[int, str | None, str | None]:
    calls = int(inn.ask(session, do="count")["calls"])
    return (
        calls,
        *(inn.ask(session, do="read", path=f"{place}/note")["text"] for place in ("/mnt/data", "/tmp")),
    )


def start(inn: Inn, **members: Any) -> str:
    return str(inn.native("POST", "sessions", members)["sessionId"])


def more(inn: Inn, word: str, than: int) -> bool:
    return len(inn.folders(word)) > than


def identity(inn: Inn, session: str) -> tuple[str, str]:
    """The key that the agent's process has, and whom the server says that it speaks for: in its refusal."""
    has = inn.ask(session, do="environment")
    client = boto3.client(
        "bedrock-agentcore-control",
        endpoint_url=has["AWS_ENDPOINT_URL"],
        region_name="us-west-2",
        aws_access_key_id=has["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=has["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=has["AWS_SESSION_TOKEN"],
    )
    asked = {"agentRuntimeId": inn.agent["agentRuntimeId"]}
    url = client.generate_presigned_url("get_agent_runtime", Params=asked)
    answer = inn.ask(session, do="send", url=url)
    return has["AWS_ACCESS_KEY_ID"], answer["text"]


def test_what_goes_on_from_an_image_acts_as_itself(inn: Inn) -> None:
    """Also when the credentials in its memory have ended."""
    session = new_session()
    key, said = identity(inn, session)
    assert f"{inn.agent['agentRuntimeId']}-{session}"[:64] in said
    inn.change(session, "snapshot", {"name": "one"})
    forked = inn.change(session, "fork")["sessionId"]
    inn.change(session, "hibernate")
    inn.sql("DELETE FROM role_sessions WHERE access_key_id = ?", key)
    copy = start(inn, snapshot="one")
    inn.change(copy, "hibernate")
    for one in (session, forked, copy):
        kept, said = identity(inn, one)
        assert kept == key
        assert f"{inn.agent['agentRuntimeId']}-{one}"[:64] in said
    clear_away(inn, session, forked, copy)


def clear_away(inn: Inn, *sessions: str) -> None:
    for session in sessions:
        inn.stop(session)
    for one in inn.native("GET", "snapshots")["snapshots"]:
        inn.native("DELETE", f"snapshots/{one['id']}")
    assert inn.folders() == inn.folders("storage") == inn.folders("unfinished") == []


def test_a_session_goes_back_to_what_it_was_and_others_go_on_from_there(inn: Inn) -> None:
    session = new_session()
    calls = told(inn, session, "one")
    taken = inn.change(session, "snapshot", {"name": "one"})
    assert (taken["name"], taken["kind"], taken["sessionId"]) == ("one", "memory", session)
    assert inn.status(session) == "READY"
    for before, after in (("resume", "READY"), ("pause", "READY"), ("hibernate", "HIBERNATED")):
        told(inn, session, "two")
        inn.ask(session, do="write", path="/mnt/data/later", text="later")
        inn.change(session, before)
        assert inn.change(session, "restore", {"snapshot": "one"})["status"] == after
        assert kept(inn, session) == (calls + 1, "one", "one")
        assert inn.ask(session, do="read", path="/mnt/data/later") == {"text": None}
    told(inn, session, "two")
    inn.change(session, "pause")
    inn.change(session, "snapshot", {"name": "two"})
    assert inn.status(session) == "PAUSED"
    inn.change(session, "hibernate")
    inn.change(session, "snapshot")
    assert inn.refusal(session, "snapshot", {"name": "one"})[0] == 409
    inn.change(session, "snapshot", {"name": "four"})
    assert inn.refusal(session, "snapshot")[0] == 402
    inn.native("DELETE", "snapshots/four")
    listed = inn.native("GET", "snapshots")["snapshots"]
    assert [one["name"] for one in listed] == [None, "two", "one"]
    chosen = new_session()
    assert start(inn, snapshot="one", sessionId=chosen) == chosen
    other = start(inn, snapshot="two")
    inn.native("DELETE", "snapshots/one")
    inn.stop(session)
    told(inn, other, "three")
    assert kept(inn, chosen) == (calls + 1, "one", "one")
    inn.change(chosen, "restore", {"snapshot": "two"})
    assert kept(inn, chosen)[1:] == ("two", "two")
    assert kept(inn, other)[1:] == ("three", "three")
    clear_away(inn, chosen, other)


def test_the_commands_of_the_page_work(inn: Inn, tmp_path: Path) -> None:
    page = (ROOT / "docs/concepts/sessions.md").read_text()
    (commands,) = re.findall(r"^```bash\n(session=.*?)^```", page, re.MULTILINE | re.DOTALL)
    user = Terminal(tmp_path, {**inn.server.environment, "INNKEEPER_DATA_DIR": str(inn.server.data_dir)})
    said = user.ok("bash", "-euo", "pipefail", "-c", commands.replace("hello", inn.agent["agentRuntimeName"]))
    assert said.endswith("Removed before.\n")
    clear_away(inn, *said.splitlines()[-3:-1])


def test_what_does_not_fit_is_refused_and_changes_nothing(inn: Inn) -> None:
    session = new_session()
    calls = told(inn, session, "one")
    taken = inn.change(session, "snapshot", {"name": "one"})
    told(inn, session, "two")
    assert inn.refusal(session, "restore", {"snapshot": "none"})[0] == 404
    assert inn.refusal(session, "restore")[0] == 400
    assert inn.refusal(session, "snapshot", {"name": "Not a name"})[0] == 400
    assert inn.refusal(new_session(), "snapshot")[0] == 404
    assert refused(inn.native, "POST", "sessions", {"snapshot": "one", "sessionId": session})[0] == 409
    assert refused(inn.native, "GET", f"snapshots/{taken['id']}", None, inn.server.new_tenant())[0] == 404
    (folder,) = inn.folders()
    manifest = folder / "memory" / "manifest.json"
    document = json.loads(manifest.read_text())
    whole = manifest.read_bytes()
    manifest.write_text(json.dumps(document | {"key": document["key"] | {"build": "another"}}))
    for status, why in (
        inn.refusal(session, "restore", {"snapshot": "one"}),
        refused(inn.native, "POST", "sessions", {"snapshot": "one"}),
    ):
        assert (status, "build was 'another'" in why) == (409, True)
    assert kept(inn, session) == (calls + 4, "two", "two")
    manifest.write_bytes(whole)
    inn.change(session, "hibernate")
    inn.sql(
        "CREATE TRIGGER refusing BEFORE INSERT ON runtime_session_images BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    assert inn.refusal(session, "restore", {"snapshot": "one"})[0] == 500
    inn.sql("DROP TRIGGER refusing")
    assert kept(inn, session)[1:] == ("two", "two")
    clear_away(inn, session)


def test_a_snapshot_is_for_its_version_of_the_agent_and_goes_with_it(inn: Inn) -> None:
    agent = inn.agents.deploy(filesystemConfigurations=STORAGE)
    arn, id_, session = agent["agentRuntimeArn"], agent["agentRuntimeId"], new_session()
    inn.agents.ask(arn, session)
    native, path = inn.server.native, f"/-/v1/runtimes/{id_}"
    native("POST", f"{path}/sessions/{quote(session, safe='')}/snapshot", {"name": "old"})
    inn.agents.control.update_agent_runtime(agentRuntimeId=id_, **inn.agents.configuration())
    inn.agents.settled(id_)
    status, why = refused(native, "POST", f"{path}/sessions", {"snapshot": "old"})
    assert (status, "version 1 of the agent, and endpoint DEFAULT is at version 2" in why) == (409, True)
    assert len(inn.folders()) == 1
    inn.agents.control.delete_agent_runtime(agentRuntimeId=id_)
    assert until(lambda: inn.folders() == inn.folders("storage") == [], SECONDS)


@pytest.mark.timeout(300)
def test_killed_in_the_middle_the_server_loses_no_snapshot_and_puts_no_session_back_by_half(inn: Inn) -> None:
    """kill -9 while a snapshot is taken and a session is put back: before its image is there, and after."""
    session = new_session()
    inn.ask(session, do="eat", mebibytes=40)
    calls = told(inn, session, "one")
    inn.change(session, "snapshot", {"name": "one"})
    for begun in ("unfinished", "storage"):
        told(inn, session, "two")
        inn.change(session, "hibernate")
        now = told(inn, session, "two")
        inn.change(session, "hibernate")
        inn.change(session, "resume")
        busy = new_session()
        inn.ask(busy, do="eat", mebibytes=40)
        work = [
            threading.Thread(
                target=until_it_breaks, args=(inn.change, session, "restore", {"snapshot": "one"})
            ),
            threading.Thread(target=until_it_breaks, args=(inn.change, busy, "snapshot")),
        ]
        known = len(inn.folders(begun))
        for each in work:
            each.start()
        assert until(partial(more, inn, begun, known), SECONDS)
        assert inn.server.process
        started = below(inn.server.process.pid)
        inn.server.kill()
        for each in work:
            each.join(SECONDS)
        inn.start()
        assert all_gone(started, SECONDS) == []
        assert inn.folders("unfinished") == []
        assert kept(inn, session) in ((calls + 1, "one", "one"), (now + 1, "two", "two"))
        snapshots = inn.native("GET", "snapshots")["snapshots"]
        assert len(inn.folders("storage")) == len(snapshots)
        assert len(inn.folders()) == len(snapshots) + 1
        for one in snapshots:
            if one["name"] is None:
                inn.native("DELETE", f"snapshots/{one['id']}")
        copy = start(inn, snapshot="one")
        assert kept(inn, copy) == (calls + 1, "one", "one")
        inn.stop(copy)
    clear_away(inn, session)
