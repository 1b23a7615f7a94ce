"""The examples that remember, deployed as they are: what is said in one session is known in the next."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engines.models.scripted.echoing import EchoingOpenAi
from tests.engines.models.scripted.threads import in_thread, settings_for
from tests.running import RunningServer, new_session
from tests.stories.conftest import IMPORT_SECONDS, share_packages
from tests.stories.terminal import ROOT, Terminal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PREFERENCE = "I prefer tea with milk."
PATIENCE_SECONDS = 120


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, packages: Path) -> Iterator[RunningServer]:
    """Its model says again all that the user has said to it."""
    folder = share_packages(tmp_path_factory.mktemp("remembering") / "inn", packages)
    with in_thread(EchoingOpenAi()) as model:
        settings = {**settings_for(model), "session_init_timeout_seconds": IMPORT_SECONDS}
        running = RunningServer(folder, settings).start()
        yield running
        running.stop()


def ask(terminal: Terminal, example: str, prompt: str, session: str, person: str = "ann") -> dict[str, Any]:
    payload = f'{{"prompt": "{prompt}", "person": "{person}"}}'
    words = ("innkeeper", "invoke", example, payload, "--session", session, "--json")
    answer: dict[str, Any] = terminal.json(*words)["data"]
    return answer


@pytest.mark.parametrize(
    "example", ["memory_boto3", "memory_langgraph", "memory_strands", "memory_llamaindex"]
)
def test_an_agent_knows_in_the_next_session_what_was_said_in_the_last(
    terminal: Terminal, example: str
) -> None:
    memory = terminal.ok("innkeeper", "memory", "create", f"for_{example}").strip()
    terminal.ok("innkeeper", "deploy", str(ROOT / "examples" / example), "--env", f"MEMORY_ID={memory}")
    ask(terminal, example, PREFERENCE, new_session())
    session, deadline = new_session(), time.monotonic() + PATIENCE_SECONDS
    while "tea with milk" not in (
        answer := ask(terminal, example, "What tea do I prefer?", session)["answer"]
    ):
        assert time.monotonic() < deadline, answer
        time.sleep(0.5)
    assert "milk" not in ask(terminal, example, "What tea do I prefer?", session, "bob")["answer"]
