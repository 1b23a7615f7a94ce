"""A bell: who has written something rings it, so that who follows what is written looks at once."""

import asyncio
from contextlib import suppress


class Bell:
    """Of one process, for one follower; what other servers write is found by looking now and then."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """After the commit."""
        self._rung.set()

    async def heard(self, seconds: float) -> None:
        """Until it is rung, or for so long. That it was rung since this was last asked counts."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._rung.wait(), seconds)
        self._rung.clear()
