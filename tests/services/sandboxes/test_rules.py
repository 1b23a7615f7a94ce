"""What a sandbox may be asked for, who may ask, and what is said when it is refused."""

import base64
from typing import Any
from urllib.error import HTTPError

import pytest

from innkeeper.cli.failure import CommandFailed
from tests.running import RunningServer
from tests.services.sandboxes.lodging import Lodging
from tests.stories.processes import until

pytestmark = pytest.mark.parametrize("server", ["bubblewrap"], indirect=True)

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"timeoutSeconds": 0}, "timeoutSeconds.*1 to 86400"),
    ({"timeoutSeconds": "9"}, "timeoutSeconds.*whole number"),
    ({"network": "some"}, "network.*none, public, listed"),
    ({"network": "public", "egress": {"domains": ["example.com"]}}, "egress.*network listed"),
    ({"network": "listed", "egress": {"domains": ["no domain"]}}, "egress.*no domain"),
    ({"environment": {"A B": "x"}}, "environment.*letters, digits"),
    ({"metadata": {'"': "x"}}, "metadata.*characters"),
    ({"metadata": {"a": 1}}, "metadata.*object of texts"),
    ({"limits": {"cpuCores": 1000, "memoryMib": 64}}, "cpuCores.*at most"),
    ({"limits": {"cpuCores": 1}}, "limits.*cpuCores and memoryMib"),
    ({"onTimeout": "sleep"}, "onTimeout.*kill or pause"),
    ({"template": "nothing-like-it"}, "nothing-like-it does not exist"),
]


def test_a_request_that_breaks_a_rule_is_told_which(lodging: Lodging) -> None:
    for members, rule in REFUSED:
        with pytest.raises(CommandFailed, match=rule):
            lodging.create(**members)


def test_a_sandbox_is_unknown_to_other_tenants(lodging: Lodging, server: RunningServer) -> None:
    id_ = lodging.create(metadata={"a": "b"})
    lodging.change(id_, "snapshot", name="mine")
    stranger = server.new_tenant()
    paths = [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/exec"),
        *(("POST", f"/{word}") for word in ("pause", "hibernate", "resume", "snapshot", "fork")),
        ("GET", "/files?path=log"),
    ]
    for method, path in paths:
        with pytest.raises(HTTPError) as refused:
            server.native(method, f"/-/v1/sandboxes/{id_}{path}", {"argv": ["id"]}, keys=stranger)
        refused.value.close()
        assert refused.value.code == 404, path
    assert server.native("GET", "/-/v1/sandboxes", keys=stranger)["sandboxes"] == []
    assert server.native("GET", "/-/v1/snapshots", keys=stranger)["snapshots"] == []
    with pytest.raises(HTTPError) as refused:
        server.native("POST", "/-/v1/sandboxes", {"template": "mine"}, keys=stranger)
    refused.value.close()
    assert refused.value.code == 404
    assert lodging.state(id_) == "RUNNING"
    lodging.api.send("DELETE", "/-/v1/snapshots/mine", b"", {})
    lodging.kill(id_)


def test_its_time_runs_out_and_can_be_put_off(lodging: Lodging) -> None:
    short = lodging.create(timeoutSeconds=1)
    long = lodging.create(timeoutSeconds=100)
    ends_at = lodging.get(long)["endsAt"]
    assert lodging.change(long, "timeout", timeoutSeconds=600)["endsAt"] > ends_at
    assert until(lambda: lodging.state(short) == "TERMINATED", 60)
    assert lodging.get(short)["endReason"] == "its time was over"
    assert lodging.state(long) == "RUNNING"
    with pytest.raises(CommandFailed, match="has ended: its time was over"):
        lodging.sh(short, "true")
    lodging.sh(long, "for i in {1..200000}; do :; done")
    used = lodging.get(long)["usage"]["cpuSeconds"]
    assert used > 0
    lodging.change(long, "hibernate")
    lodging.sh(long, "true")
    assert lodging.get(long)["usage"]["cpuSeconds"] >= used  # of all its lives
    lodging.kill(long)


def test_a_command_is_bounded_and_does_not_wait_for_what_it_leaves(lodging: Lodging) -> None:
    id_ = lodging.create()
    slow = lodging.events(id_, ["sleep", "1000"], timeoutSeconds=0.5)
    assert slow == [{"error": "timed out after 0.5 s: the command was killed"}]
    assert lodging.sh(id_, "sleep 1000 & echo $WORD", environment={"WORD": "on"}) == "on\n"
    size = 3_000_000
    assert len(lodging.sh(id_, f"head -c {size} /dev/zero | tr '\\0' x")) == size
    given = base64.b64encode(b"to sort\nin order\n").decode()
    assert lodging.sh(id_, "sort; pwd", stdin=given, workingDirectory="/tmp") == "in order\nto sort\n/tmp\n"
    assert lodging.events(id_, ["/no/such/program"])[-1] == {"exitCode": 127}
    with pytest.raises(CommandFailed, match="could not be started"):
        lodging.events(id_, ["true"], workingDirectory="/no/such/folder")
    lodging.kill(id_)
