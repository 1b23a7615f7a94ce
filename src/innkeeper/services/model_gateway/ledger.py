"""The records of model calls on their way to the database, off the request path."""

import asyncio
import logging
from collections import deque
from itertools import islice

from sqlalchemy.exc import SQLAlchemyError

from innkeeper.engines.store.database import Database
from innkeeper.services.model_gateway import store
from innkeeper.services.model_gateway.model import ModelCall

_log = logging.getLogger(__name__)

_DELAY_SECONDS = 1.0
_BATCH = 500
_CAPACITY = 10_000


class Ledger:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[ModelCall] = deque()
        self._writing = asyncio.Lock()
        self._closing = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def record(self, call: ModelCall) -> None:
        """Written within about a second; lost when the queue is full, because the database fails."""
        if len(self._waiting) >= _CAPACITY:
            _log.error("the record of a model call is lost: the database does not take them")
            return
        self._waiting.append(call)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_soon())

    async def flush(self) -> None:
        """Write all that waits. Raises SQLAlchemyError, and then keeps what is not written."""
        async with self._writing:
            while batch := list(islice(self._waiting, _BATCH)):
                async with self._database.begin() as connection:
                    await store.add_calls(connection, batch)
                for _ in batch:
                    self._waiting.popleft()

    async def close(self) -> None:
        self._closing.set()
        if self._writer:
            await self._writer

    async def _write_soon(self) -> None:
        while self._waiting:
            await self._pause()
            try:
                await self.flush()
            except SQLAlchemyError as error:
                # The error's own text holds the rows.
                _log.error("records of model calls cannot be written: %s", type(error).__name__)
                if self._closing.is_set():
                    return

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(_DELAY_SECONDS):
                await self._closing.wait()
        except TimeoutError:
            return
