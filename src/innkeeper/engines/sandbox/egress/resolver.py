"""Names looked up for sandboxes by the host's resolver; what no sandbox may reach is left out."""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address

from innkeeper.engines.sandbox import network

TIMEOUT_SECONDS = 10.0
THREADS = 16

# Of its own: names that take long to look up must not keep the server's other work waiting.
_threads = ThreadPoolExecutor(THREADS, "egress-resolver")


class NoSuchName(Exception):
    """There is none, or none that may be reached."""


async def addresses_of(name: str) -> Sequence[IPv4Address]:
    """At least one. Raises NoSuchName; OSError or TimeoutError when it cannot be said now."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        found = await loop.run_in_executor(_threads, _look_up, name)
    if not found:
        raise NoSuchName(name)
    return found


def _look_up(name: str) -> list[IPv4Address]:
    try:
        rows = socket.getaddrinfo(f"{name}.", None, socket.AF_INET, socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            return []
        raise
    found = dict.fromkeys(IPv4Address(row[4][0]) for row in rows)
    refused = network.refused()
    return [address for address in found if not any(address in each for each in refused)]
