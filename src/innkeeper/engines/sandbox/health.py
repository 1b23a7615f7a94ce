"""Whether the guest agent of a sandbox still answers: one that hangs is as good as gone."""

import asyncio

from innkeeper.engines.sandbox.calls import Calls
from innkeeper.engines.sandbox.sandbox import SandboxError, SandboxPaused

CHECK_SECONDS = 30.0
MISSES = 3
"""Checks in a row that it may leave unanswered: a machine that is busy with something else is slow, too."""


async def unhealthy(calls: Calls) -> None:
    """Return once the guest does not answer any more. One that was never heard is still to come; a paused one
    cannot answer, and is well."""
    misses = 0
    while misses < MISSES:
        await asyncio.sleep(CHECK_SECONDS)
        heard = calls.heard_at
        if heard is None or await _answers(calls) or calls.heard_at != heard:
            misses = 0
        else:
            misses += 1


async def _answers(calls: Calls) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await calls.call("signal", "0", "0")  # to no process: it only asks for a reply
    except SandboxPaused:
        return True
    except (SandboxError, TimeoutError):
        return calls.paused  # meanwhile
    return True
