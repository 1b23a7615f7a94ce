"""Command lines of runsc(1)."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from innkeeper.engines.sandbox.child import ChildProcess
from innkeeper.engines.sandbox.gvisor.restoring import TIMEOUT_SECONDS, Restoring
from innkeeper.engines.sandbox.sandbox import SandboxError

_LINE_MAX = 200
_CAUSES = {
    re.compile("deleted and invalidated dentries"): "a process has a deleted file of a mount open",
    re.compile("restoring container.*no such file"): "a file of a mount that was open is gone",
}
# Until August 2024 runsc took a network namespace that has these settings for the host's own, and refused it;
# today's kernels keep them for each.
_UNSEEN = (
    *("unshare", "--mount", "--", "/bin/sh", "-c"),
    *('mount -t tmpfs -o ro none /proc/sys/net && exec "$@"', "runsc"),
)
_JOINING = ("run", "restore")
"""What takes over the interfaces of a namespace."""
# Connections with the outside are no obstacle to a snapshot: they end in what goes on from that.
_FLAGS = (
    *("--platform=systrap", "--overlay2=none", "--host-uds=open", "--ignore-cgroups"),
    "--net-disconnect-ok",
)
_MORTAL = ("setpriv", "--pdeathsig", "KILL")


def command(state: Path, network: str, *words: str) -> list[str]:
    """`state` is where runsc notes what it runs, `network` is `none` or `sandbox`: flags for all that is done
    with one sandbox. It ends when the thread ends that started it."""
    before = _UNSEEN if network == "sandbox" and words[0] in _JOINING else ()
    return [*_MORTAL, *before, "runsc", f"--root={state}", f"--network={network}", *_FLAGS, *words]


class Sentry(Protocol):
    """What is asked of the kernel of one sandbox. All raise SandboxError."""

    async def checkpoint(self, image: Path) -> None:
        """Write all that it holds into this folder, and go on as before, paused or not."""
        ...

    async def restore(self, image: Path) -> None:
        """Go on from an image, as one that was created and not started. Return once it does."""
        ...

    async def begin(self, image: Path) -> Restoring | None:
        """Do of `restore` what takes no memory; None where it can only be done as a whole."""
        ...

    async def pause(self) -> None:
        """Have all processes stand still."""
        ...

    async def resume(self) -> None: ...


class CommandLine:
    """A `Sentry` asked by runsc(1), as any build can."""

    def __init__(self, state: Path, network: str, container: str, bundle: Path) -> None:
        self._state = state
        self._network = network
        self._container = container
        self._bundle = bundle

    async def checkpoint(self, image: Path) -> None:
        await self._told("checkpoint", "--leave-running", "--compression=none", f"--image-path={image}")

    async def restore(self, image: Path) -> None:
        await self._told("restore", "--detach", f"--image-path={image}", f"--bundle={self._bundle}")

    async def begin(self, image: Path) -> Restoring | None:
        return None

    async def pause(self) -> None:
        await self._told("pause")

    async def resume(self) -> None:
        await self._told("resume")

    async def _told(self, *words: str) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await printed(command(self._state, self._network, *words, self._container))
        except TimeoutError:
            raise SandboxError(f"runsc was not done in {TIMEOUT_SECONDS:g} s") from None


async def build() -> str:
    """Which one this machine has. Raises SandboxError."""
    return (await printed(["runsc", "--version"])).partition("\n")[0]


def explained(said: str) -> str:
    """What is wrong, of what runsc says: that may be pages long."""
    for words, cause in _CAUSES.items():
        if words.search(said):
            return cause
    return said.partition("\n")[0][:_LINE_MAX] or "runsc said nothing"


async def printed(argv: Sequence[str]) -> str:
    """What a command says. Raises SandboxError when it fails. It ends when its caller leaves."""
    child = ChildProcess(argv)
    try:
        await child.wait()
        said = child.complaints()
    finally:
        await child.kill()
    if child.status != 0:
        raise SandboxError(explained(said))
    return said
