"""The wire to a gVisor sandbox: frames arrive whole, nobody sends more than is wanted, and lies end it."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.engines.sandbox.guest import REPLY
from innkeeper.engines.sandbox.gvisor.guest_wire import (
    CALL,
    CHUNK_BYTES,
    CREDIT,
    DATA,
    DROP,
    END,
    WINDOW_BYTES,
    Frame,
    Frames,
    packed,
)
from innkeeper.engines.sandbox.gvisor.streams import StandardStreams
from innkeeper.engines.sandbox.gvisor.wire import Wire
from innkeeper.engines.sandbox.sandbox import SandboxError


class Guest:
    """The other end of a wire."""

    def __init__(self, wire: Wire) -> None:
        self._heard, self._said = (os.dup(end) for end in wire.guest_ends)
        self._frames = Frames(1 << 20)
        wire.let_go()

    def say(self, frame: bytes) -> None:
        os.write(self._said, frame)

    async def hear(self) -> Frame:
        while (frame := self._frames.take()) is None:
            self._frames.feed(await asyncio.to_thread(os.read, self._heard, 65_536))
        return frame

    def leave(self) -> None:
        os.close(self._heard)
        os.close(self._said)


@asynccontextmanager
async def wired() -> AsyncIterator[tuple[Wire, Guest, asyncio.Event]]:
    """A wire, its guest, and whether that is lost."""
    lost = asyncio.Event()
    wire = Wire(lost.set)
    guest = Guest(wire)
    try:
        yield wire, guest, lost
    finally:
        wire.close()
        guest.leave()


@given(
    st.lists(st.tuples(st.sampled_from([CALL, DATA]), st.integers(0, 9), st.binary(max_size=99))), st.data()
)
def test_frames_are_whole_however_they_are_cut(
    sent: list[tuple[int, int, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(packed(*frame) for frame in sent)
    frames, found = Frames(99), []
    while stream:
        piece = data.draw(st.integers(1, len(stream)))
        frames.feed(stream[:piece])
        stream = stream[piece:]
        while frame := frames.take():
            found.append((frame[0], frame[1], frame[3]))
    assert found == sent


async def test_a_process_is_sent_no_more_than_it_takes() -> None:
    async with wired() as (wire, guest, _):
        streams = StandardStreams(wire, wire.number(), False, WINDOW_BYTES)
        streams.stdin.write(b"x" * (WINDOW_BYTES + 10))
        streams.stdin.write_eof()
        received = 0
        while received < WINDOW_BYTES:
            kind, number, amount, _ = await guest.hear()
            assert (kind, number) == (DATA, streams.number)
            received += amount
        assert received == WINDOW_BYTES
        guest.say(packed(CREDIT, streams.number, amount=100))
        assert (await guest.hear())[3] == b"x" * 10
        assert (await guest.hear())[:2] == (END, streams.number)


async def test_what_nobody_reads_gets_no_more_credit() -> None:
    async with wired() as (wire, guest, lost):
        streams = StandardStreams(wire, wire.number(), False, WINDOW_BYTES)
        out = streams.number + 1
        sent = 0
        while sent < WINDOW_BYTES:
            guest.say(packed(DATA, out, b"x" * CHUNK_BYTES))
            sent += CHUNK_BYTES
        guest.say(packed(END, out))
        assert len(await asyncio.wait_for(streams.stdout.read(), 30)) == WINDOW_BYTES
        assert not lost.is_set()


@pytest.mark.parametrize(
    "lie",
    [
        packed(9, 1),
        packed(CALL, 0, b"short"),
        packed(CALL, 0, REPLY.pack(77, 0, 0)),
        packed(DATA, 2, b"x" * CHUNK_BYTES) * (2 * WINDOW_BYTES // CHUNK_BYTES),
        packed(CREDIT, 2, amount=1),
        packed(DATA, 1, b"x"),
    ],
)
async def test_a_guest_that_lies_is_not_believed(lie: bytes) -> None:
    """The last ones: more than there was credit for, and frames that only the other side sends."""
    async with wired() as (wire, guest, lost):
        streams = StandardStreams(wire, 1, False, WINDOW_BYTES)
        for start in range(0, len(lie), CHUNK_BYTES):
            guest.say(lie[start : start + CHUNK_BYTES])
        await asyncio.wait_for(lost.wait(), 30)
        assert await streams.stderr.read() == b""


async def test_what_comes_for_a_stream_that_was_left_is_not_wanted() -> None:
    async with wired() as (_, guest, lost):
        guest.say(packed(DATA, 40, b"x"))
        assert (await guest.hear())[:2] == (DROP, 40)
        assert not lost.is_set()


async def test_while_the_guest_stands_still_nothing_is_sent() -> None:
    async with wired() as (wire, guest, _):
        standing = asyncio.create_task(wire.quiesce())
        _, _, _, said = await guest.hear()
        operation, number = said.split(b"\0")
        assert operation == b"quiesce"
        guest.say(packed(CALL, 0, REPLY.pack(int(number), 0, 0)))
        await standing
        asking = asyncio.create_task(wire.call("count"))
        await asyncio.sleep(0)
        going = asyncio.create_task(wire.go_on("continue"))
        order = []
        for _ in range(2):
            _, _, _, said = await guest.hear()
            operation, number = said.split(b"\0")
            order.append(operation)
            guest.say(packed(CALL, 0, REPLY.pack(int(number), 0, 5)))
        assert order == [b"continue", b"count"]
        await going
        assert (await asking).value == 5


async def test_a_guest_that_cannot_stand_still_goes_on() -> None:
    async with wired() as (wire, guest, _):
        standing = asyncio.create_task(wire.quiesce())
        for error in (16, 0):
            _, _, _, said = await guest.hear()
            guest.say(packed(CALL, 0, REPLY.pack(int(said.split(b"\0")[1]), error, 0)))
        with pytest.raises(SandboxError, match="cannot stand still"):
            await standing
