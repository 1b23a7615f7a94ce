"""Where attacks are tried: an attacker beside a neighbour who must stay well, made once for many attempts.

Where a sandbox or a program takes long to start, hundreds of attempts would. So a program in the attacker's
sandbox waits for attempts and makes a process of its own for each.
"""

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from innkeeper.engines.sandbox import seccomp
from innkeeper.engines.sandbox.contract_attacks import LAUNCHER
from innkeeper.engines.sandbox.contract_room import PATIENCE_SECONDS, heard, room, shell
from innkeeper.engines.sandbox.sandbox import Command, Network, Process, Sandbox, SandboxDriver, SandboxSpec

NEIGHBOUR_PORT = 8080
MARKER = "98765"
_SECRET = b"the neighbour's secret"
_NEIGHBOUR = f"""
import ctypes, socket, time
tcp = socket.create_server(("127.0.0.1", {NEIGHBOUR_PORT}))
unix = socket.socket(socket.AF_UNIX)
unix.bind("\\0innkeeper-neighbour")
unix.listen()
ctypes.CDLL(None).shmget({MARKER}, 4096, 0o1666)
print("up", flush=True)
time.sleep({MARKER})
"""


class Attacker:
    """A sandbox, and the program in it that makes attempts; it is started with the first, if not before."""

    def __init__(self, sandbox: Sandbox, launcher: Process | None = None) -> None:
        self.sandbox = sandbox
        self._launcher = launcher

    async def attack(self, body: str, *arguments: str) -> None:
        """Do it. Nothing may have been won; who dies on the way has won nothing."""
        code, words = await self.attempt(body, *arguments)
        assert code < 0 or words.startswith("failed"), (code, words)

    async def attempt(self, body: str, *arguments: str) -> tuple[int, str]:
        """Do it, and tell how it ended."""
        if self._launcher is None:
            command = Command(["python3", "-c", LAUNCHER, numbers()])
            self._launcher = await self.sandbox.exec(command)
        order = {"script": f"def attack():\n    {body}\n", "arguments": arguments}
        async with asyncio.timeout(PATIENCE_SECONDS):
            self._launcher.stdin.write(json.dumps(order).encode() + b"\n")
            said = await self._launcher.stdout.readline()
        assert said, f"the attacker's launcher ended: {await self._launcher.stderr.read()!r}"
        code, words = json.loads(said)
        return code, words

    async def unharmed(self) -> None:
        """Its own sandbox still works too."""
        assert (await shell(self.sandbox, "echo unharmed")).text == "unharmed"

    async def leave(self) -> None:
        if self._launcher is not None:
            self._launcher.close()
        await self.sandbox.kill()


@dataclass(frozen=True, slots=True)
class Arena:
    driver: SandboxDriver
    network: Network
    """The widest that the driver offers."""
    neighbour: Sandbox
    attacker: Attacker
    recruit: "Recruit"

    @asynccontextmanager
    async def newcomer(self, **spec: Any) -> AsyncIterator[Attacker]:
        """An attacker with a sandbox of its own, for what may end it or needs it new; the neighbour is well
        afterwards, while the attacker still goes on."""
        attacker = await self.recruit(self.driver, **spec)
        try:
            yield attacker
            await self.neighbour_is_well()
        finally:
            await attacker.leave()

    async def neighbour_is_well(self) -> None:
        """It does its work and has kept its secret."""
        assert await self.neighbour.read_file("secret") == _SECRET
        (await self.neighbour.dial(NEIGHBOUR_PORT)).close()
        assert (await shell(self.neighbour, "ls -A /tmp; cat secret")).out == _SECRET


Recruit = Callable[..., Awaitable[Attacker]]
"""Makes an attacker with a driver, and these fields of `SandboxSpec`."""


async def recruited(driver: SandboxDriver, **spec: Any) -> Attacker:
    return Attacker(await driver.create(SandboxSpec(f"test-{secrets.token_hex(6)}", **spec)))


@asynccontextmanager
async def opened(driver: SandboxDriver, recruit: Recruit = recruited) -> AsyncIterator[Arena]:
    """All of it ends with the block, the driver's other sandboxes too."""
    network = max((await driver.probe()).networks)
    async with room(driver, network=network) as neighbour:
        await neighbour.write_file("secret", _SECRET)
        server = await neighbour.exec(Command(["python3", "-c", _NEIGHBOUR]))
        await heard(server.stdout, b"up")
        attacker = await recruit(driver, network=network)
        try:
            made = Arena(driver, network, neighbour, attacker, recruit)
            yield made
            await attacker.unharmed()
            await made.neighbour_is_well()
        finally:
            await attacker.leave()
        server.close()
    await driver.close()


def numbers() -> str:
    """What the launcher is told: the system calls of this machine."""
    machine = seccomp.MACHINES[os.uname().machine]
    tables = {**seccomp.REFUSED, **seccomp.UNKNOWN}
    known = {name: number for name, row in tables.items() if (number := row[machine.column]) is not None}
    return json.dumps({**known, "clone": machine.clone})
