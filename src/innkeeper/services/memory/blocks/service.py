"""Blocks: written, edited by many at once, and what they said before."""

from collections.abc import Callable
from dataclasses import replace

from innkeeper.engines.store.database import Database
from innkeeper.kernel.call import Document
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Conflict, NotFound, QuotaExceeded
from innkeeper.services.memory.blocks import store
from innkeeper.services.memory.blocks.model import (
    Block,
    BlockKey,
    BlockLimits,
    BlockVersion,
    check_name,
    checked,
    edited,
)
from innkeeper.services.memory.model import Memory, invalid

_DEFAULT_CHARACTERS = 5000
_ATTEMPTS = 20


class Blocks:
    """`if_version` is the version that a change is meant for; 0 means that there is none yet."""

    def __init__(self, database: Database, limits: BlockLimits, clock: Clock) -> None:
        self._database = database
        self._limits = limits
        self._clock = clock

    async def of(self, memory: Memory, actor: str, session: str | None) -> list[Block]:
        """The actor's in all sessions; with a session, those in it too."""
        sessions = ["", session] if session else [""]
        async with self._database.begin() as connection:
            return await store.list_blocks(connection, memory.account, memory.id, actor, sessions)

    async def get(self, key: BlockKey) -> Block:
        """Raises NotFound."""
        async with self._database.begin() as connection:
            found = await store.find_block(connection, key)
        if found is None:
            raise _unknown(key)
        return found

    async def put(
        self, key: BlockKey, text: str, description: str | None, most: int | None, if_version: int | None
    ) -> Block:
        """Make it, or give it another text; what is not named stays. Raises InvalidRequest, QuotaExceeded;
        Conflict when it is another version."""
        check_name(key.name)
        if most is not None and most > self._limits.characters:
            raise invalid("limit", f"a block may have at most {self._limits.characters} characters")

        def change(found: Block | None) -> Block:
            now = self._clock.now()
            default = min(_DEFAULT_CHARACTERS, self._limits.characters)
            before = found or Block(key, "", "", default, 0, now, now)
            after = replace(before, text=text, version=before.version + 1, updated_at=now)
            if description is not None:
                after = replace(after, description=description)
            return checked(replace(after, most=most or after.most))

        return await self._changed(key, change, if_version)

    async def edit(self, key: BlockKey, change: Document, if_version: int | None) -> Block:
        """One change as `edited` knows it. Raises NotFound, InvalidRequest; Conflict when it is another
        version."""

        def change_of(found: Block | None) -> Block:
            if found is None:
                raise _unknown(key)
            return edited(found, change, self._clock.now())

        return await self._changed(key, change_of, if_version)

    async def delete(self, key: BlockKey, if_version: int | None) -> None:
        """With its history. Raises NotFound; Conflict when it is another version."""
        for _ in range(_ATTEMPTS):
            async with self._database.begin() as connection:
                found = await store.find_block(connection, key)
                if found is None:
                    raise _unknown(key)
                _check_version(key, found, if_version)
                if await store.delete_block(connection, key, found.version):
                    return
        raise _busy(key)

    async def history(self, key: BlockKey) -> list[BlockVersion]:
        """What it says and said before, the newest first. Raises NotFound."""
        async with self._database.begin() as connection:
            found = await store.list_versions(connection, key)
        if not found:
            raise _unknown(key)
        return found

    async def _changed(
        self, key: BlockKey, change: Callable[[Block | None], Block], if_version: int | None
    ) -> Block:
        """Made anew on what another has written meanwhile: no change is lost."""
        for _ in range(_ATTEMPTS):
            async with self._database.begin() as connection:
                found = await store.find_block(connection, key)
                _check_version(key, found, if_version)
                after = change(found)
                if found is None and await store.count_blocks(connection, key) >= self._limits.per_actor:
                    raise QuotaExceeded(f"An actor may have at most {self._limits.per_actor} blocks")
                write = store.insert_block if found is None else store.replace_block
                if await write(connection, after):
                    await store.keep_version(connection, after, self._limits.versions)
                    return after
        raise _busy(key)


def _check_version(key: BlockKey, found: Block | None, if_version: int | None) -> None:
    version = found.version if found else 0
    if if_version is not None and if_version != version:
        state = f"is at version {version}" if found else "does not exist"
        raise Conflict(f"Block {key.name} {state}, not at version {if_version}; read it and try again")


def _busy(key: BlockKey) -> Conflict:
    return Conflict(f"Block {key.name} is changed by many at the same time; try again")


def _unknown(key: BlockKey) -> NotFound:
    return NotFound(f"Block {key.name} does not exist")
