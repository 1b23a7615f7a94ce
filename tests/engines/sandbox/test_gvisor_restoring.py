"""What is restored again and again is restored ahead, all but its memory; and for nothing else than that."""

import asyncio
import json
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.engines.sandbox.contract_room import PATIENCE_SECONDS, heard, room, shell
from innkeeper.engines.sandbox.gvisor import memory
from innkeeper.engines.sandbox.gvisor.driver import GvisorDriver, missing
from innkeeper.engines.sandbox.gvisor.restoring import IMAGE, Restoring, lengths
from innkeeper.engines.sandbox.gvisor.room import GvisorRoom
from innkeeper.engines.sandbox.sandbox import Command, SandboxError, SandboxSpec
from tests.content import content
from tests.engines.sandbox.test_gvisor import descriptors, marks_of

runs = pytest.mark.skipif(bool(missing()), reason="; ".join(missing()) or "it can be used here")
RUN = secrets.token_hex(4)
PAGE = 4096


def spec(name: str) -> SandboxSpec:
    return SandboxSpec(f"{name}-{RUN}", (), {"NAME": name})


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[GvisorDriver]:
    driver = GvisorDriver(tmp_path / "state")
    driver.spares = 1
    yield driver
    await driver.close()


async def counted(driver: GvisorDriver, image: Path, begin: int) -> int:
    """A snapshot of a sandbox in which a process counts from there on; the number of that process."""
    async with room(driver) as sandbox:
        script = f"n={begin}; while read x; do n=$((n + 1)); echo $n; done"
        counting = await sandbox.exec(Command(["sh", "-c", script]))
        await sandbox.snapshot(image)
    return counting.id


async def count(sandbox: GvisorRoom, process_id: int) -> int:
    process = sandbox.process(process_id)
    process.stdin.write(b"\n")
    return int(await heard(process.stdout, b"\n"))


async def stands_by(state_dir: Path) -> int:
    """The sentry of the one spare, once it has nothing to do any more."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            for path in (state_dir / "sandboxes").glob("spare-*.json"):
                record = json.loads(content(path) or b"{}")
                if record.get("processes") and frozen(record["cgroups"]):
                    return int(record["processes"][0]["pid"])
            await asyncio.sleep(0.05)


def frozen(groups: Sequence[str]) -> bool:
    states = {"cgroup.events": b"frozen 1", "freezer.state": b"FROZEN"}
    return any(word in content(Path(group, name)) for group in groups for name, word in states.items())


@runs
@pytest.mark.parametrize("lends", [True, False], ids=["lent", "own"])
async def test_what_is_restored_again_has_all_but_its_memory_already(
    driver: GvisorDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lends: bool
) -> None:
    if not lends:
        monkeypatch.setattr(memory, "_mounted_nowhere", lambda: os.open("/nowhere", os.O_RDONLY))
    counting = await counted(driver, tmp_path / "image", 10)
    assert await count(await driver.restore(tmp_path / "image", spec("first"), again=True), counting) == 11
    for name in "second", "third":  # the third knows where the memory of the second lies
        sentry = await stands_by(tmp_path / "state")
        opened = [str(file.readlink()) for file in Path(f"/proc/{sentry}/fd").iterdir()]
        assert str(tmp_path / "image/checkpoint.img") in opened
        await asyncio.sleep(1.5)
        copy = await driver.restore(tmp_path / "image", spec(name), again=True)
        assert marks_of(tmp_path / "state", copy.id)[0].pid == sentry
        assert await count(copy, counting) == 11
        assert (await shell(copy, "echo $NAME; sleep 0.1; date +%s")).text.split()[0] == name
        assert abs(int((await shell(copy, "date +%s")).text) - time.time()) < 60
        await copy.kill()


@runs
async def test_none_goes_on_from_another_snapshot_than_its_own(driver: GvisorDriver, tmp_path: Path) -> None:
    counting = await counted(driver, tmp_path / "image", 10)
    other = await counted(driver, tmp_path / "other", 20)
    await driver.restore(tmp_path / "image", spec("first"), again=True)
    sentry = await stands_by(tmp_path / "state")
    copy = await driver.restore(tmp_path / "other", spec("second"), again=True)
    assert await count(copy, other) == 21
    (tmp_path / "image").rename(tmp_path / "before")
    (tmp_path / "other").rename(tmp_path / "image")
    replaced = await driver.restore(tmp_path / "image", spec("third"), again=True)
    assert await count(replaced, other) == 21
    moved = await driver.restore(tmp_path / "before", spec("fourth"), again=True)
    assert await count(moved, counting) == 11
    assert marks_of(tmp_path / "state", moved.id)[0].pid == sentry


@runs
async def test_one_that_died_waiting_is_done_without(driver: GvisorDriver, tmp_path: Path) -> None:
    counting = await counted(driver, tmp_path / "image", 10)
    await driver.restore(tmp_path / "image", spec("first"), again=True)
    os.kill(await stands_by(tmp_path / "state"), signal.SIGKILL)
    assert await count(await driver.restore(tmp_path / "image", spec("second"), again=True), counting) == 11


@runs
async def test_one_that_cannot_be_begun_is_not_kept(driver: GvisorDriver, tmp_path: Path) -> None:
    """Whoever restores it is told why."""
    await counted(driver, tmp_path / "image", 10)
    first = await driver.restore(tmp_path / "image", spec("first"), again=True)
    state = tmp_path / "image/checkpoint.img"
    kept = state.stat()
    state.write_bytes(b"\0" * kept.st_size)
    os.utime(state, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    await asyncio.sleep(2)
    assert not [*(tmp_path / "state/sandboxes").glob("spare-*")]
    with pytest.raises(SandboxError, match="damaged"):
        await driver.restore(tmp_path / "image", spec("second"), again=True)
    await first.kill()


def number(value: int) -> bytes:
    low, high = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + number(high) if high else bytes([low])


@given(
    head=st.binary(max_size=50),
    parts=st.lists(st.integers(1, 1 << 20), min_size=1, max_size=20),
    tail=st.sampled_from([b"", number(1 << 63 | 1) + b"\2owners"]),
)
def test_a_table_is_told_up_to_the_lengths_of_the_parts(head: bytes, parts: list[int], tail: bytes) -> None:
    told = b"".join(number(part * PAGE) for part in parts)
    head += b"\0"  # as what comes before ends with a number, too
    assert lengths(head + told + tail, sum(parts) * PAGE) == len(head)


@given(table=st.binary(max_size=200), pages=st.integers(1, 1 << 30))
def test_of_another_table_nothing_is_told(table: bytes, pages: int) -> None:
    cut = lengths(table, pages * PAGE)
    assert 0 <= cut < max(len(table), 1)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    table = b"what they are of" + number(3 * PAGE) + number(PAGE) + number(1 << 63 | 1) + b"owners"
    for name, told in zip(IMAGE, (b"state", table, bytes(4 * PAGE)), strict=True):
        (tmp_path / name).write_bytes(told)
    return tmp_path


async def test_a_sentry_gets_the_rest_of_the_table_at_the_end(image: Path) -> None:
    before = descriptors()
    got = bytearray()

    async def sentry(files: Sequence[int]) -> None:
        assert os.read(files[0], 10) == b"state"
        table = os.dup(files[1])
        os.set_blocking(table, False)
        while not got.endswith(b"owners"):
            with suppress(BlockingIOError):
                got.extend(os.read(table, 100))
            await asyncio.sleep(0.01)
        os.close(table)

    restoring = await Restoring.begin(image, sentry)
    await asyncio.sleep(0.1)
    restoring.check()
    assert got == b"what they are of"
    await restoring.finish()
    assert got == (image / IMAGE[1]).read_bytes()
    await restoring.abandon()
    assert descriptors() == before


async def test_a_restore_that_failed_ahead_says_so(image: Path) -> None:
    before = descriptors()

    async def sentry(files: Sequence[int]) -> None:
        raise SandboxError("it has ended")

    restoring = await Restoring.begin(image, sentry)
    await asyncio.sleep(0)
    with pytest.raises(SandboxError, match="it has ended"):
        restoring.check()
    await restoring.abandon()
    assert descriptors() == before


async def test_a_restore_that_nobody_waits_for_any_more_is_given_up(image: Path) -> None:
    before = descriptors()
    restoring = await Restoring.begin(image, lambda _: asyncio.sleep(1000))
    await restoring.abandon()
    assert descriptors() == before


async def test_what_cannot_be_opened_leaves_nothing_open(image: Path) -> None:
    (image / IMAGE[0]).unlink()
    before = descriptors()
    with pytest.raises(FileNotFoundError):
        await Restoring.begin(image, lambda _: asyncio.sleep(1000))
    assert descriptors() == before
