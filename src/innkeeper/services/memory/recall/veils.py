"""The veils of the memories' shelves, each by its memory's key."""

from collections import OrderedDict

from innkeeper.engines.search.veil import Veil
from innkeeper.engines.store.database import Database
from innkeeper.services.memory.recall.index_store import Shelf
from innkeeper.services.memory.sealing.keyring import key_of

_KEPT = 256


class MemoryVeils:
    def __init__(self, database: Database) -> None:
        """The database carries the keys."""
        self._database = database
        self._veils: OrderedDict[tuple[str, str], Veil] = OrderedDict()

    async def of(self, name: str) -> Veil:
        """Of a shelf. Raises NotFound when its memory is gone."""
        shelf = Shelf.named(name)
        memory = shelf.account, shelf.memory
        if memory not in self._veils:
            async with self._database.begin() as connection:
                key = await connection.run_sync(key_of, *memory)
            self._veils[memory] = Veil(key.derive("index"))
            while len(self._veils) > _KEPT:
                self._veils.popitem(last=False)
        self._veils.move_to_end(memory)
        return self._veils[memory]
