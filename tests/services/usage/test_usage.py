"""What sessions used, as their owner reads it: over a stop, a kill -9 and a restart."""

import json
import shlex
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from typing import Any

import pytest

from tests.running import Agents, RunningServer, new_session
from tests.services.code_interpreter.coding import SYSTEM, Coding
from tests.services.sandboxes.lodging import Lodging

pytestmark = pytest.mark.timeout(300)

BURN = "import time\nend = time.process_time() + 0.6\nwhile time.process_time() < end: pass"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    settings = {
        "usage_sample_seconds": "0.2",
        "code_interpreter_packages": "[]",
        "code_interpreter_pool_count": "0",
    }
    running = RunningServer(tmp_path_factory.mktemp("metered"), settings).start()
    yield running
    running.stop()


def usage(server: RunningServer, query: str = "", keys: tuple[str, str] | None = None) -> Any:
    return server.native("GET", f"/-/v1/usage{query}", keys=keys)


def test_use_adds_up_whatever_ends_the_sessions(server: RunningServer) -> None:
    agents = Agents(server)
    agent = agents.deploy()
    session = new_session()
    agents.ask(agent["agentRuntimeArn"], session)
    coding = Coding(server)
    assert not coding.run(BURN)["isError"]
    coding.stop()

    report = usage(server)
    lines = {line["kind"]: line for line in report["usage"]}
    assert lines["code-interpreter"]["agent"] == SYSTEM
    assert lines["code-interpreter"]["cpuSeconds"] >= 0.6
    assert lines["runtime"]["agent"] == agent["agentRuntimeId"]
    assert lines["runtime"]["session"] == session
    assert all(line["memoryPeakMib"] > 1 and line["costUsd"] > 0 for line in lines.values())
    for measure in ("seconds", "cpuSeconds", "memoryGbSeconds"):
        parts = sum(line[measure] for line in report["usage"])
        assert report["total"][measure] == pytest.approx(parts, abs=0.01)

    before = report["total"]
    server.kill()
    server.start()
    after = usage(server)["total"]
    assert after["seconds"] >= before["seconds"]
    assert after["cpuSeconds"] >= before["cpuSeconds"]
    agents, arn = Agents(server), agent["agentRuntimeArn"]
    agents.ask(arn, session)
    agents.data.stop_runtime_session(agentRuntimeArn=arn, runtimeSessionId=session)
    assert usage(server)["total"]["seconds"] >= after["seconds"] + 1
    assert len(usage(server, "?kind=runtime")["usage"]) == 1
    assert usage(server, "?to=2000-01-01")["total"]["seconds"] == 0


def test_a_sandbox_is_metered_in_each_of_its_lives(server: RunningServer) -> None:
    lodging = Lodging(server)
    id_ = lodging.create(timeoutSeconds=600)
    used = 0.0
    for _ in range(2):
        lodging.sh(id_, f"python3 -c {shlex.quote(BURN)}")
        lodging.change(id_, "hibernate")
        report = usage(server, f"?kind=sandbox&session={id_}")
        assert [line["agent"] for line in report["usage"]] == ["base"]
        assert report["total"]["cpuSeconds"] > used + 0.5
        used = report["total"]["cpuSeconds"]
    lodging.kill(id_)
    assert usage(server, f"?session={id_}")["total"]["cpuSeconds"] == used


def test_the_command_line_shows_it(server: RunningServer) -> None:
    with Coding(server):
        command = [
            sys.executable,
            "-m",
            "innkeeper",
            "sessions",
            "--usage",
            "--data-dir",
            str(server.data_dir),
        ]
        shown = json.loads(subprocess.run([*command, "--json"], check=True, capture_output=True).stdout)
        assert shown["total"]["costUsd"] > 0
        table = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert "USD" in table[0]
    assert table[-1].startswith("total")


def test_other_tenants_see_nothing_and_mistakes_are_explained(server: RunningServer) -> None:
    with Coding(server):
        assert usage(server)["usage"]
        stranger = usage(server, keys=server.new_tenant())
    assert stranger["usage"] == []
    assert stranger["total"]["seconds"] == 0
    for query in ("?kind=hotel", "?by=hour", "?from=noon", "?limit=0"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            usage(server, query)
        caught.value.close()
        assert caught.value.code == 400
