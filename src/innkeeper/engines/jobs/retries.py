"""How often a job's handler is tried before the job counts as failed."""

import asyncio
import logging
from dataclasses import dataclass

from innkeeper.engines.jobs.jobs import JobHandler, Payload

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Retries:
    """`attempts` in all; the wait before the second is `delay_seconds` and doubles from then on."""

    attempts: int = 4
    delay_seconds: float = 1.0

    async def run(self, key: str, handler: JobHandler, payload: Payload) -> None:
        """Raises what the last attempt raised."""
        for attempt in range(1, self.attempts + 1):
            try:
                await _attempt(handler, payload)
                return
            except Exception as error:
                _LOG.warning("job %s failed, attempt %d of %d: %r", key, attempt, self.attempts, error)
                if attempt == self.attempts:
                    raise
            await asyncio.sleep(self.delay_seconds * 2 ** (attempt - 1))


DEFAULT_RETRIES = Retries()


async def _attempt(handler: JobHandler, payload: Payload) -> None:
    try:
        await handler(payload)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise RuntimeError("the handler waited for something that was cancelled") from None
