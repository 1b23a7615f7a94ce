"""What is in a sandbox's folders and /tmp, as one tar file on the host: made and read by processes inside.

While it is made all other processes inside stand still, so that it is of one moment. Where a sandbox has no
memory of its own on disk, this is all that is kept of it.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

from innkeeper.engines.sandbox.sandbox import Command, Process, Sandbox, SandboxError

# The folders themselves are not the agent's to change. Processes that stood still before must not be
# woken by us: they are stopped again.
_SAVE = r"""
set -o pipefail
stopped=()
for file in /proc/[0-9]*/stat; do
    read -r line < "$file" 2>/dev/null || continue
    line="${line##*) }"
    file="${file#/proc/}"
    [ "${line%% *}" = T ] && stopped+=("${file%/stat}")
done
kill -STOP -- -1 2>/dev/null
find "${@:2}" tmp -xdev -mindepth 1 -print0 |
    tar --create --file=- --sparse --numeric-owner --no-recursion --null --files-from=-
code=$?
if [ "$1" = go-on ]; then
    kill -CONT -- -1 2>/dev/null
    [ ${#stopped[@]} -gt 0 ] && kill -STOP "${stopped[@]}" 2>/dev/null
fi
exit $code
"""
_GO_ON = "kill -CONT -- -1 2>/dev/null; exit 0"
_LOAD = "exec tar --extract --file=- --preserve-permissions"
_CHUNK_BYTES = 1 << 20
_COMPLAINT_BYTES = 2000


async def save(sandbox: Sandbox, path: Path, limit_bytes: int, timeout_seconds: float, *, go_on: bool) -> str:
    """The SHA-256 of the file that was written. Unless it is to `go_on`, the processes inside stand still
    afterwards. Raises SandboxError; then they go on, and what is at `path` is worth nothing."""
    try:
        async with asyncio.timeout(timeout_seconds):
            folders = (folder.removeprefix("/") for folder in sandbox.folders)
            process = await sandbox.exec(_bash(_SAVE, "go-on" if go_on else "stand-still", *folders))
            process.stdin.close()
            return await _received(process, path, limit_bytes)
    except TimeoutError:
        await let_go_on(sandbox)
        raise SandboxError(f"its files could not be saved in {timeout_seconds:g} s") from None
    except BaseException:
        await asyncio.shield(let_go_on(sandbox))
        raise


async def load(sandbox: Sandbox, path: Path, digest: str, timeout_seconds: float) -> None:
    """Raises SandboxError, also when the file is not the one that was saved."""
    try:
        async with asyncio.timeout(timeout_seconds):
            process = await sandbox.exec(_bash(_LOAD))
            with contextlib.closing(process):
                found = await _sent(process, path)
                code = await process.wait()
                said = await _ending(process.stderr) if code else ""
    except TimeoutError:
        raise SandboxError(f"its files could not be put back in {timeout_seconds:g} s") from None
    except OSError as error:
        raise SandboxError(f"its files could not be put back: {error}") from error
    if found != digest:
        raise SandboxError("its files are not as they were saved: the checksum differs")
    if code:
        raise SandboxError(f"its files could not be put back: {said}")


async def _received(process: Process, path: Path, limit_bytes: int) -> str:
    digest, size = hashlib.sha256(), 0
    try:
        with contextlib.closing(process), await asyncio.to_thread(path.open, "wb") as file:
            async for chunk in _chunks(process.stdout):
                size += len(chunk)
                if size > limit_bytes:
                    raise SandboxError(f"its files are larger than the {limit_bytes} bytes that may be saved")
                digest.update(chunk)
                await asyncio.to_thread(file.write, chunk)
            if await process.wait():
                raise SandboxError(f"its files could not be saved: {await _ending(process.stderr)}")
    except OSError as error:
        raise SandboxError(f"its files could not be saved: {error.strerror}") from error
    return digest.hexdigest()


async def _sent(process: Process, path: Path) -> str:
    digest = hashlib.sha256()
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            digest.update(chunk)
            process.stdin.write(chunk)
            await process.stdin.drain()
    process.stdin.close()
    return digest.hexdigest()


async def _chunks(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Large ones, for a write each."""
    kept = bytearray()
    while part := await stream.read(_CHUNK_BYTES):
        kept += part
        if len(kept) >= _CHUNK_BYTES:
            yield bytes(kept)
            kept.clear()
    yield bytes(kept)


async def _ending(stream: asyncio.StreamReader) -> str:
    kept = b""
    while part := await stream.read(_COMPLAINT_BYTES):
        kept = (kept + part)[-_COMPLAINT_BYTES:]
    return kept.decode(errors="replace").strip()


async def let_go_on(sandbox: Sandbox) -> None:
    """Wake all processes inside."""
    try:
        process = await sandbox.exec(_bash(_GO_ON))
        process.close()
    except (SandboxError, OSError):
        return  # it has ended: there is nobody left to wake


def _bash(script: str, *arguments: str) -> Command:
    return Command(("/bin/bash", "-c", script, "innkeeper", *arguments), working_directory="/")
