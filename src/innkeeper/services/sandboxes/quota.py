"""What an account's images may take on disk."""

from innkeeper.engines.store.database import Database
from innkeeper.kernel.errors import QuotaExceeded
from innkeeper.services.sandboxes import store


class Quota:
    """Of snapshots, hibernated sandboxes and templates together."""

    def __init__(self, database: Database, most_bytes: int) -> None:
        self._database = database
        self._most_bytes = most_bytes

    async def check(self, account: str, more_bytes: int = 0) -> None:
        """Whether there is room for one more image, or for these bytes. Raises QuotaExceeded."""
        async with self._database.begin() as connection:
            taken = await store.image_bytes(connection, account)
        if taken + max(more_bytes, 1) > self._most_bytes:
            more = f", and this has {more_bytes} more" if more_bytes else ""
            raise QuotaExceeded(
                f"Snapshots, hibernated sandboxes and templates take {taken} bytes{more}; "
                f"{self._most_bytes} are allowed"
            )
