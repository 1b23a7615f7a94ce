"""Memory in a server: events, how soon they and what is learned of them are found, and what it weighs."""

import asyncio
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from tests.services.memory.remembering import Remembering

from benchmarks.inn import Inn
from benchmarks.measure import Measure
from benchmarks.processes import pss_mib
from innkeeper.engines.store.database import Database
from innkeeper.engines.vault.local import LocalVault
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.clock import SystemClock
from innkeeper.services.memory import store
from innkeeper.services.memory.bell import Bell
from innkeeper.services.memory.events.service import Events
from innkeeper.services.memory.model import Limits, Memory, MemoryStatus
from innkeeper.services.memory.sealing.keyring import make_key, with_keys

_ALONE, _TOGETHER, _AT_ONCE = 500, 6000, 64
_ROUNDS = 10
_PATIENCE_SECONDS = 60.0
_ACCOUNT, _MEMORY = "1" * 12, "bench-0123456789"
_LIMITS = Limits(
    memories=1,
    strategies=1,
    event_bytes=10**7,
    page_bytes=10**7,
    queued_events=10_000,
    write_seconds=60.0,
    learn_after_seconds=1.0,
)
_TURN = "Hello number {}, I like my tea with milk and walking by the river in the morning. "


def measure(inn: Inn) -> list[Measure]:
    alone, a_second = asyncio.run(_events(inn))
    return [
        Measure("memory", "keep an event, durably", "ms", alone, aim="<= 1"),
        Measure("memory", f"events kept, {_AT_ONCE} at once", "1/s", a_second, aim=">= 2,000", rate=True),
        *_in_the_server(inn),
    ]


async def _events(inn: Inn) -> tuple[list[float], list[float]]:
    """In this process, without HTTP: what one took, in ms; how many a second, many at once."""
    with tempfile.TemporaryDirectory(prefix="innkeeper-bench-") as folder:
        plain = Database(f"sqlite+aiosqlite:///{folder}/innkeeper.db")
        database = with_keys(plain, LocalVault(Path(folder) / "master.key"))
        await database.migrate()
        now = datetime.now(UTC)
        memory = Memory(_ACCOUNT, _MEMORY, "bench", "arn", MemoryStatus.ACTIVE, 30, [], {}, 1, now, now)
        async with database.begin() as connection:
            await store.insert_memory(connection, memory)
            await make_key(connection, _ACCOUNT, _MEMORY)
        nobody: Any = None  # who reads events is asked for the memory; who writes them is not
        events = Events(database, nobody, _LIMITS, Bell(), SystemClock())
        caller, numbers = Caller(_ACCOUNT, "bench", "bench"), iter(range(10**9))
        alone = []

        async def keep() -> None:
            await events.create(caller, _event(next(numbers)))

        for _ in range(inn.rounds(_ALONE)):
            began = time.perf_counter()
            await keep()
            alone.append((time.perf_counter() - began) * 1e3)
        rates = []
        for _ in range(3):
            rounds = inn.rounds(_TOGETHER) // _AT_ONCE

            async def some(count: int = rounds) -> None:
                for _ in range(count):
                    await keep()

            began = time.perf_counter()
            await asyncio.gather(*(some() for _ in range(_AT_ONCE)))
            rates.append(rounds * _AT_ONCE / (time.perf_counter() - began))
        await events.close()
        await database.close()
    return alone, rates


def _event(number: int) -> dict[str, Any]:
    return {
        "memoryId": _MEMORY,
        "actorId": f"a{number % 50}",
        "sessionId": f"s{number % 200}",
        "eventTimestamp": datetime.now(UTC),
        "clientToken": f"token-{number}",
        "payload": [{"conversational": {"role": "USER", "content": {"text": _TURN.format(number) * 3}}}],
    }


def _in_the_server(inn: Inn) -> list[Measure]:
    """Through boto3. The embedding model is loaded by the first event."""
    assert inn.server.process is not None
    pid = inn.server.process.pid
    before = pss_mib(pid) or 0.0
    remembering = Remembering(inn.server)
    facts = {"name": "facts", "namespaceTemplates": ["/facts/{actorId}/"]}
    memory = remembering.create(memoryStrategies=[{"semanticMemoryStrategy": facts}])
    name = remembering.get(memory)["name"]
    turns, records = [], []
    for number in range(inn.rounds(_ROUNDS) + 1):
        text = f"I moved to Lisbon{number} in May and I love my garden{number} there."
        said = time.perf_counter()
        remembering.say(memory, text)
        turns.append(_until(partial(_turn, inn, name, number), said))
        records.append(_until(partial(_record, remembering, memory, number), said))
    found = [Measure("memory", "until a turn is found", "ms", turns[1:], aim="<= 2,000")]
    found.append(
        Measure("memory", "until what was learned of it is found", "ms", records[1:], aim="<= 2,000")
    )
    weight = (pss_mib(pid) or 0.0) - before
    found.append(Measure("memory", "memory (PSS) that it adds to the server", "MiB", [weight], aim="<= 250"))
    return found


def _turn(inn: Inn, name: str, number: int) -> bool:
    query = {"query": f"garden{number}", "limit": 1}
    turns = inn.server.native("POST", f"/-/v1/memories/{name}/search", query)["turns"]
    return any(f"garden{number} " in turn["text"] for turn in turns)


def _record(remembering: Remembering, memory: str, number: int) -> bool:
    answer = remembering.data.retrieve_memory_records(
        memoryId=memory, namespacePath="/facts/", searchCriteria={"searchQuery": f"garden{number}", "topK": 5}
    )
    return any(f"garden{number} " in one["content"]["text"] for one in answer["memoryRecordSummaries"])


def _until(is_found: Callable[[], bool], began: float) -> float:
    """In ms."""
    while not is_found():
        assert time.perf_counter() - began < _PATIENCE_SECONDS, "it is not found"
        time.sleep(0.02)
    return (time.perf_counter() - began) * 1e3
