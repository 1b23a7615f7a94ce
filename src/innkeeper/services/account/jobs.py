"""Expired credentials of role sessions are purged every hour."""

from innkeeper.engines.jobs.jobs import Jobs, Payload
from innkeeper.services.account.service import Accounts

PURGE = "account.purge-expired-sessions"


def register(jobs: Jobs, accounts: Accounts) -> None:
    async def purge(_payload: Payload) -> None:
        await accounts.purge_expired()

    jobs.register(PURGE, purge)


async def schedule(jobs: Jobs) -> None:
    """After the engine was opened."""
    await jobs.schedule(PURGE, "17 * * * *")
