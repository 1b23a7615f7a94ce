"""Blocks: written, edited by many at once, and what they said before."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

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
    Written,
    check_name,
    checked,
    edited,
)
from innkeeper.services.memory.model import Memory, invalid
from innkeeper.services.memory.safety import held_store
from innkeeper.services.memory.safety.held import Held, HeldKind, new_held_id
from innkeeper.services.memory.safety.vetter import Vetter
from innkeeper.services.memory.safety.writer import Writer

_DEFAULT_CHARACTERS = 5000
_ATTEMPTS = 40
_KINDS = (HeldKind.BLOCK,)


class Blocks:
    """`if_version` is the version that a change is meant for; 0 means that there is none yet."""

    def __init__(self, database: Database, vetter: Vetter, limits: BlockLimits, clock: Clock) -> None:
        self._database = database
        self._vetter = vetter
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
        self,
        writer: Writer,
        key: BlockKey,
        text: str,
        description: str | None,
        most: int | None,
        if_version: int | None,
    ) -> Written:
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

        return await self._changed(writer, key, change, if_version)

    async def edit(self, writer: Writer, key: BlockKey, change: Document, if_version: int | None) -> Written:
        """One change as `edited` knows it. Raises NotFound, InvalidRequest; Conflict when it is another
        version."""

        def change_of(found: Block | None) -> Block:
            if found is None:
                raise _unknown(key)
            return edited(found, change, self._clock.now())

        return await self._changed(writer, key, change_of, if_version)

    async def delete(self, key: BlockKey, if_version: int | None) -> None:
        """With its history. Raises NotFound; Conflict when it is another version."""
        for _ in range(_ATTEMPTS):
            async with self._database.begin() as connection:
                found = await store.find_block(connection, key)
                if found is None:
                    raise _unknown(key)
                _check_version(key, found, if_version)
                if await store.delete_block(connection, key, found.version):
                    await held_store.drop(connection, _owner(key), _KINDS, key.name, key.session)
                    return
        raise _busy(key)

    async def history(self, key: BlockKey) -> list[BlockVersion]:
        """What it says and said before, the newest first. Raises NotFound."""
        async with self._database.begin() as connection:
            found = await store.list_versions(connection, key)
        if not found:
            raise _unknown(key)
        return found

    async def put_back(self, connection: AsyncConnection, held: Held) -> None:
        """What waited for review is what the block says. Raises Conflict when that was changed meanwhile."""
        key = BlockKey(held.account, held.memory, held.actor, held.session, held.name)
        found, now = await store.find_block(connection, key), self._clock.now()
        before = found or Block(key, "", "", held.detail["most"], 0, now, now)
        after = replace(
            before,
            text=held.text,
            description=held.detail["description"],
            most=held.detail["most"],
            version=held.number + 1,
            updated_at=now,
        )
        if before.version != held.number or not await self._write(connection, found, after):
            raise Conflict(
                f"Block {key.name} has changed since this was written; reject it, or write it anew"
            )

    async def _changed(
        self, writer: Writer, key: BlockKey, change: Callable[[Block | None], Block], if_version: int | None
    ) -> Written:
        """Made anew on what another has written meanwhile: no change is lost. It is judged as a whole, before
        it is written and outside of any transaction."""
        policy = await self._vetter.policy_at(key.account, key.memory)
        judged = ""
        concerns: Sequence[str] = ()
        for _ in range(_ATTEMPTS):
            async with self._database.begin() as connection:
                found = await store.find_block(connection, key)
                _check_version(key, found, if_version)
                after = change(found)
                if judged == _told(after):
                    await self._check_room(connection, key, found, held=bool(concerns))
                    if concerns:
                        return Written(after, await self._hold(connection, found, after, concerns))
                    if await self._write(connection, found, after):
                        return Written(after)
            judged = _told(after)
            (concerns,) = await self._vetter.held_back(policy, [judged], writer.trust(policy))
        raise _busy(key)

    async def _write(self, connection: AsyncConnection, found: Block | None, after: Block) -> bool:
        """False when another has written meanwhile."""
        write = store.insert_block if found is None else store.replace_block
        written = await write(connection, after)
        if written:
            await store.keep_version(connection, after, self._limits.versions)
        return written

    async def _hold(
        self, connection: AsyncConnection, found: Block | None, after: Block, concerns: Sequence[str]
    ) -> Held:
        """The newest alone waits: what was written on the same version before would undo it."""
        key = after.key
        held = Held(
            account=key.account,
            memory=key.memory,
            id=new_held_id(),
            kind=HeldKind.BLOCK,
            actor=key.actor,
            session=key.session,
            name=key.name,
            number=found.version if found else 0,
            text=after.text,
            detail={"description": after.description, "most": after.most},
            concerns=concerns,
            created_at=after.updated_at,
        )
        await held_store.drop(connection, _owner(key), _KINDS, key.name, key.session)
        await held_store.hold(connection, [held])
        return held

    async def _check_room(
        self, connection: AsyncConnection, key: BlockKey, found: Block | None, *, held: bool
    ) -> None:
        if found is not None:
            return
        count = await store.count_blocks(connection, key)
        if held:
            count += await held_store.count_names(connection, _owner(key), HeldKind.BLOCK)
        if count >= self._limits.per_actor:
            raise QuotaExceeded(f"An actor may have at most {self._limits.per_actor} blocks")


def _told(block: Block) -> str:
    """All of it that a model reads."""
    return f"{block.description}\n{block.text}"


def _owner(key: BlockKey) -> held_store.Owner:
    return key.account, key.memory, key.actor


def _check_version(key: BlockKey, found: Block | None, if_version: int | None) -> None:
    version = found.version if found else 0
    if if_version is not None and if_version != version:
        state = f"is at version {version}" if found else "does not exist"
        raise Conflict(f"Block {key.name} {state}, not at version {if_version}; read it and try again")


def _busy(key: BlockKey) -> Conflict:
    return Conflict(f"Block {key.name} is changed by many at the same time; try again")


def _unknown(key: BlockKey) -> NotFound:
    return NotFound(f"Block {key.name} does not exist")
