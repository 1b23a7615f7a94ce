"""The control channel: what is asked arrives as asked, and a guest that lies is not believed."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.engines.sandbox.calls import encode
from innkeeper.engines.sandbox.channel import Channel
from innkeeper.engines.sandbox.guest import EVENT, REPLY, REQUEST_MAX_BYTES, VERSION
from innkeeper.engines.sandbox.sandbox import SandboxError, SandboxGone

FIELDS = st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=50))


@asynccontextmanager
async def channel() -> AsyncIterator[tuple[Channel, socket.socket, asyncio.Event]]:
    """A channel, the guest's end of it, and whether the guest is lost."""
    lost = asyncio.Event()
    ours = Channel(lost.set)
    with ours.guest_end.dup() as guest:
        ours.guest_end.close()
        try:
            yield ours, guest, lost
        finally:
            ours.close()


@given(FIELDS, st.integers(0, 2**31 - 1))
def test_a_request_is_read_as_it_was_written(fields: list[str], number: int) -> None:
    operation, request, *read = encode("exec", number, fields).split(b"\0")
    assert (operation, int(request), [os.fsdecode(field) for field in read]) == (b"exec", number, fields)


def test_what_the_guest_could_not_read_is_not_sent() -> None:
    with pytest.raises(SandboxError, match="NUL"):
        encode("exec", 1, ["a\0b"])
    with pytest.raises(SandboxError, match=str(REQUEST_MAX_BYTES)):
        encode("exec", 1, ["x" * REQUEST_MAX_BYTES])


async def test_a_guest_of_another_version_is_refused() -> None:
    async with channel() as (ours, guest, _):
        guest.send(REPLY.pack(0, 0, VERSION + 1))
        with pytest.raises(SandboxError, match="version"):
            await ours.greeted()


async def test_replies_may_come_in_any_order() -> None:
    async with channel() as (ours, guest, _):
        calls = [asyncio.create_task(ours.call("dial", str(port))) for port in (1, 2, 3)]
        await asyncio.sleep(0)
        for number in (3, 1, 2):
            guest.send(REPLY.pack(number, 0, number * 10))
        assert [(await call).value for call in calls] == [10, 20, 30]


async def test_an_exit_that_follows_at_once_is_not_missed() -> None:
    async with channel() as (ours, guest, _):
        call = asyncio.create_task(ours.call("exec"))
        await asyncio.sleep(0)
        guest.send(REPLY.pack(1, 0, 77))
        guest.send(REPLY.pack(EVENT, 77, -9))
        reply = await call
        assert reply.exit is not None
        assert await reply.exit == -9


async def test_a_passed_descriptor_is_ours_and_private() -> None:
    async with channel() as (ours, guest, _):
        call = asyncio.create_task(ours.call("dial", "80"))
        await asyncio.sleep(0)
        with socket.socket() as passed:
            socket.send_fds(guest, [REPLY.pack(1, 0, 0)], [passed.fileno()])
        fd = (await call).take()
        assert not os.get_inheritable(fd)
        os.close(fd)


async def test_a_missing_descriptor_is_an_error() -> None:
    async with channel() as (ours, guest, _):
        call = asyncio.create_task(ours.call("dial", "80"))
        await asyncio.sleep(0)
        guest.send(REPLY.pack(1, 0, 0))
        with pytest.raises(SandboxError, match="no descriptor"):
            (await call).take()


@given(
    st.binary(max_size=100).filter(lambda data: len(data) != REPLY.size)
    | st.builds(REPLY.pack, st.sampled_from([EVENT, -2, 2, 1000]), st.integers(0, 99), st.integers(0, 99))
)
def test_one_lie_ends_the_guest(lie: bytes) -> None:
    async def scenario() -> None:
        async with channel() as (ours, guest, lost):
            call = asyncio.create_task(ours.call("dial", "80"))
            await asyncio.sleep(0)
            guest.send(lie)
            with pytest.raises(SandboxGone):
                await call
            assert lost.is_set()
            with pytest.raises(SandboxGone):
                await ours.call("dial", "80")

    asyncio.run(scenario())


async def test_smuggled_descriptors_are_not_kept() -> None:
    async with channel() as (_, guest, lost):
        before = os.listdir("/proc/self/fd")  # noqa: PTH208
        with socket.socket() as passed:
            socket.send_fds(guest, [REPLY.pack(99, 0, 0)], [passed.fileno()] * 5)
            await asyncio.wait_for(lost.wait(), 10)
        assert len(os.listdir("/proc/self/fd")) <= len(before)  # noqa: PTH208


async def test_the_end_of_the_guest_fails_what_waits_for_it() -> None:
    async with channel() as (ours, guest, lost):
        started = asyncio.create_task(ours.call("exec"))
        await asyncio.sleep(0)
        guest.send(REPLY.pack(1, 0, 77))
        running = (await started).exit
        assert running is not None
        waiting = asyncio.create_task(ours.call("dial", "80"))
        await asyncio.sleep(0)
        guest.close()
        with pytest.raises(SandboxGone):
            await waiting
        assert await running is None
        assert lost.is_set()


async def test_a_process_that_starts_for_nobody_is_killed() -> None:
    async with channel() as (ours, guest, lost):
        call = asyncio.create_task(ours.call("exec"))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait({call})
        guest.recv(100)
        guest.send(REPLY.pack(1, 0, 77))
        guest.setblocking(False)
        said = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(guest, 100), 10)
        assert said == b"signal\x002\x0077\x009"
        guest.send(REPLY.pack(2, 0, 0))
        guest.send(REPLY.pack(EVENT, 77, -9))
        await asyncio.sleep(0.01)
        assert not lost.is_set()


async def test_a_guest_that_does_not_read_holds_up_nobody_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("innkeeper.engines.sandbox.calls.CALL_TIMEOUT_SECONDS", 0.2)
    async with channel() as (ours, _, _):
        calls = (ours.call("open", "x" * 100_000) for _ in range(10))
        failures = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(failure, SandboxError) for failure in failures)
