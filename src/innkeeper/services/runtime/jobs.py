"""The durable work of runtimes."""

from innkeeper.engines.jobs.jobs import Jobs, Payload
from innkeeper.services.runtime.service import BUILD_JOB, DELETE_JOB
from innkeeper.services.runtime.transitions import Transitions


def register(jobs: Jobs, transitions: Transitions) -> None:
    async def build(payload: Payload) -> None:
        await transitions.build(payload["account"], payload["runtime"], payload["version"])

    async def delete(payload: Payload) -> None:
        await transitions.delete(payload["account"], payload["runtime"])

    jobs.register(BUILD_JOB, build)
    jobs.register(DELETE_JOB, delete)
