"""The command that a template's sandboxes begin with."""

import asyncio

from innkeeper.engines.sandbox.sandbox import Sandbox
from innkeeper.kernel.errors import Unavailable
from innkeeper.services.sandboxes import commands

LOG = "/tmp/start.log"  # noqa: S108 (the sandbox's own)
_LOOK_SECONDS = 0.2


async def begin(sandbox: Sandbox, start: str, ready: str, timeout_seconds: float) -> None:
    """Run it in the background until the other command succeeds. Raises Unavailable when that does not, or
    not in time."""
    background = f"({start}\n) > {LOG} 2>&1 < /dev/null &"
    said = ""
    try:
        async with asyncio.timeout(timeout_seconds):
            if start:
                await commands.finish(sandbox, commands.script(background, timeout_seconds))
            while ready:
                code, said = await commands.finish(sandbox, commands.script(ready, timeout_seconds))
                if code == 0:
                    return
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise Unavailable(
            f"The ready command did not succeed in {timeout_seconds:g} s; it said last: {said[-500:]}"
        ) from None
