"""Places: granted to who owns the sandbox, and opened for who has the token."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from innkeeper.engines.sandbox.sandbox import Sandbox
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import NotFound, Throttled
from innkeeper.services.web.model import Grant, Place, Rules
from innkeeper.services.web.tokens import WebTokens


@dataclass(frozen=True, slots=True)
class Door:
    """To a sandbox that is awake, by the id that is its own on this server; it is not idle during `use`."""

    id: str
    sandbox: Sandbox
    use: Callable[[], AbstractContextManager[None]] = nullcontext


FindDoor = Callable[[str, str], Awaitable[Door | None]]
"""The door of the sandbox that an account knows by an id; None when a service has no such sandbox."""


class WebServices:
    def __init__(
        self, finders: Sequence[FindDoor], keys: Sequence[bytes], clock: Clock, rules: Rules
    ) -> None:
        """`keys` sign the tokens: those of `Vault.derive`."""
        self.rules = rules
        self.tokens = WebTokens(keys, clock)
        self._finders = finders
        self._requests: dict[str, int] = {}

    async def grant(self, account: str, id_: str, port: int, seconds: int) -> Grant:
        """Raises NotFound. `port` is from 1 to 65535."""
        door = await self._find(account, id_)
        return self.tokens.issue(Place(account, door.id, port), seconds)

    async def door(self, place: Place) -> Door:
        """Raises NotFound, also once the sandbox has ended."""
        return await self._find(place.account, place.id)

    @contextmanager
    def use(self, door: Door) -> Iterator[None]:
        """While a request is under way. Raises Throttled when there are too many."""
        count = self._requests.get(door.id, 0)
        if count >= self.rules.requests:
            raise Throttled(f"At most {self.rules.requests} requests to one sandbox may be under way at once")
        self._requests[door.id] = count + 1
        try:
            with door.use():
                yield
        finally:
            self._requests[door.id] -= 1
            if not self._requests[door.id]:
                del self._requests[door.id]

    async def _find(self, account: str, id_: str) -> Door:
        for find in self._finders:
            door = await find(account, id_)
            if door is not None:
                return door
        raise NotFound(f"There is no live session or sandbox {id_[:128]}")
