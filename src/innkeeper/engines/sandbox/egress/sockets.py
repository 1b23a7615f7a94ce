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

_FREEBIND = 15  # IP_FREEBIND of ip(7): the addresses may come later
# By `_socket`, since `socket` takes Python longer to load than all the rest.
_MAKE = f"""
import _socket, sys
made = []
for place in sys.argv[2:]:
    kind, host, port = place.split(",")
    each = _socket.socket(_socket.AF_INET, int(kind))
    each.setsockopt(_socket.IPPROTO_IP, {_FREEBIND}, 1)
    each.bind((host, int(port)))
    if int(kind) == _socket.SOCK_STREAM:
        each.listen({BACKLOG})
    made.append(each)
giver = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, int(sys.argv[1]))
numbers = b"".join(each.fileno().to_bytes(4, sys.byteorder) for each in made)
giver.sendmsg([b"."], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)])
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
