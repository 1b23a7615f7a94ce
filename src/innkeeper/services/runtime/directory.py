"""Which version an ARN and a qualifier lead to, without asking the database each time."""

from dataclasses import dataclass

from innkeeper.engines.store.database import Database
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import NotFound
from innkeeper.kernel.ids import Arn
from innkeeper.kernel.ttl_cache import TtlCache
from innkeeper.services.runtime import store
from innkeeper.services.runtime.model import DEFAULT_ENDPOINT, AgentRuntime, Endpoint, RuntimeVersion


@dataclass(frozen=True, slots=True)
class Target:
    """What is called: an endpoint, and the version that is live behind it."""

    runtime: AgentRuntime
    endpoint: Endpoint
    version: RuntimeVersion


class Directory:
    """An answer may be a second old when another process made the change; `forget` follows our own."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._known: TtlCache[tuple[str, str, str], Target] = TtlCache(clock)

    async def find(self, account: str, runtime_id: str, qualifier: str | None) -> Target:
        """Raises NotFound when there is no such runtime or endpoint, or nothing is live behind it yet."""
        key = account, runtime_id, qualifier or DEFAULT_ENDPOINT
        target = self._known.get(key)
        if target is None:
            target = await self._look_up(*key)
            self._known.put(key, target)
        return target

    def forget(self, account: str, runtime_id: str, qualifier: str = DEFAULT_ENDPOINT) -> None:
        self._known.forget((account, runtime_id, qualifier))

    async def _look_up(self, account: str, runtime_id: str, qualifier: str) -> Target:
        async with self._database.begin() as connection:
            runtime = await store.find_runtime(connection, account, runtime_id)
            endpoint = await store.find_endpoint(connection, account, runtime_id, qualifier)
            number = endpoint.live_version if endpoint else None
            version = await store.find_version(connection, account, runtime_id, number) if number else None
        if runtime is None or endpoint is None or version is None:
            message = f"No endpoint or agent found with qualifier '{qualifier}' for agent '{runtime_id}'"
            raise NotFound(message)
        return Target(runtime, endpoint, version)


def owner_of(agent: str, account_id: str | None, caller_account: str) -> tuple[str, str]:
    """The account and the runtime id that an `agentRuntimeArn` names; a bare id is allowed as well."""
    if not agent.startswith("arn:"):
        return account_id or caller_account, agent
    try:
        arn = Arn.parse(agent)
    except ValueError as error:
        raise NotFound(f"{agent[:200]} is not the ARN of an agent runtime") from error
    kind, _, runtime_id = arn.resource.partition("/")
    if kind != "runtime" or "/" in runtime_id or arn.service != "bedrock-agentcore":
        raise NotFound(f"{agent[:200]} is not the ARN of an agent runtime")
    return arn.account, runtime_id
