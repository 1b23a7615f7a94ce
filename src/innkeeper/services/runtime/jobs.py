"""The durable work of runtimes."""

from innkeeper.engines.jobs.jobs import Jobs, Payload
from innkeeper.services.runtime.retention import Retention
from innkeeper.services.runtime.service import BUILD_JOB, DELETE_JOB
from innkeeper.services.runtime.transitions import Transitions

FORGET = "runtime.forget-ended-sessions"


def register(jobs: Jobs, transitions: Transitions, retention: Retention) -> None:
    async def build(payload: Payload) -> None:
        await transitions.build(payload["account"], payload["runtime"], payload["version"])

    async def delete(payload: Payload) -> None:
        await transitions.delete(payload["account"], payload["runtime"])

    async def forget(_payload: Payload) -> None:
        await retention.forget_ended()

    jobs.register(BUILD_JOB, build)
    jobs.register(DELETE_JOB, delete)
    jobs.register(FORGET, forget)


async def schedule(jobs: Jobs) -> None:
    """After the engine was opened."""
    await jobs.schedule(FORGET, "47 3 * * *")
