"""Every hour: what has expired is let go of, and what a crash left of a deletion is finished."""

from innkeeper.engines.jobs.jobs import Jobs, Payload
from innkeeper.services.memory.events.service import Events
from innkeeper.services.memory.learning.service import Learning
from innkeeper.services.memory.records.service import Records
from innkeeper.services.memory.service import Memories
from innkeeper.services.memory.tool.tokens import ToolTokens

PRUNE = "memory.prune"


def register(
    jobs: Jobs, memories: Memories, events: Events, records: Records, learning: Learning, tokens: ToolTokens
) -> None:
    async def prune(_payload: Payload) -> None:
        await events.prune()
        await records.prune()
        await learning.prune()
        await tokens.prune()
        await memories.finish_deletions()

    jobs.register(PRUNE, prune)


async def schedule(jobs: Jobs) -> None:
    """After the engine was opened."""
    await jobs.schedule(PRUNE, "37 * * * *")
