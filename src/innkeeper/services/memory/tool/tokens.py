"""The tokens that open a memory as a tool: given out, listed, and taken back.

Each names a row that is asked for on every use: without it the token opens nothing.
"""

from collections.abc import Sequence
from datetime import timedelta

import jwt

from innkeeper.engines.store.database import Database
from innkeeper.engines.vault.tokens import TokenKind
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import NotFound, QuotaExceeded
from innkeeper.kernel.page import Cursor, Page, PageRequest
from innkeeper.services.memory.model import Memory, check_text
from innkeeper.services.memory.tool import store
from innkeeper.services.memory.tool.model import Holder, ToolToken, new_token_id

_TOKENS = Cursor("tokens of a memory", int)
_KIND = TokenKind("memory+jwt", "innkeeper-memory", characters=4096)


class ToolTokens:
    def __init__(self, database: Database, keys: Sequence[bytes], most: int, clock: Clock) -> None:
        """`keys` are those of `Vault.derive`. A memory may have `most` tokens at a time."""
        self._database = database
        self._keys = keys
        self._most = most
        self._clock = clock

    async def issue(self, holder: Holder, seconds: int) -> tuple[ToolToken, str]:
        """With the token itself, which is told this once. Raises QuotaExceeded."""
        now = self._clock.now()
        made = ToolToken(new_token_id(), holder, now, now + timedelta(seconds=seconds))
        async with self._database.begin() as connection:
            if await store.count_tokens(connection, holder.account, holder.memory, now) >= self._most:
                raise QuotaExceeded(f"A memory may have at most {self._most} tokens; revoke some first")
            await store.insert_token(connection, made)
        claims = {"account": holder.account, "memory": holder.memory, "jti": made.id}
        return made, _KIND.sign(claims, self._keys)

    async def read(self, token: str) -> Holder | None:
        """None on any fault, once it has expired, and once it was revoked."""
        try:
            claims = _KIND.read(token, self._keys)
            place = claims["account"], claims["memory"], claims["jti"]
        except (jwt.PyJWTError, ValueError, KeyError, RecursionError):
            return None
        async with self._database.begin() as connection:
            found = await store.find_token(connection, *place, self._clock.now())
        return found.holder if found else None

    async def list(self, memory: Memory, actor: str | None, page: PageRequest) -> Page[ToolToken]:
        """Those that open the memory now, of an actor or of all; the oldest first. Raises InvalidRequest for
        a page of another list."""
        cursor = _TOKENS.of(memory.account, memory.id, actor or "")
        (after,) = cursor.after(page) or (0,)
        async with self._database.begin() as connection:
            rows = await store.list_tokens(
                connection, memory.account, memory.id, actor, after, page.size + 1, self._clock.now()
            )
        shown = cursor.page(page, rows, key=lambda one: (one[0],))
        return Page([token for _, token in shown.items], shown.next_token)

    async def revoke(self, memory: Memory, id_: str) -> None:
        """It opens nothing from now on. Raises NotFound."""
        check_text("token", id_)
        async with self._database.begin() as connection:
            if not await store.delete_token(connection, memory.account, memory.id, id_):
                raise NotFound(f"Token {id_} does not exist")

    async def prune(self) -> None:
        async with self._database.begin() as connection:
            await store.delete_expired(connection, self._clock.now())
