"""Blocking work in a thread."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


async def in_thread(
    function: Callable[_Given, _Result], *arguments: _Given.args, **options: _Given.kwargs
) -> _Result:
    """Like `asyncio.to_thread`, but a cancellation waits for the thread: no cleaning up while it writes."""
    task = asyncio.ensure_future(asyncio.to_thread(function, *arguments, **options))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
