"""A server that learns with a language model is killed between the two questions of a job."""

import asyncio
import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.engines.extraction.model.scribe import asked, diligent, judges
from tests.engines.models.scripted.openai_server import ScriptedOpenAi
from tests.engines.models.scripted.script import Fault, Says
from tests.running import RunningServer
from tests.services.memory.remembering import NOON, Remembering

_PATIENCE_SECONDS = 90
_HOME = {
    "customMemoryStrategy": {
        "name": "facts",
        "namespaceTemplates": ["/facts/{actorId}/"],
        "configuration": {
            "semanticOverride": {
                "extraction": {"appendToPrompt": "Look for towns alone.", "modelId": "scribe"},
                "consolidation": {"appendToPrompt": "The last town counts.", "modelId": "scribe"},
            }
        },
    }
}
_TEXTS = ["I live in Bonn.", "I moved to Oslo."]


class Model:
    """Takes the newer of two for the truth; while it is `stuck` it never says so."""

    def __init__(self) -> None:
        self.prompts: list[str] = []
        self.stuck = True

    def __call__(self, body: dict[str, Any]) -> Says:
        told, data = asked(body)
        self.prompts.append(told)
        if "<finding>" not in data:
            return diligent(body)
        return Says(fault=Fault.SILENT) if self.stuck else judges("UPDATE", "r1")


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def test_a_killed_server_loses_and_doubles_nothing(tmp_path: Path) -> None:
    model = Model()
    async with ScriptedOpenAi(model) as scripted:
        provider = {"kind": "openai", "base_url": scripted.url, "api_key": "key"}
        settings = {
            "models": json.dumps({"local": provider}),
            "model_ids": json.dumps({"scribe": "local/qwen3"}),
            "memory_learning_messages": "1",
            "memory_learning_lease_seconds": "1",
        }
        await asyncio.to_thread(_story, RunningServer(tmp_path / "data", settings), model)
    reading = [told for told in model.prompts if "Look for towns alone." in told]
    assert len(reading) == len(_TEXTS), "what was read before the crash is not read again"
    assert sum("The last town counts." in told for told in model.prompts) == 2


def _story(server: RunningServer, model: Model) -> None:
    server.start()
    try:
        remembering = Remembering(server)
        memory = remembering.create(memoryStrategies=[_HOME])
        remembering.say(memory, _TEXTS[0])
        until(lambda: remembering.noted(memory, namespacePath="/") == _TEXTS[:1])
        remembering.say(memory, _TEXTS[1], eventTimestamp=NOON + timedelta(days=1))
        until(lambda: any("The last town counts." in told for told in model.prompts))
        (open_job,) = server.native("GET", f"/-/v1/memories/{memory}/jobs?status=RUNNING")["jobs"]
        assert (open_job["found"], open_job["applied"]) == (1, 0)
        server.kill()
        model.stuck = False
        remembering = Remembering(server.start())
        until(lambda: remembering.noted(memory, namespacePath="/") == _TEXTS[1:])
        listed = remembering.data.list_memory_records(memoryId=memory, namespacePath="/")
        (record,) = listed["memoryRecordSummaries"]
        path = f"/-/v1/memories/{memory}/records/{record['memoryRecordId']}/history"
        history = server.native("GET", path)["records"]
        assert [(one["text"], one["status"]) for one in history] == [
            (_TEXTS[0], "RETIRED"),
            (_TEXTS[1], "ACTIVE"),
        ]
        then = {"query": "Where does she live?", "asOf": (NOON + timedelta(hours=1)).isoformat()}
        until(
            lambda: (
                [
                    one["text"]
                    for one in server.native("POST", f"/-/v1/memories/{memory}/records/search", then)[
                        "records"
                    ]
                ]
                == _TEXTS[:1]
            )
        )
    finally:
        server.kill()
