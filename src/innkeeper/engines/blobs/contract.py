"""What every driver of `Blobs` does, as tests.

To run them on a driver of your own, subclass `BlobsContract` in a pytest module (with pytest-asyncio in auto
mode) and give it a fixture `blobs` that makes an empty store.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from innkeeper.engines.blobs.blobs import Blobs

_MIB = 1 << 20


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def content(blobs: Blobs, key: str, start: int = 0, length: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in blobs.read(key, start, length)])


async def is_missing(blobs: Blobs, key: str) -> bool:
    try:
        await content(blobs, key)
    except KeyError:
        return True
    return False


class BlobsContract:
    async def test_what_was_put_is_read_back(self, blobs: Blobs) -> None:
        assert await blobs.put("code.zip", stream(b"hello ", b"", b"world")) == 11
        assert await content(blobs, "code.zip") == b"hello world"

    async def test_an_empty_blob_is_a_blob(self, blobs: Blobs) -> None:
        assert await blobs.put("empty", stream()) == 0
        assert await content(blobs, "empty") == b""

    async def test_large_blobs_come_back_in_bounded_chunks(self, blobs: Blobs) -> None:
        data = os.urandom(3 * _MIB + 17)
        await blobs.put("large", stream(data))
        chunks = [chunk async for chunk in blobs.read("large")]
        assert b"".join(chunks) == data
        assert max(map(len, chunks)) <= _MIB

    async def test_any_range_can_be_read(self, blobs: Blobs) -> None:
        data = os.urandom(2 * _MIB)
        await blobs.put("ranged", stream(data))
        assert await content(blobs, "ranged", 5) == data[5:]
        assert await content(blobs, "ranged", _MIB - 3, 6) == data[_MIB - 3 : _MIB + 3]
        assert await content(blobs, "ranged", 10, 0) == b""
        assert await content(blobs, "ranged", len(data) - 1, 100) == data[-1:]
        assert await content(blobs, "ranged", len(data) + 1) == b""

    async def test_a_blob_that_is_not_there_is_a_key_error(self, blobs: Blobs, tmp_path: Path) -> None:
        assert await is_missing(blobs, "nothing")
        try:
            await blobs.copy_to("nothing", tmp_path / "copy")
        except KeyError:
            pass
        else:
            raise AssertionError("copy_to gave no KeyError")
        assert not (tmp_path / "copy").exists()

    async def test_a_second_put_replaces_the_first(self, blobs: Blobs) -> None:
        await blobs.put("same", stream(b"the first and longer"))
        await blobs.put("same", stream(b"second"))
        assert await content(blobs, "same") == b"second"

    async def test_a_stream_that_breaks_changes_nothing(self, blobs: Blobs) -> None:
        await blobs.put("kept", stream(b"before"))
        for key in ("kept", "never"):
            try:
                await blobs.put(key, _breaks())
            except ConnectionResetError:
                pass
            else:
                raise AssertionError("put hid the failure of its stream")
        assert await content(blobs, "kept") == b"before"
        assert await is_missing(blobs, "never")

    async def test_a_reader_keeps_the_blob_that_it_began_with(self, blobs: Blobs) -> None:
        old, new = b"a" * 2 * _MIB, b"b" * 2 * _MIB
        await blobs.put("swapped", stream(old))
        reading = blobs.read("swapped")
        first = await anext(reading)
        await blobs.put("swapped", stream(new))
        rest = b"".join([chunk async for chunk in reading])
        assert first + rest == old
        assert await content(blobs, "swapped") == new

    async def test_writers_of_one_key_leave_one_whole_blob(self, blobs: Blobs) -> None:
        candidates = [bytes([letter]) * (_MIB + letter) for letter in b"abcd"]
        await asyncio.gather(*(blobs.put("raced", stream(data)) for data in candidates))
        assert await content(blobs, "raced") in candidates

    async def test_a_copy_is_a_file_of_its_own(self, blobs: Blobs, tmp_path: Path) -> None:
        await blobs.put("code.zip", stream(b"original"))
        await blobs.copy_to("code.zip", tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == b"original"
        (tmp_path / "copy").write_bytes(b"changed!")
        assert await content(blobs, "code.zip") == b"original"

    async def test_a_deleted_blob_is_gone_and_can_be_deleted_again(self, blobs: Blobs) -> None:
        await blobs.put("short", stream(b"life"))
        await blobs.delete("short")
        await blobs.delete("short")
        assert await is_missing(blobs, "short")

    async def test_any_text_is_a_key_of_its_own(self, blobs: Blobs) -> None:
        keys = [
            "a",
            "A",
            "a/",
            "a/b",
            "../../etc/passwd",
            "/etc/passwd",
            ".",
            "é",
            "e\u0301",
            "\0",
            "k" * 2048,
        ]
        for number, key in enumerate(keys):
            await blobs.put(key, stream(str(number).encode()))
        for number, key in enumerate(keys):
            assert await content(blobs, key) == str(number).encode()

    async def test_keys_too_long_or_empty_are_refused(self, blobs: Blobs) -> None:
        for key in ("", "k" * 2049, "é" * 1025):
            try:
                await blobs.put(key, stream(b"x"))
            except ValueError:
                continue
            raise AssertionError(f"a key of {len(key.encode())} bytes was taken")


async def _breaks() -> AsyncIterator[bytes]:
    yield b"half of it" * 200_000
    raise ConnectionResetError
