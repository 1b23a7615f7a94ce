"""Command lines of runsc(1)."""

import re
from collections.abc import Sequence
from pathlib import Path

from innkeeper.engines.sandbox.child import ChildProcess
from innkeeper.engines.sandbox.sandbox import SandboxError

_LINE_MAX = 200
_CAUSES = {
    re.compile("deleted and invalidated dentries"): "a process has a deleted file of a mount open",
    re.compile("hostinet"): "it has connections of the host",
    re.compile("restoring container.*no such file"): "a file of a mount that was open is gone",
}
_MORTAL = ("setpriv", "--pdeathsig", "KILL")


def command(state: Path, network: str, *words: str) -> list[str]:
    """`state` is where runsc notes what it runs; the flags are those for all that is done with one sandbox.
    It ends when the thread ends that started it."""
    flags = (f"--root={state}", "--platform=systrap", f"--network={network}")
    return [*_MORTAL, "runsc", *flags, "--overlay2=none", "--host-uds=open", "--ignore-cgroups", *words]


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
