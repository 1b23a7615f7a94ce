"""Sandboxes that ended long ago are forgotten every day, and packages removed that nothing stands on."""

from contextlib import suppress

from innkeeper.engines.jobs.jobs import Jobs, Payload
from innkeeper.kernel.errors import Conflict
from innkeeper.services.sandboxes.service import Sandboxes

FORGET = "sandboxes.forget-ended"


def register(jobs: Jobs, sandboxes: Sandboxes) -> None:
    async def forget(_payload: Payload) -> None:
        await sandboxes.forget_ended()
        with suppress(Conflict):  # then tomorrow
            await sandboxes.templates.prune()

    jobs.register(FORGET, forget)


async def schedule(jobs: Jobs) -> None:
    """After the engine was opened."""
    await jobs.schedule(FORGET, "27 3 * * *")
