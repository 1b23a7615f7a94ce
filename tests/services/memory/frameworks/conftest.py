"""What is around a program that uses a framework: the environment of `innkeeper env`, a memory, and a model
that says again what it hears."""

from collections.abc import Iterator

import boto3
import pytest

from tests.engines.models.scripted.echoing import EchoingOpenAi
from tests.engines.models.scripted.threads import in_thread, settings_for
from tests.running import RunningServer
from tests.services.memory.remembering import Remembering

FACTS = {"name": "facts", "namespaceTemplates": ["/facts/{actorId}/"]}


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with in_thread(EchoingOpenAi()) as model:
        running = RunningServer(tmp_path_factory.mktemp("frameworks"), settings_for(model)).start()
        yield running
        running.stop()


@pytest.fixture(autouse=True)
def surroundings(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    # boto3 keeps the credentials that it found first.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.fixture
def memory(remembering: Remembering) -> str:
    return remembering.create(memoryStrategies=[{"semanticMemoryStrategy": FACTS}])
