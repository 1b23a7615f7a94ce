"""Tags of resources, whichever service keeps the resource."""

from collections.abc import Iterable, Mapping

from innkeeper.engines.store.database import Database
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.errors import QuotaExceeded
from innkeeper.kernel.ids import Arn
from innkeeper.kernel.owners import Owners, require_owned
from innkeeper.services.tags import store
from innkeeper.services.tags.model import MAX_TAGS, check_keys, check_tags


class Tags:
    """Every method but `delete_all` raises NotFound unless the resource exists and is the caller's."""

    def __init__(self, database: Database, owners: Owners) -> None:
        self._database = database
        self._owners = owners

    async def put(self, caller: Caller, resource_arn: str, tags: Mapping[str, str]) -> None:
        """Add tags, or replace the values of those that are there. Raises InvalidRequest, QuotaExceeded."""
        check_tags(tags)
        await require_owned(self._owners, caller.account, resource_arn)
        if not tags:
            return
        async with self._database.begin() as connection:
            await store.put(connection, caller.account, resource_arn, tags)
            if len(await store.of_resource(connection, caller.account, resource_arn)) > MAX_TAGS:
                raise QuotaExceeded(f"A resource may have at most {MAX_TAGS} tags")

    async def list(self, caller: Caller, resource_arn: str) -> dict[str, str]:
        await require_owned(self._owners, caller.account, resource_arn)
        async with self._database.begin() as connection:
            return await store.of_resource(connection, caller.account, resource_arn)

    async def remove(self, caller: Caller, resource_arn: str, keys: Iterable[str]) -> None:
        """Keys that are not there are no error."""
        wanted = list(keys)
        check_keys(wanted, "tagKeys")
        await require_owned(self._owners, caller.account, resource_arn)
        async with self._database.begin() as connection:
            await store.remove(connection, caller.account, resource_arn, wanted)

    async def delete_all(self, resource_arn: str) -> None:
        """For the owner, when the resource goes."""
        async with self._database.begin() as connection:
            await store.delete_all(connection, Arn.parse(resource_arn).account, resource_arn)
