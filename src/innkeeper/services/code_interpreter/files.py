"""Files of a session. Paths are relative to the working folder, and are resolved inside the sandbox: neither
`..` nor a link leads out of it."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from innkeeper.engines.sandbox.sandbox import Command, Sandbox
from innkeeper.kernel.call import Document
from innkeeper.services.code_interpreter import results
from innkeeper.services.code_interpreter.results import ToolFailed

_CALL_MAX_BYTES = 100_000_000
READ_MAX_BYTES = 17_000_000  # in base64 just what fits into one event
_TIMEOUT_SECONDS = 60.0
_ANSWER_MAX_BYTES = 8_000_000


class Files:
    """`argv` starts the program that lists and removes. Raises ToolFailed, SandboxError."""

    def __init__(self, sandbox: Sandbox, argv: Sequence[str]) -> None:
        self._sandbox = sandbox
        self._argv = argv

    async def read(self, paths: Sequence[str]) -> list[Document]:
        """One result for each file, since together they may be too long for one event."""
        found = []
        size = 0
        for path in paths:
            data = await self._read(path)
            size += len(data)
            if size > _CALL_MAX_BYTES:
                raise ToolFailed(f"one call may read {_CALL_MAX_BYTES} bytes; ask for fewer files at a time")
            found.append(results.success(results.file(f"file://{path}", data)))
        return found

    async def write(self, content: Sequence[Document]) -> Document:
        for entry in content:
            data = entry["blob"] if "blob" in entry else entry.get("text", "").encode()
            try:
                await self._sandbox.write_file(_checked(entry["path"]), data)
            except OSError as error:
                raise ToolFailed(f"Cannot write {entry['path']}: {error.strerror}") from error
        return results.success(results.text(f"Successfully wrote all {len(content)} files"))

    async def list(self, folder: str) -> Document:
        answer = await self._ask("list", _checked(folder or "."))
        links = [results.link(entry) for entry in answer["entries"]]
        if answer["more"]:
            links.append(results.text(f"[{answer['more']} more entries are not shown]"))
        return results.success(*links)

    async def remove(self, paths: Sequence[str]) -> Document:
        answer = await self._ask("remove", *map(_checked, paths))
        return results.success(results.text(f"Successfully removed all {answer['removed']} files"))

    async def _read(self, path: str) -> bytes:
        try:
            return await self._sandbox.read_file(_checked(path), READ_MAX_BYTES)
        except OSError as error:
            raise ToolFailed(f"Cannot read {path}: {error.strerror}") from error

    async def _ask(self, *arguments: str) -> Any:
        process = await self._sandbox.exec(Command((*self._argv, *arguments)))
        try:
            process.stdin.close()
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                answer = json.loads(await _all(process.stdout))
        except (TimeoutError, ValueError) as error:
            raise ToolFailed(f"Cannot {arguments[0]} files: the sandbox gave no answer") from error
        finally:
            process.close()
        if "error" in answer:
            raise ToolFailed(f"Cannot {arguments[0]} files: {answer['error']}")
        return answer


async def _all(stream: asyncio.StreamReader) -> bytes:
    data = bytearray()
    while chunk := await stream.read(1 << 16):
        data += chunk
        if len(data) > _ANSWER_MAX_BYTES:
            raise ValueError("too long")
    return bytes(data)


def _checked(path: str) -> str:
    if not path or "\0" in path:
        raise ToolFailed("a path must have at least one character, and no NUL")
    return path
