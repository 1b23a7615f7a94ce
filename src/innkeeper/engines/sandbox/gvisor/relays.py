"""Ports inside a gVisor sandbox that lead to a place on the host, through a door."""

import os
from contextlib import AsyncExitStack

from innkeeper.engines.sandbox.calls import Calls
from innkeeper.engines.sandbox.gvisor.doors import Doors
from innkeeper.engines.sandbox.relay import RelayServer
from innkeeper.engines.sandbox.room import checked_port
from innkeeper.engines.sandbox.sandbox import Relay, SandboxError


def serve(relay: Relay, doors: Doors, belongings: AsyncExitStack) -> None:
    """The end on the host. Raises SandboxError."""
    try:
        door = doors.open(_door(checked_port(relay.port)))
    except OSError as error:
        raise SandboxError(f"cannot relay port {relay.port}: {error.strerror}") from None
    belongings.callback(door.close)
    server = RelayServer(door.listener, relay)
    belongings.push_async_callback(server.close)


async def listen(port: int, channel: Calls) -> None:
    """The end inside. Raises SandboxError."""
    reply = await channel.call("listen", _door(port), str(port))
    if reply.error:
        raise SandboxError(f"cannot listen on port {port} inside: {os.strerror(reply.error)}")


def _door(port: int) -> str:
    """The same in every sandbox that goes on from a snapshot: the guest agent knocks at it by name."""
    return f"relay-{port}"
