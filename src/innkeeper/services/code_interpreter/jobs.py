"""Sessions that ended long ago are forgotten every day."""

from innkeeper.engines.jobs.jobs import Jobs, Payload
from innkeeper.services.code_interpreter.sessions import Sessions

FORGET = "code-interpreter.forget-ended-sessions"


def register(jobs: Jobs, sessions: Sessions, days: int) -> None:
    async def forget(_payload: Payload) -> None:
        await sessions.forget_ended(days)

    jobs.register(FORGET, forget)


async def schedule(jobs: Jobs) -> None:
    """After the engine was opened."""
    await jobs.schedule(FORGET, "37 3 * * *")
