"""Sockets in the network of a sandbox, made there by a short-lived process and served by us.

A process, and no thread: none of a server that is not root may enter another's namespaces alone.
"""

import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack

from innkeeper.engines.sandbox.network_namespace import NetworkNamespace
from innkeeper.engines.sandbox.rootfs import interpreter
from innkeeper.engines.sandbox.sandbox import SandboxError

BACKLOG = 128

_MAKE = f"""
import socket, sys
made = []
for place in sys.argv[2:]:
    kind, host, port = place.split(",")
    each = socket.socket(socket.AF_INET, int(kind))
    each.bind((host, int(port)))
    if each.type == socket.SOCK_STREAM:
        each.listen({BACKLOG})
    made.append(each)
with socket.socket(fileno=int(sys.argv[1])) as giver:
    socket.send_fds(giver, [b"."], [each.fileno() for each in made])
"""

Place = tuple[socket.SocketKind, str, int]


async def make(
    namespace: NetworkNamespace, places: Sequence[Place], stack: AsyncExitStack
) -> list[socket.socket]:
    """Bound, listening where they can, and not blocking; the stack closes them. Raises SandboxError."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        words = [f"{int(kind)},{host},{port}" for kind, host, port in places]
        python = (str(interpreter()), "-I", "-S", "-E", "-c", _MAKE, str(theirs.fileno()), *words)
        await namespace.run(python, pass_fds=(theirs.fileno(),))
        ours.setblocking(False)
        _, descriptors, _, _ = socket.recv_fds(ours, 1, len(places), socket.MSG_CMSG_CLOEXEC)
    made = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    for each in made:
        stack.callback(each.close)
        each.setblocking(False)
    if len(made) != len(places):
        raise SandboxError("the name server of a sandbox could not be given its sockets")
    return made
