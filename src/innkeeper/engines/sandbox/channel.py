"""The host's end of the control socket of a bubblewrap sandbox; `guest.py` is at the other end.

One SOCK_SEQPACKET message is one request or one reply of `calls.py`. Descriptors travel beside a request; at
most one comes with a reply.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Sequence

from innkeeper.engines.sandbox.calls import Calls, Reply
from innkeeper.engines.sandbox.guest import REPLY
from innkeeper.engines.sandbox.sandbox import SandboxGone

_FD = struct.Struct("i")


class Channel(Calls):
    def __init__(self, lost: Callable[[], None]) -> None:
        super().__init__(lost)
        self._socket, self.guest_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        self._sending = asyncio.Lock()
        self._loop.add_reader(self._socket, self._receive)

    def _disconnect(self) -> None:
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self.guest_end.close()

    async def _send(self, message: bytes, fds: Sequence[int]) -> None:
        async with self._sending:
            while True:
                try:
                    socket.send_fds(self._socket, [message], fds)
                    return
                except BlockingIOError:
                    await self._writable()
                except OSError:
                    raise SandboxGone("the sandbox has ended") from None

    async def _writable(self) -> None:
        ready = asyncio.Event()
        self._loop.add_writer(self._socket, ready.set)
        try:
            await ready.wait()
        finally:
            if self._open:
                self._loop.remove_writer(self._socket)

    def _receive(self) -> None:
        try:
            data, ancillary, flags, _ = self._socket.recvmsg(
                REPLY.size + 1, socket.CMSG_LEN(_FD.size), socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return
        except OSError:
            data, ancillary, flags = b"", [], 0
        fds = [fd for _, _, packed in ancillary for (fd,) in _FD.iter_unpack(packed)]
        # Cut descriptors without a first one only say that this process may have no more of them.
        excess = flags & socket.MSG_TRUNC or (flags & socket.MSG_CTRUNC and fds) or len(fds) > 1
        if len(data) == REPLY.size and not excess and self._dispatch(Reply(*REPLY.unpack(data), *fds)):
            return
        for fd in fds:
            os.close(fd)
        self._disbelieve()
