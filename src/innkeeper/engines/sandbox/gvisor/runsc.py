"""Command lines of runsc(1)."""

from collections.abc import Sequence
from pathlib import Path

from innkeeper.engines.sandbox.child import ChildProcess
from innkeeper.engines.sandbox.sandbox import SandboxError

_MORTAL = ("setpriv", "--pdeathsig", "KILL")


def command(state: Path, network: str, *words: str) -> list[str]:
    """`state` is where runsc notes what it runs; the flags are those for all that is done with one sandbox.
    It ends when the thread ends that started it."""
    flags = (f"--root={state}", "--platform=systrap", f"--network={network}")
    return [*_MORTAL, "runsc", *flags, "--overlay2=none", "--host-uds=open", "--ignore-cgroups", *words]


async def build() -> str:
    """Which one this machine has. Raises SandboxError."""
    return (await printed(["runsc", "--version"])).partition("\n")[0]


async def printed(argv: Sequence[str]) -> str:
    """What a command says. Raises SandboxError with that when it fails. It ends when its caller leaves."""
    child = ChildProcess(argv)
    try:
        await child.wait()
        said = child.complaints()
    finally:
        await child.kill()
    if child.status != 0:
        raise SandboxError(said or f"{argv[0]} failed with status {child.status}")
    return said
