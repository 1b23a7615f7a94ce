"""The standard streams of processes in a gVisor sandbox, between their pipes or terminals and the wire."""

from __future__ import annotations

import os
import select

from innkeeper.engines.sandbox.gvisor.guest_wire import (
    CHUNK_BYTES,
    CREDIT,
    DATA,
    DROP,
    END,
    WINDOW_BYTES,
    Wire,
)


class Stream:
    """`number` is its name on the wire. Owns `fd`, which does not block, and closes it with itself."""

    events = 0

    def __init__(self, number: int, fd: int, streams: Streams) -> None:
        os.set_blocking(fd, False)
        self.number = number
        self.fd = fd
        self._streams = streams
        self.watched = False

    def watch(self, wanted: bool) -> None:
        """What is not wanted is not polled for at all: a pipe that was hung up would be ready for ever."""
        if wanted and not self.watched:
            self._streams.poll.register(self.fd, self.events)
        elif self.watched and not wanted:
            self._streams.poll.unregister(self.fd)
        self.watched = wanted

    def carry(self) -> None:
        raise NotImplementedError

    def begin_anew(self) -> None:
        """The host is another one now."""
        raise NotImplementedError

    def close(self) -> None:
        self.watch(False)
        self._streams.forget(self)
        os.close(self.fd)


class Inlet(Stream):
    """From the host to a process."""

    events = select.POLLOUT

    def __init__(self, number: int, fd: int, streams: Streams) -> None:
        super().__init__(number, fd, streams)
        self._waiting = bytearray()
        self._taken = 0
        self._ended = False

    def receive(self, data: bytes) -> None:
        self._waiting += data
        self.carry()

    def end(self) -> None:
        self._ended = True
        if not self._waiting:
            self.close()

    def carry(self) -> None:
        try:
            written = os.write(self.fd, self._waiting)
        except BlockingIOError:
            written = 0
        except OSError:
            self._streams.wire.send(DROP, self.number)
            self.close()
            return
        del self._waiting[:written]
        self._taken += written
        if self._taken >= WINDOW_BYTES // 4:
            self._streams.wire.send(CREDIT, self.number, amount=self._taken)
            self._taken = 0
        self.watch(bool(self._waiting))
        if self._ended and not self._waiting:
            self.close()

    def begin_anew(self) -> None:
        """With a host that has not sent anything yet."""
        self._taken = 0
        self._streams.wire.send(CREDIT, self.number, amount=WINDOW_BYTES - len(self._waiting))


class Outlet(Stream):
    """From a process to the host."""

    events = select.POLLIN

    def __init__(self, number: int, fd: int, streams: Streams) -> None:
        super().__init__(number, fd, streams)
        self._credit = WINDOW_BYTES
        self._ended = False
        self.watch(True)

    def grant(self, amount: int) -> None:
        self._credit += amount
        self._go_on()

    def end(self) -> None:
        """No more comes than is there: a terminal whose program has ended does not tell."""
        self._ended = True
        self._go_on()

    def carry(self) -> None:
        try:
            data = os.read(self.fd, min(CHUNK_BYTES, self._credit))
        except BlockingIOError:
            if self._ended:
                self._finish()
            return
        except OSError:
            data = b""
        if not data:
            self._finish()
            return
        self._credit -= len(data)
        self._streams.wire.send(DATA, self.number, data)
        self.watch(self._credit > 0)

    def begin_anew(self) -> None:
        """With a host that wants nothing yet."""
        self._credit = 0
        self.watch(False)

    def _go_on(self) -> None:
        self.watch(self._credit > 0)
        while self._ended and self._credit > 0 and self._streams.has(self):
            self.carry()

    def _finish(self) -> None:
        self._streams.wire.send(END, self.number)
        self.close()


class Streams:
    """All of them. `poll` tells when one is ready to `carry`."""

    def __init__(self, wire: Wire, poll: select.poll) -> None:
        self.wire = wire
        self.poll = poll
        self._inlets: dict[int, Inlet] = {}
        self._outlets: dict[int, Outlet] = {}
        self._by_fd: dict[int, Stream] = {}

    def let_in(self, number: int, fd: int) -> None:
        inlet = Inlet(number, fd, self)
        self._inlets[number] = self._by_fd[fd] = inlet

    def let_out(self, number: int, fd: int) -> None:
        outlet = Outlet(number, fd, self)
        self._outlets[number] = self._by_fd[fd] = outlet

    def carry(self, fd: int) -> None:
        stream = self._by_fd.get(fd)
        if stream and stream.watched:  # something else that was ready too may have changed that
            stream.carry()

    def receive(self, kind: int, number: int, amount: int, data: bytes) -> None:
        """A frame from the host; one for a stream that has ended meanwhile is late."""
        inlet, outlet = self._inlets.get(number), self._outlets.get(number)
        if inlet and kind == DATA:
            inlet.receive(data)
        elif inlet and kind == END:
            inlet.end()
        elif outlet and kind == CREDIT:
            outlet.grant(amount)
        elif outlet and kind == DROP:
            outlet.close()

    def end(self, number: int) -> None:
        """The program has ended to whose terminal this belongs."""
        if number in self._outlets:
            self._outlets[number].end()

    def close(self, number: int) -> None:
        for stream in (self._inlets.get(number), self._outlets.get(number)):
            if stream:
                stream.close()

    def has(self, stream: Stream) -> bool:
        return self._by_fd.get(stream.fd) is stream

    def forget(self, stream: Stream) -> None:
        del self._by_fd[stream.fd]
        self._inlets.pop(stream.number, None)
        self._outlets.pop(stream.number, None)

    def begin_anew(self) -> None:
        """The host is another one now."""
        for stream in (*self._inlets.values(), *self._outlets.values()):
            stream.begin_anew()
