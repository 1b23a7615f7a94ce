"""Memories: made, changed, listed and deleted, with the parts that keep what is in them."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy.exc import IntegrityError

from innkeeper.engines.store.client_tokens import claim
from innkeeper.engines.store.database import Database
from innkeeper.kernel.call import Document
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Conflict, NotFound, QuotaExceeded
from innkeeper.kernel.ids import Arn, agentcore_arn, random_suffix, resource_id
from innkeeper.kernel.page import Cursor, Page, PageRequest
from innkeeper.services.account.service import Accounts
from innkeeper.services.memory import store, strategies
from innkeeper.services.memory.erasure import Erasure
from innkeeper.services.memory.learning.store import forget_strategies
from innkeeper.services.memory.model import (
    RESOURCE_TYPE,
    Limits,
    Memory,
    MemoryStatus,
    check_text,
    invalid,
)
from innkeeper.services.memory.sealing.keyring import make_key
from innkeeper.services.memory.variables import check_keys
from innkeeper.services.resource_policy.service import ResourcePolicies
from innkeeper.services.tags.service import Tags

_KEPT = (
    "description",
    "encryptionKeyArn",
    "memoryExecutionRoleArn",
    "indexedKeys",
    "namespaceKeys",
    "streamDeliveryResources",
)
_INDEXED_KEYS_MAX = 10
_MEMORIES = Cursor("memories", str)


class Memories:
    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        tags: Tags,
        policies: ResourcePolicies,
        erasure: Erasure,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._tags = tags
        self._policies = policies
        self._erasure = erasure
        self._limits = limits
        self._clock = clock

    async def create(self, caller: Caller, parameters: Document) -> Memory:
        """Raises InvalidRequest, also when the name is taken; QuotaExceeded."""
        await self._check_role(caller, parameters)
        now = self._clock.now()
        id_ = resource_id(parameters["name"])
        memory = Memory(
            account=caller.account,
            id=id_,
            name=parameters["name"],
            arn=agentcore_arn(caller.region, caller.account, f"{RESOURCE_TYPE}/{id_}"),
            status=MemoryStatus.ACTIVE,
            event_expiry_days=parameters["eventExpiryDuration"],
            strategies=[strategies.made(one, now) for one in parameters.get("memoryStrategies", ())],
            configuration={name: parameters[name] for name in _KEPT if name in parameters},
            revision=1,
            created_at=now,
            updated_at=now,
        )
        self._check(memory)
        try:
            made = await self._insert(memory, parameters)
        except IntegrityError as error:
            raise invalid("name", f"a memory named {memory.name} already exists") from error
        if made != id_:
            return await self.get(caller, made)
        if parameters.get("tags"):
            await self._tags.put(caller, memory.arn, parameters["tags"])
        return memory

    async def get(self, caller: Caller, memory_id: str) -> Memory:
        """By its id, or by its ARN, which may be another account's: the gate has asked its policy.
        Raises NotFound."""
        account, id_ = place(caller, memory_id)
        async with self._database.begin() as connection:
            found = await store.find_memory(connection, account, id_)
        if found is None or memory_id not in (found.id, found.arn):
            raise NotFound(f"Memory {memory_id} does not exist")
        return found

    async def named(self, caller: Caller, name: str) -> Memory:
        """By its name or its id, which are never the same. Raises NotFound."""
        check_text("memory", name)
        async with self._database.begin() as connection:
            found = await store.find_named(connection, caller.account, name)
        if found is None:
            raise NotFound(f"Memory {name} does not exist")
        return found

    async def active(self, caller: Caller, memory_id: str) -> Memory:
        """One that can be used. Raises NotFound."""
        memory = await self.get(caller, memory_id)
        if memory.status is not MemoryStatus.ACTIVE:
            raise NotFound(f"Memory {memory_id} is being deleted")
        return memory

    async def list(self, caller: Caller, page: PageRequest) -> Page[Memory]:
        after = _MEMORIES.after(page)
        async with self._database.begin() as connection:
            found = await store.list_memories(connection, caller.account, after and after[0], page.size + 1)
        return _MEMORIES.page(page, found, key=lambda one: (one.id,))

    async def update(self, caller: Caller, parameters: Document) -> Memory:
        """Raises NotFound, InvalidRequest; Conflict when it was changed at the same time."""
        memory = await self.active(caller, parameters["memoryId"])
        await self._check_role(caller, parameters)
        now, attempt = self._clock.now(), random_suffix()
        async with self._database.begin() as connection:
            made = await claim(connection, memory.account, "UpdateMemory", parameters, attempt, now)
            if made != attempt:
                return memory
            after = _changed(memory, parameters, now)
            self._check(after)
            gone = {one["strategyId"] for one in memory.strategies} - {
                one["strategyId"] for one in after.strategies
            }
            await forget_strategies(connection, memory.account, memory.id, gone)
            if not await store.replace_memory(connection, after):
                raise Conflict(f"Memory {memory.id} was changed at the same time; look at it and try again")
        return after

    async def delete(self, caller: Caller, memory_id: str) -> Memory:
        """Everything in it goes as well. A crash in between leaves it DELETING, and `finish_deletions` goes
        on. Raises NotFound."""
        memory = await self.get(caller, memory_id)
        async with self._database.begin() as connection:
            await store.mark_deleting(connection, memory.account, memory.id, self._clock.now())
        await self._finish(memory)
        return memory

    async def finish_deletions(self) -> None:
        async with self._database.begin() as connection:
            unfinished = await store.list_in_deletion(connection)
        for memory in unfinished:
            await self._finish(memory)

    async def owns(self, account: str, arn: Arn) -> bool:
        """Whether the ARN names a memory of this account."""
        kind, _, memory_id = arn.resource.partition("/")
        if kind != RESOURCE_TYPE:
            return False
        async with self._database.begin() as connection:
            found = await store.find_memory(connection, account, memory_id)
        return found is not None and found.arn == str(arn)

    async def _insert(self, memory: Memory, parameters: Document) -> str:
        """The id that was made: another than the memory's when the request is a repeat."""
        account, now = memory.account, memory.created_at
        async with self._database.begin() as connection:
            made = await claim(connection, account, "CreateMemory", parameters, memory.id, now)
            if made == memory.id:
                if await store.count_memories(connection, account) >= self._limits.memories:
                    raise QuotaExceeded(f"An account may have at most {self._limits.memories} memories")
                await store.insert_memory(connection, memory)
                await make_key(connection, memory.account, memory.id)
        return made

    async def _finish(self, memory: Memory) -> None:
        await self._erasure.empty(memory)
        async with self._database.begin() as connection:
            await store.delete_memory(connection, memory.account, memory.id)
        await self._tags.delete_all(memory.arn)
        await self._policies.delete_all(memory.arn)

    async def _check_role(self, caller: Caller, parameters: Document) -> None:
        if role := parameters.get("memoryExecutionRoleArn"):
            await self._accounts.check_agent_role(caller, role)

    def _check(self, memory: Memory) -> None:
        keys = memory.configuration.get("namespaceKeys", ())
        check_keys(keys)
        strategies.check(memory.strategies, self._limits.strategies, [one["key"] for one in keys])
        indexed = memory.configuration.get("indexedKeys", ())
        if len(memory.indexed_keys) != len(indexed):
            raise invalid("indexedKeys", "a key may be there only once, and keeps its type")
        if len(indexed) > _INDEXED_KEYS_MAX:
            raise invalid("indexedKeys", f"a memory may have at most {_INDEXED_KEYS_MAX}")


def place(caller: Caller, memory_id: str) -> tuple[str, str]:
    """Account and id of a memory that is named by its id or its ARN. Raises NotFound for an ARN of another
    region, or of anything but a memory."""
    if not memory_id.startswith("arn:"):
        return caller.account, memory_id
    arn = Arn.parse(memory_id)
    id_ = arn.resource.rpartition("/")[2]
    if str(arn) != agentcore_arn(caller.region, arn.account, f"{RESOURCE_TYPE}/{id_}"):
        raise NotFound(f"Memory {memory_id} does not exist")
    return arn.account, id_


def _changed(memory: Memory, parameters: Document, now: datetime) -> Memory:
    """With what an update asks for. Raises NotFound for a strategy that is not there."""
    configuration = memory.configuration | {name: parameters[name] for name in _KEPT if name in parameters}
    if added := parameters.get("addIndexedKeys"):
        configuration["indexedKeys"] = [*configuration.get("indexedKeys", ()), *added]
    return replace(
        memory,
        event_expiry_days=parameters.get("eventExpiryDuration", memory.event_expiry_days),
        strategies=strategies.changed_all(memory.strategies, parameters.get("memoryStrategies", {}), now),
        configuration=configuration,
        revision=memory.revision + 1,
        updated_at=now,
    )
