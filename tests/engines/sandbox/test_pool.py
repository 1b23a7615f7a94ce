"""Ready sandboxes: made after the first claim, paused, handed out once, dropped when they die."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from innkeeper.engines.sandbox import pool as pools
from innkeeper.engines.sandbox.bubblewrap import BubblewrapDriver
from innkeeper.engines.sandbox.contract_room import PATIENCE_SECONDS, shell
from innkeeper.engines.sandbox.pool import Bounds, Memory, Pool
from innkeeper.engines.sandbox.sandbox import Sandbox, SandboxError, SandboxPaused, SandboxSpec


class Furnished:
    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    async def close(self) -> None:
        await self.sandbox.kill()


class Maker:
    """Makes what the pool asks for, and remembers it."""

    def __init__(self, driver: BubblewrapDriver) -> None:
        self.driver = driver
        self.made: list[Furnished] = []
        self.fails = False

    async def __call__(self, kind: str) -> Furnished:
        if self.fails:
            raise SandboxError("there is no room")
        self.made.append(Furnished(await self.driver.create(SandboxSpec(f"{kind}-{secrets.token_hex(6)}"))))
        return self.made[-1]


@pytest.fixture
async def maker(tmp_path: Path) -> AsyncIterator[Maker]:
    """At the end, the pool has left no sandbox."""
    driver = BubblewrapDriver(tmp_path)
    yield Maker(driver)
    left = list((tmp_path / "sandboxes").glob("*"))
    await driver.close()
    assert left == []


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "_CALM_SECONDS", 0.0)


def ready(pool: Pool[str, Furnished]) -> dict[str, int]:
    return {kind: shelf.ready for kind, shelf in pool.shelves().items()}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 (there is nobody who would tell)
            await asyncio.sleep(0.01)


async def test_one_is_kept_standing_still_and_handed_out_once(maker: Maker) -> None:
    pool: Pool[str, Furnished] = Pool(maker, Bounds(most=4, memory_share=0.05))
    assert await pool.claim("plain") is None
    await until(lambda: ready(pool) == {"plain": 1})
    with pytest.raises(SandboxPaused):
        await shell(maker.made[0].sandbox, "true")
    claimed = await pool.claim("plain")
    assert claimed is maker.made[0]
    assert (await shell(claimed.sandbox, "echo awake")).text == "awake"
    # Two were claimed lately: so many are kept now.
    await until(lambda: ready(pool) == {"plain": 2})
    assert await pool.claim("plain") is maker.made[1]
    assert (pool.shelves()["plain"].hits, pool.shelves()["plain"].misses) == (2, 1)
    await pool.close()
    for one in maker.made[:2]:
        await one.close()


async def test_of_all_kinds_no_more_than_allowed_are_kept(maker: Maker) -> None:
    pool: Pool[str, Furnished] = Pool(maker, Bounds(most=2, memory_share=0.05))
    pool.want("one")
    pool.want("two")
    await until(lambda: len(maker.made) == 2)
    assert await pool.claim("three") is None
    await until(lambda: ready(pool) == {"one": 0, "two": 1, "three": 1})  # those asked for last
    await pool.close()
    nothing: Pool[str, Furnished] = Pool(maker, Bounds(most=0, memory_share=0.05))
    assert await nothing.claim("one") is None
    await nothing.close()
    assert len(maker.made) == 3


async def test_one_that_died_is_never_handed_out(maker: Maker) -> None:
    pool: Pool[str, Furnished] = Pool(maker, Bounds(most=1, memory_share=0.05))
    pool.want("plain")
    await until(lambda: ready(pool) == {"plain": 1})
    await maker.made[0].sandbox.kill()
    await until(lambda: len(maker.made) == 2 and ready(pool) == {"plain": 1})
    claimed = await pool.claim("plain")
    assert claimed is maker.made[1]
    await claimed.close()
    await pool.close()


async def test_all_are_let_go_when_memory_is_short(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    pool: Pool[str, Furnished] = Pool(maker, Bounds(most=1, memory_share=0.05))
    pool.want("plain")
    await until(lambda: ready(pool) == {"plain": 1})
    monkeypatch.setattr(Memory, "read", lambda: Memory(total=8192.0, available=400.0))
    pool.want("plain")
    await until(lambda: ready(pool) == {"plain": 0})
    await maker.made[0].sandbox.closed()
    await pool.close()
    assert len(maker.made) == 1


async def test_a_pool_that_cannot_be_filled_hinders_nobody(
    maker: Maker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    maker.fails = True
    pool: Pool[str, Furnished] = Pool(maker, Bounds(most=1, memory_share=0.05))
    assert await pool.claim("plain") is None
    await until(lambda: "there is no room" in caplog.text)
    maker.fails = False
    assert await pool.claim("plain") is None
    assert maker.made == []  # the next try comes later
    await pool.close()
