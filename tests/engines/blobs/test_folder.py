"""Blobs in a folder: the contract, and what only this driver has to promise."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from innkeeper.engines.blobs.blobs import Blobs
from innkeeper.engines.blobs.contract import BlobsContract, content, stream
from innkeeper.engines.blobs.folder import FolderBlobs


class TestFolderBlobs(BlobsContract):
    @pytest.fixture
    def blobs(self, tmp_path: Path) -> Blobs:
        return FolderBlobs(tmp_path / "data" / "blobs")


def files(root: Path) -> set[Path]:
    return {path.relative_to(root) for path in root.rglob("*") if path.is_file()}


async def test_blobs_survive_a_restart(tmp_path: Path) -> None:
    await FolderBlobs(tmp_path).put("key", stream(b"kept"))
    assert await content(FolderBlobs(tmp_path), "key") == b"kept"


async def test_no_key_leaves_the_folder(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "root")
    for key in ("../escaped", "/escaped", "../../root/blobs", "a/../../../escaped"):
        await blobs.put(key, stream(b"x"))
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
    assert len(files(tmp_path / "root" / "blobs")) == 4


async def test_what_a_killed_server_left_is_removed_at_start(tmp_path: Path) -> None:
    await FolderBlobs(tmp_path).put("key", stream(b"kept"))
    (tmp_path / "drafts" / "left-over").write_bytes(b"half")
    blobs = FolderBlobs(tmp_path)
    assert files(tmp_path / "drafts") == set()
    assert await content(blobs, "key") == b"kept"


async def test_a_starting_server_leaves_another_ones_upload_alone(tmp_path: Path) -> None:
    halfway, second_is_up = asyncio.Event(), asyncio.Event()

    async def upload() -> AsyncIterator[bytes]:
        yield b"first "
        halfway.set()
        await second_is_up.wait()
        yield b"second"

    put = asyncio.create_task(FolderBlobs(tmp_path).put("key", upload()))
    await halfway.wait()
    second = FolderBlobs(tmp_path)
    second_is_up.set()
    assert await put == 12
    assert await content(second, "key") == b"first second"


async def test_a_cancelled_upload_leaves_nothing(tmp_path: Path) -> None:
    halfway = asyncio.Event()

    async def upload() -> AsyncIterator[bytes]:
        yield b"first"
        halfway.set()
        await asyncio.Event().wait()

    put = asyncio.create_task(FolderBlobs(tmp_path).put("key", upload()))
    await halfway.wait()
    put.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await put
    assert files(tmp_path) == set()
