"""The command that a template's sandboxes begin with."""

import asyncio

from innkeeper.engines.sandbox.sandbox import Sandbox
from innkeeper.kernel.errors import Unavailable
from innkeeper.services.sandboxes import commands
from innkeeper.services.sandboxes.commands import Order

LOG = "/tmp/start.log"  # noqa: S108 (the sandbox's own)
_LOOK_SECONDS = 0.2


async def begin(sandbox: Sandbox, start: str, ready: str, timeout_seconds: float) -> None:
    """Run it in the background until the other command succeeds. Raises Unavailable when that does not, or
    not in time."""
    script = f"({start}\n) > {LOG} 2>&1 < /dev/null & disown"
    said = ""
    try:
        async with asyncio.timeout(timeout_seconds):
            if start:
                await commands.finish(sandbox, _bash(script, timeout_seconds))
            while ready:
                code, said = await commands.finish(sandbox, _bash(ready, timeout_seconds))
                if code == 0:
                    return
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise Unavailable(
            f"The ready command did not succeed in {timeout_seconds:g} s; it said last: {said[-500:]}"
        ) from None


def _bash(script: str, timeout_seconds: float) -> Order:
    return Order(("/bin/bash", "-c", script), timeout_seconds)
