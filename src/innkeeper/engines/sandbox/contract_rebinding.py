"""The isolation battery's attempts to get around a list by names: DNS rebinding."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from innkeeper.engines.sandbox.contract_arena import Arena
from innkeeper.engines.sandbox.contract_internet import (
    OURS,
    PORT,
    PRIVATE,
    PUBLIC,
    Internet,
    internet,
    listed,
    looked_up,
    tried,
)
from innkeeper.engines.sandbox.contract_room import python
from innkeeper.engines.sandbox.sandbox import Egress, Sandbox, SandboxDriver, Secret

_ALL = Egress(["*"], ["0.0.0.0/0"], [Secret("*.key.example.test", "X-Key", "xyzzy-8472")])
_ASK = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(f"http://{sys.argv[1]}/", timeout=60).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""
# One address in the ways that resolvers take for an address, and not for a name.
_SPELLINGS = (
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "169.254.43518",
    "0251.0376.0251.0376",
    "169.16689662",
)


# Ours, by one way or another.
_TARGETS = (
    *(PRIVATE, OURS, "169.254.169.254", "100.100.100.200", "127.0.0.1", "127.1.2.3", "0.0.0.0"),  # noqa: S104
    *("192.0.2.2", "192.0.2.3", "255.255.255.255", "224.0.0.1"),
)


class RebindingBattery:
    async def test_a_name_that_moves_leads_nowhere_else(self, arena: Arena, tmp_path: Path) -> None:
        """First it is where the list lets it be; then its owner has it lead into our own network."""
        async with (
            internet(tmp_path) as world,
            _listed(arena, tmp_path) as sandbox,
            asyncio.TaskGroup() as at_once,  # some addresses never answer, and are waited for
        ):
            unnamed = {each: at_once.create_task(tried(sandbox, (each, PORT))) for each in _TARGETS}
            for number, target in enumerate(_TARGETS):
                name = f"moving{number}.example.test"
                world.names[name] = [PUBLIC]
                assert await tried(sandbox, (name, PORT)) == ["hi"]
                world.names[name] = [target]
                assert await looked_up(sandbox, name) == [[]], target
                assert await tried(sandbox, (name, PORT)) != ["hi"], target
            await _asked_in_vain(sandbox, world)
            for target, said in unnamed.items():
                assert await said != ["hi"], target
        await arena.neighbour_is_well()

    async def test_no_spelling_of_an_address_leads_there(self, arena: Arena, tmp_path: Path) -> None:
        async with internet(tmp_path), _listed(arena, tmp_path) as sandbox:
            said = await tried(sandbox, *((spelling, PORT) for spelling in _SPELLINGS))
            assert {"PermissionError", "ConnectionRefusedError", "gaierror"} >= set(said)
        await arena.neighbour_is_well()


@asynccontextmanager
async def _listed(arena: Arena, folder: Path) -> AsyncIterator[Sandbox]:
    """By a driver that was made in that world, and trusts its certificates."""
    driver: SandboxDriver = type(arena.driver)(folder / "driver")  # type: ignore[call-arg]
    try:
        async with listed(driver, _ALL) as sandbox:
            yield sandbox
    finally:
        await driver.close()


async def _asked_in_vain(sandbox: Sandbox, world: Internet) -> None:
    """Whoever adds the secret outside looks the name up for itself."""
    for number, (target, answer) in enumerate(((PUBLIC, "200"), (PRIVATE, "502"), (OURS, "502"))):
        name = f"{number}.key.example.test"
        world.names[name] = [target]
        assert (await python(sandbox, _ASK, name)).text == answer
    assert len(world.heads) == 1
