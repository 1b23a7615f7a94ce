"""The isolation battery on copies: what a snapshot must not hold, tell others, or let others become."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from innkeeper.engines.sandbox.contract_arena import Arena
from innkeeper.engines.sandbox.contract_room import heard, shell
from innkeeper.engines.sandbox.sandbox import (
    Command,
    Egress,
    Network,
    Process,
    Relay,
    Sandbox,
    SandboxError,
    SandboxSpec,
    Secret,
)

_LOTTERY = """
import os, sys, uuid
for line in sys.stdin:
    print(os.urandom(16).hex(), uuid.uuid4().hex, flush=True)
"""
_PORT = 9000
_CALL = f"""
import socket
try:
    with socket.create_connection(("127.0.0.1", {_PORT}), 10) as relay:
        print(relay.recv(100).decode())
except OSError:
    print()
"""
_TOLD = "the parent's own"


class CopyBattery:
    async def test_secrets_of_the_egress_are_on_no_disk(
        self, arena: Arena, state_dir: Path, tmp_path: Path
    ) -> None:
        """Neither in what the driver keeps, nor in a snapshot where there is one."""
        if Network.LISTED not in (await arena.driver.probe()).networks:
            pytest.skip("no lists here: " + "; ".join((await arena.driver.probe()).problems))
        value = secrets.token_hex(16)
        egress = Egress(secrets=[Secret("api.example.test", "Authorization", value)])
        async with arena.newcomer(network=Network.LISTED, egress=egress) as attacker:
            with suppress(SandboxError):  # not of a sandbox with a network, perhaps
                await attacker.sandbox.snapshot(tmp_path / "moment")
            kept = [*_files(state_dir), *_files(tmp_path)]
            assert kept
            assert [path for path in kept if value.encode() in path.read_bytes()] == []

    async def test_a_snapshot_is_its_owner_s_alone(self, arena: Arena, tmp_path: Path) -> None:
        folder = tmp_path / "moment"
        async with arena.newcomer() as attacker:
            if await _taken(arena, attacker.sandbox, folder):
                modes = {path: path.stat().st_mode & 0o077 for path in (folder, *_files(folder))}
                assert {path: mode for path, mode in modes.items() if mode} == {}

    async def test_a_snapshot_that_was_tampered_with_is_refused(self, arena: Arena, tmp_path: Path) -> None:
        """Also by somebody who lets it look untouched."""
        folder = tmp_path / "moment"
        async with arena.newcomer() as attacker:
            if not await _taken(arena, attacker.sandbox, folder):
                return
        async with _copy(arena, folder) as copy:
            assert (await shell(copy, "echo whole")).text == "whole"
        for path in _files(folder):
            whole, status = path.read_bytes(), path.stat()
            path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
            with pytest.raises(SandboxError, match="damaged"):
                async with _copy(arena, folder):
                    pass
            path.write_bytes(whole)

    async def test_a_copy_is_nobody_but_itself(self, arena: Arena, tmp_path: Path) -> None:
        """It has neither the ways out of its parent, nor its environment, nor its luck."""
        folder = tmp_path / "moment"
        server = await asyncio.start_server(_telling, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        relays, environment = [Relay(_PORT, "127.0.0.1", port)], {"TOKEN": _TOLD}
        async with server, arena.newcomer(relays=relays, environment=environment) as attacker:
            parent = attacker.sandbox
            lottery = await parent.exec(Command(["python3", "-c", _LOTTERY]))
            assert (await _called(parent), (await shell(parent, "echo $TOKEN")).text) == (_TOLD, _TOLD)
            drawn = await _drawn(lottery)
            if await _taken(arena, parent, folder):
                for _ in range(2):
                    async with _copy(arena, folder) as copy:
                        assert (await _called(copy), (await shell(copy, "echo $TOKEN")).text) == ("", "")
                        drawn += await _drawn(copy.process(lottery.id))
                assert len(set(drawn)) == len(drawn)
            lottery.close()


async def _taken(arena: Arena, sandbox: Sandbox, folder: Path) -> bool:
    """Whether there is a snapshot of it now; a driver that takes none refuses, and leaves nothing."""
    if (await arena.driver.probe()).can_snapshot:
        await sandbox.snapshot(folder)
        return True
    with pytest.raises(SandboxError):
        await sandbox.snapshot(folder)
    with pytest.raises(SandboxError):
        async with _copy(arena, folder):
            pass
    assert not folder.exists()  # noqa: ASYNC240
    return False


@asynccontextmanager
async def _copy(arena: Arena, folder: Path) -> AsyncIterator[Sandbox]:
    copy = await arena.driver.restore(folder, SandboxSpec(f"test-{secrets.token_hex(6)}"))
    try:
        yield copy
    finally:
        await copy.kill()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


async def _telling(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(_TOLD.encode())
    await writer.drain()
    writer.close()


async def _called(sandbox: Sandbox) -> str:
    """What the relay's other end says."""
    process = await sandbox.exec(Command(["python3", "-c", _CALL]))
    said = await heard(process.stdout, b"\n")
    process.close()
    return said.decode().strip()


async def _drawn(lottery: Process) -> list[str]:
    lottery.stdin.write(b"\n")
    return (await heard(lottery.stdout, b"\n")).decode().split()
