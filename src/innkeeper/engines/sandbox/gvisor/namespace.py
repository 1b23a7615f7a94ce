"""The network namespace of a gVisor sandbox that may reach the internet.

Its connections are the host kernel's, made in this namespace, whose routes refuse what no agent may reach
(`engines/sandbox/network.py`). gVisor's own network stack would send packets past these routes. A process
that only sleeps holds the namespace, because it must be whole before runsc(1) enters it.
"""

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from innkeeper.engines.sandbox.child import ChildProcess
from innkeeper.engines.sandbox.sandbox import SandboxError

HOLD_TIMEOUT_SECONDS = 10.0

_LOOK_SECONDS = 0.001
_HOLD = (
    *("unshare", "--user", "--map-root-user", "--net", "--"),
    *("setpriv", "--pdeathsig", "KILL", "sleep", "infinity"),
)


async def hold(entering: Sequence[str], stack: AsyncExitStack) -> ChildProcess:
    """The process that holds it; `stack` ends it. `entering` goes before its command. Raises SandboxError."""
    holder = ChildProcess([*entering, *_HOLD])
    stack.push_async_callback(holder.kill)
    try:
        async with asyncio.timeout(HOLD_TIMEOUT_SECONDS):
            while _network(holder.pid) == _network(os.getpid()):  # noqa: ASYNC110 (the kernel tells nobody)
                await asyncio.sleep(_LOOK_SECONDS)
    except (OSError, TimeoutError):
        raise SandboxError(f"cannot make a network namespace: {holder.complaints()}") from None
    holder.settled()
    return holder


def path(holder: ChildProcess) -> str:
    return f"/proc/{holder.pid}/ns/net"


def _network(pid: int) -> Path:
    return Path(f"/proc/{pid}/ns/net").readlink()
