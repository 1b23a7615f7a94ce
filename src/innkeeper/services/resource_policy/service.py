"""Policies on resources: kept, and asked on the data path."""

import json

from innkeeper.engines.store.database import Database
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.clock import Clock, SystemClock
from innkeeper.kernel.errors import NotFound
from innkeeper.kernel.ids import Arn
from innkeeper.kernel.owners import Owners, require_owned
from innkeeper.kernel.policies import AccessRequest, Decision, Policy, evaluate
from innkeeper.kernel.ttl_cache import TtlCache
from innkeeper.services.resource_policy import store
from innkeeper.services.resource_policy.model import check_policy


class ResourcePolicies:
    """`put`, `get` and `delete` raise NotFound unless the resource exists and is the caller's.

    What was read for a decision is remembered for a second, and forgotten at once when it changes here.
    """

    def __init__(self, database: Database, owners: Owners, clock: Clock | None = None) -> None:
        self._database = database
        self._owners = owners
        self._policies: TtlCache[str, list[Policy]] = TtlCache(clock or SystemClock())

    async def put(self, caller: Caller, resource_arn: str, policy: str) -> None:
        """Replaces the one that is there. Raises InvalidRequest for an invalid document."""
        await require_owned(self._owners, caller.account, resource_arn)
        check_policy(policy)
        async with self._database.begin() as connection:
            await store.put(connection, caller.account, resource_arn, policy)
        self._policies.forget(resource_arn)

    async def get(self, caller: Caller, resource_arn: str) -> str | None:
        """The document as it came; None when there is none."""
        await require_owned(self._owners, caller.account, resource_arn)
        async with self._database.begin() as connection:
            return await store.find(connection, caller.account, resource_arn)

    async def delete(self, caller: Caller, resource_arn: str) -> None:
        """Raises NotFound also when the resource has no policy."""
        await require_owned(self._owners, caller.account, resource_arn)
        if not await self.delete_all(resource_arn):
            raise NotFound(f"Resource {resource_arn} has no policy")

    async def delete_all(self, resource_arn: str) -> bool:
        """For the owner, when the resource goes; whether there was a policy."""
        async with self._database.begin() as connection:
            found = await store.remove(connection, Arn.parse(resource_arn).account, resource_arn)
        self._policies.forget(resource_arn)
        return found

    async def decide(self, caller: Caller, action: str, resource_arn: str) -> Decision:
        """What the resource's own policy says; neutral when it has none.

        An allow must name the caller itself or everyone: one that names the whole account leaves its roles
        to their own policies.
        """
        policies = await self._policy_of(resource_arn)
        return evaluate(policies, AccessRequest.of(caller, action, resource_arn))

    async def _policy_of(self, resource_arn: str) -> list[Policy]:
        known = self._policies.get(resource_arn)
        if known is not None:
            return known
        async with self._database.begin() as connection:
            text = await store.find(connection, Arn.parse(resource_arn).account, resource_arn)
        policies: list[Policy] = [] if text is None else [json.loads(text)]
        self._policies.put(resource_arn, policies)
        return policies
