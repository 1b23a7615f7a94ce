"""Old records of model calls are forgotten every day."""

from innkeeper.engines.jobs.jobs import Jobs, Payload
from innkeeper.services.model_gateway.service import ModelGateway

FORGET = "model-gateway.forget-calls"


def register(jobs: Jobs, models: ModelGateway, retention_days: int) -> None:
    async def forget(_payload: Payload) -> None:
        await models.forget_calls(retention_days)

    jobs.register(FORGET, forget)


async def schedule(jobs: Jobs) -> None:
    """After the engine was opened."""
    await jobs.schedule(FORGET, "37 3 * * *")
