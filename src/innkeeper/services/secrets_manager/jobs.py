"""Secrets whose time to be restored is over are removed every hour."""

from innkeeper.engines.jobs.jobs import Jobs, Payload
from innkeeper.services.secrets_manager.service import SecretsManager

PURGE = "secrets.purge-deleted"


def register(jobs: Jobs, secrets: SecretsManager) -> None:
    async def purge(_payload: Payload) -> None:
        await secrets.purge()

    jobs.register(PURGE, purge)


async def schedule(jobs: Jobs) -> None:
    """After the engine was opened."""
    await jobs.schedule(PURGE, "37 * * * *")
