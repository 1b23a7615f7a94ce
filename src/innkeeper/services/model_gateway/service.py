"""Agents' model calls, answered by the models that the settings name."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from datetime import timedelta

from innkeeper.engines.models.model import (
    HOP_HEADER,
    Converse,
    ModelError,
    OpenModel,
    Provider,
    invalid_request,
)
from innkeeper.engines.store.database import Database
from innkeeper.kernel.call import Call
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import InnkeeperError, NotFound
from innkeeper.services.model_gateway import store
from innkeeper.services.model_gateway.ledger import Ledger
from innkeeper.services.model_gateway.meter import Meter
from innkeeper.services.model_gateway.model import ModelRoute, ModelUsage, model_routes
from innkeeper.services.model_gateway.providers import Providers

# The agent and the session that a caller is, or None.
AgentOf = Callable[[Caller], tuple[str, str] | None]

# What a ConverseStream may end with; any other failure is its ModelStreamErrorException.
_STREAM_CODES = frozenset(
    {
        "InternalServerException",
        "ServiceUnavailableException",
        "ThrottlingException",
        "ValidationException",
    }
)


def no_agent(_caller: Caller) -> None:
    return None


class ModelGateway:
    def __init__(
        self,
        database: Database,
        models: Mapping[str, Provider],
        model_ids: Mapping[str, str],
        open_model: OpenModel,
        clock: Clock,
        agent_of: AgentOf = no_agent,
    ) -> None:
        """`models` and `model_ids` as in the settings. Raises ValueError when they do not fit together."""
        self.routes = model_routes(model_ids)
        for route in self.routes:
            if route.provider not in models:
                raise ValueError(f"model_ids: '{route.pattern}' names '{route.provider}', not one of models")
        self._database = database
        self._settings = models
        self._clock = clock
        self._agent_of = agent_of
        self._providers = Providers(models, open_model)
        self._ledger = Ledger(database)

    async def converse(self, call: Call, model_id: str, request: Converse) -> Converse:
        """`request` and the answer are those of Bedrock's Converse. Raises InnkeeperError."""
        route = self._route(call, model_id)
        meter = self._meter(call, model_id, route)
        with meter.recorded(self._ledger):
            model = await self._providers.model(route.provider)
            try:
                async with asyncio.timeout(self._settings[route.provider].timeout_seconds):
                    answer = await model.converse(route.model_for(model_id), request)
            except TimeoutError:
                raise _timed_out() from None
            meter.answer(answer)
        return answer

    async def converse_stream(
        self, call: Call, model_id: str, request: Converse
    ) -> AsyncGenerator[Converse, None]:
        """The events of Bedrock's ConverseStream, to be closed by who reads them.

        Until the provider has begun to answer, failures are raised here, so that they get a status; later
        ones by the generator, as one of the exceptions that the stream's model has.
        """
        route = self._route(call, model_id)
        events = self._events(self._meter(call, model_id, route), route, model_id, request)
        return _resumed(await anext(events), events)

    def answers(self, model_id: str) -> bool:
        """Whether there is a model for it."""
        return any(route.answers(model_id) for route in self.routes)

    async def usage(
        self, account: str, agent: str | None = None, session: str | None = None
    ) -> list[ModelUsage]:
        """Of all agents and sessions, or of one; by agent and model."""
        await self._ledger.flush()
        async with self._database.begin() as connection:
            return await store.usage(connection, account, agent, session)

    async def forget_calls(self, days: int) -> int:
        """The records of those that are older; how many."""
        async with self._database.begin() as connection:
            return await store.delete_before(connection, self._clock.now() - timedelta(days=days))

    async def close(self) -> None:
        """Write the records that wait, and leave the providers."""
        await self._ledger.close()
        await self._providers.close()

    def kind(self, provider: str) -> str:
        return self._settings[provider].kind

    def _route(self, call: Call, model_id: str) -> ModelRoute:
        if HOP_HEADER in call.headers:
            raise invalid_request("This model's provider is Innkeeper itself; its settings form a loop")
        for route in self.routes:
            if route.answers(model_id):
                return route
        raise NotFound(
            f"No model is configured for '{model_id[:256]}'. Set model_ids and models in innkeeper.toml, for "
            'example: model_ids = { "*" = "local/qwen3" } and [models.local] with kind = "openai" and '
            'base_url = "http://127.0.0.1:11434/v1" (docs/guide/models.md)'
        )

    def _meter(self, call: Call, model_id: str, route: ModelRoute) -> Meter:
        return Meter(self._clock, call.caller, self._agent_of(call.caller), model_id, route)

    async def _events(
        self, meter: Meter, route: ModelRoute, model_id: str, request: Converse
    ) -> AsyncGenerator[Converse, None]:
        limit = self._settings[route.provider].timeout_seconds
        with meter.recorded(self._ledger):
            model = await self._providers.model(route.provider)
            async with aclosing(model.converse_stream(route.model_for(model_id), request)) as events:
                while (event := await _next(events, limit)) is not None:
                    meter.event(event)
                    yield event


async def _next(events: AsyncGenerator[Converse, None], limit_seconds: float) -> Converse | None:
    try:
        async with asyncio.timeout(limit_seconds):
            return await anext(events, None)
    except TimeoutError:
        raise _timed_out() from None


async def _resumed(first: Converse, events: AsyncGenerator[Converse, None]) -> AsyncGenerator[Converse, None]:
    async with aclosing(events):
        yield first
        try:
            async for event in events:
                yield event
        except InnkeeperError as error:
            if error.code in _STREAM_CODES:
                raise
            raise ModelError(error.message, "ModelStreamErrorException") from None


def _timed_out() -> ModelError:
    return ModelError("The model did not answer in time", "ModelTimeoutException", 408)
