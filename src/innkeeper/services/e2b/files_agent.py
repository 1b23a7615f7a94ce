"""The program that looks after a sandbox's files from inside, as seen from outside.

It runs among code that is not ours: what it says is checked, and when it ends it is started anew.
"""

import asyncio
import contextlib
import itertools
import json
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from innkeeper.engines.sandbox.sandbox import Command, Process, Sandbox, SandboxError
from innkeeper.kernel.call import Document
from innkeeper.services.e2b.connect import STATUS, ConnectError

_PROGRAM = (Path(__file__).parent / "inside" / "filesystem.py").read_text()
_VARIABLE = (
    "INNKEEPER_FILES_AGENT"  # holds the program: as an argument it would fill whole lists of processes
)
_TIMEOUT_SECONDS = 60.0
_PENDING_MAX = 64
_WATCHERS_MAX = 64
_EVENTS_KEPT = 10_000
_LINE_MAX_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 18
_SIGKILL = 9


class Watcher:
    """What happened below a folder and was not fetched yet; past a bound the oldest is forgotten."""

    def __init__(self, watcher_id: str, folder: str, deep: bool) -> None:
        self.id = watcher_id
        self.folder = folder
        self.deep = deep
        self._events: deque[Document] = deque(maxlen=_EVENTS_KEPT)
        self._news = asyncio.Event()

    def add(self, events: list[Document]) -> None:
        self._events.extend(events)
        self._news.set()

    def take(self) -> list[Document]:
        events = list(self._events)
        self._events.clear()
        self._news.clear()
        return events

    async def wait(self) -> list[Document]:
        await self._news.wait()
        return self.take()


class FilesAgent:
    """Starts with the first question."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._process: Process | None = None
        self.pid: int | None = None  # of the last one
        self._listening: asyncio.Task[None] | None = None
        self._waking: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count(1)
        self._watchers: dict[str, Watcher] = {}

    async def ask(self, do: str, **arguments: Any) -> Any:
        """Raises ConnectError, SandboxError."""
        if len(self._pending) >= _PENDING_MAX:
            raise ConnectError("resource_exhausted", f"{_PENDING_MAX} file operations are under way already")
        process = await self._running()
        return await self._call(process, {"do": do, **arguments})

    async def watch(self, folder: str, deep: bool) -> Watcher:
        """Raises ConnectError, SandboxError."""
        if len(self._watchers) >= _WATCHERS_MAX:
            raise ConnectError("resource_exhausted", f"a sandbox has at most {_WATCHERS_MAX} watchers")
        watcher = Watcher(f"w{next(self._numbers)}", folder, deep)
        self._watchers[watcher.id] = watcher
        try:
            await self.ask("watch", watcher=watcher.id, path=folder, deep=deep)
        except BaseException:
            self._watchers.pop(watcher.id, None)
            raise
        return watcher

    def watcher(self, watcher_id: str) -> Watcher:
        """Raises ConnectError."""
        found = self._watchers.get(watcher_id)
        if found is None:
            raise ConnectError("not_found", f"there is no watcher {watcher_id[:64]!r}")
        return found

    async def unwatch(self, watcher: Watcher) -> None:
        if self._watchers.pop(watcher.id, None) is not None:
            await self.ask("unwatch", path=watcher.folder, watcher=watcher.id)

    @property
    def watchers(self) -> list[Watcher]:
        return list(self._watchers.values())

    def adopt(self, pid: int | None, watchers: Sequence[Watcher]) -> None:
        """Watch on in a sandbox that was restored; the program that came along with it is ended."""
        self._watchers = {watcher.id: watcher for watcher in watchers}
        if pid is not None:
            with contextlib.suppress(SandboxError):
                self._sandbox.process(pid).close()
        if watchers:
            self._waking = asyncio.create_task(self._wake())

    def close(self) -> None:
        """Let go of it; it ends with its stdin."""
        for task in (self._listening, self._waking):
            if task is not None:
                task.cancel()
        self._leave()

    async def _wake(self) -> None:
        with contextlib.suppress(ConnectError, SandboxError):  # told to whoever asks next
            await self._running()

    async def _running(self) -> Process:
        async with self._starting:
            if self._process is None:
                argv = ("python3", "-I", "-S", "-c", f"import os; exec(os.environ.pop({_VARIABLE!r}))")
                command = Command(argv, {_VARIABLE: _PROGRAM}, "/")
                self._process = process = await self._sandbox.exec(command)
                self.pid = process.id
                self._listening = asyncio.create_task(self._listen(process))
                for watcher in tuple(self._watchers.values()):
                    with contextlib.suppress(ConnectError):  # its folder may be gone
                        order = {"do": "watch", "watcher": watcher.id, "path": watcher.folder}
                        await self._call(process, order | {"deep": watcher.deep})
            return self._process

    async def _call(self, process: Process, request: Document) -> Any:
        number = next(self._numbers)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pending[number] = answer
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                process.stdin.write(json.dumps({"id": number, **request}).encode() + b"\n")
                await process.stdin.drain()
                return await answer
        except (TimeoutError, OSError) as error:
            with contextlib.suppress(SandboxError):
                await process.signal(_SIGKILL)
            raise ConnectError("unavailable", "the sandbox did not answer in time") from error
        finally:
            self._pending.pop(number, None)

    async def _listen(self, process: Process) -> None:
        rest = b""
        try:
            while (chunk := await process.stdout.read(_CHUNK_BYTES)) and len(rest) < _LINE_MAX_BYTES:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._hear(json.loads(line))
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            pass  # it was tampered with, or has ended: either way it is not believed any more
        with contextlib.suppress(SandboxError):
            await process.signal(_SIGKILL)
        self._leave()

    def _hear(self, message: Mapping[str, Any]) -> None:
        if "watcher" in message:
            watcher = self._watchers.get(message["watcher"])
            if watcher is not None:
                watcher.add([_event(event) for event in message["events"]])
            return
        answer = self._pending.get(message["id"])
        if answer is None or answer.done():
            return
        if "error" in message:
            code, text = message["error"]
            answer.set_exception(ConnectError(code if code in STATUS else "internal", str(text)))
        else:
            answer.set_result(message.get("result"))

    def _leave(self) -> None:
        if self._process is not None:
            self._process.close()
        self._process = None
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(ConnectError("unavailable", "the sandbox's file agent has ended"))


def _event(event: Mapping[str, Any]) -> Document:
    return {"name": str(event["name"]), "type": str(event["type"])}
