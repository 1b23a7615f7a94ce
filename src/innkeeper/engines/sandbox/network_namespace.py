"""The network namespace of a sandbox, acted on from outside: nobody inside has power over it."""

import asyncio
import fcntl
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from innkeeper.engines.sandbox.child import ChildProcess
from innkeeper.engines.sandbox.sandbox import SandboxError

TIMEOUT_SECONDS = 15.0

_LOOK_SECONDS = 0.001
_NS_GET_USERNS = 0xB701  # ioctl_ns(2)


class NetworkNamespace:
    """`network` and `owner` are descriptors of it and of the user namespace that has power over it."""

    def __init__(self, network: int, owner: int) -> None:
        self.network = network
        self.owner = owner

    @classmethod
    async def of(cls, pid: int, stack: AsyncExitStack) -> "NetworkNamespace":
        """That of a process, until the stack closes it. Raises SandboxError when the process has ended."""
        await _has_users(pid)
        return cls.at(f"/proc/{pid}/ns/net", stack)

    @classmethod
    def at(cls, path: str, stack: AsyncExitStack) -> "NetworkNamespace":
        """The one that the path leads to, until the stack closes it. Raises SandboxError."""
        try:
            network = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, network)
            owner = fcntl.ioctl(network, _NS_GET_USERNS)
            stack.callback(os.close, owner)
        except OSError as error:
            raise SandboxError(f"cannot reach the network of a sandbox: {error.strerror}") from error
        return cls(network, owner)

    @property
    def entering_users(self) -> list[str]:
        """What to put before a program of the host that is to have power over it; or before more options."""
        return ["nsenter", "--preserve-credentials", "--setuid=0", f"--user=/proc/self/fd/{self.owner}"]

    async def run(self, argv: Sequence[str], text: str = "", pass_fds: Sequence[int] = ()) -> None:
        """Run a program of the host in it, with `text` to read. Raises SandboxError when it fails."""
        stdin = os.memfd_create("stdin", os.MFD_CLOEXEC)
        try:
            os.write(stdin, text.encode())
            os.lseek(stdin, 0, os.SEEK_SET)
            program = ChildProcess(
                [*self.entering_users, f"--net=/proc/self/fd/{self.network}", *argv],
                pass_fds=(self.network, self.owner, *pass_fds),
                stdin=stdin,
            )
        finally:
            os.close(stdin)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await program.wait()
            if program.status != 0:
                raise SandboxError(f"{argv[0]} failed in the network of a sandbox: {program.complaints()}")
        except TimeoutError:
            raise SandboxError(f"{argv[0]} did not end in {TIMEOUT_SECONDS:g} s") from None
        finally:
            await program.kill()


async def _has_users(pid: int) -> None:
    """bubblewrap names its process before it has mapped the users of that namespace; nobody may act on its
    network until then."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not _read(f"/proc/{pid}/uid_map"):  # noqa: ASYNC110 (the kernel tells nobody)
                await asyncio.sleep(_LOOK_SECONDS)
    except (OSError, TimeoutError):
        raise SandboxError("the sandbox ended before it had a network") from None


def _read(path: str) -> bytes:
    return Path(path).read_bytes()
