"""Code contexts: interpreters of one language each, whose variables stay from one run to the next.

They are the kernels of the code interpreter, which the template `code-interpreter` brings along, with results
passed on while a cell runs.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from innkeeper.engines.sandbox.sandbox import Command, Process, Sandbox, SandboxError
from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import InvalidRequest, NotFound, QuotaExceeded
from innkeeper.services.e2b.model import HOME, LANGUAGE_NAMES, LANGUAGES

_PROGRAMS = "/opt/innkeeper"
_CONTEXTS_MAX = 64
_WAITING_MAX = 32
_GRACE_SECONDS = 15.0
_LINE_MAX_BYTES = 64_000_000
_CHUNK_BYTES = 1 << 18
_SIGKILL = 9
_BROKEN = (EOFError, OSError, ValueError, KeyError, TypeError, RecursionError)
_ENVIRONMENT = {"PYTHONUNBUFFERED": ""}  # what is printed comes in lines, not in words
_NODE = f"node {_PROGRAMS}/node_worker.js"
_DENO = f"deno run --quiet --allow-all --no-config {_PROGRAMS}/deno_worker.js"
_WORKERS = {
    "python": f"python3 {_PROGRAMS}/python_worker.py",
    "node": _NODE,
    "bash": f"python3 {_PROGRAMS}/bash_worker.py",
    "deno": f"$(command -v deno >/dev/null && echo {_DENO} || echo {_NODE})",
}


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is known of a context beside what is in the sandbox; `pid` is its kernel's, once there is one."""

    id: str
    language: str
    folder: str
    default: bool
    count: int
    pid: int | None


@dataclass(frozen=True, slots=True)
class Run:
    code: str
    environment: Mapping[str, str] = field(default_factory=dict)


class Context:
    """Runs one cell at a time; others wait."""

    def __init__(self, sandbox: Sandbox, language: str, folder: str, timeout_seconds: float) -> None:
        self.id = str(uuid4())
        self.language = language
        self.folder = folder
        self._sandbox = sandbox
        self._timeout_seconds = timeout_seconds
        self._process: Process | None = None
        self._count = 0
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._giving_up: asyncio.Task[None] | None = None

    @property
    def document(self) -> Document:
        return {"id": self.id, "language": self.language, "cwd": self.folder}

    async def run(self, run: Run) -> AsyncGenerator[Document, None]:
        """The events of a run, as they happen. One that nobody hears to its end is interrupted, by force if
        need be."""
        if self._waiting >= _WAITING_MAX:
            yield _error("TooManyRuns", f"{_WAITING_MAX} runs of this context are waiting already")
            return
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        answers = self._answers(run)
        heard = False
        try:
            async for answer in answers:
                heard = "exitCode" in answer
                for event in self._events(answer):
                    yield event
        except _BROKEN:
            heard = True
            await self._end()
            yield _error("KernelDied", "the code ended its interpreter: all variables are lost")
        except SandboxError as error:
            heard = True
            await self._end()
            yield _error("SandboxError", str(error))
        finally:
            await answers.aclose()
            if heard:
                self._turn.release()
            else:
                # The rest of the answer has to be heard, or the next run would get it.
                self._giving_up = asyncio.create_task(self._give_up())

    async def restart(self) -> None:
        async with self._turn:
            await self._end()
            self._count = 0

    def remembered(self, default: bool) -> Remembered:
        pid = self._process.id if self._process else None
        return Remembered(self.id, self.language, self.folder, default, self._count, pid)

    def adopt(self, known: Remembered, copied: bool) -> None:
        """Go on as another, whose kernel came along with the sandbox; else a new one will be started. The
        random numbers of one that was copied begin anew: the other goes on with those it had."""
        self.id, self._count = known.id, known.count
        if known.pid is not None:
            with contextlib.suppress(SandboxError):
                self._process = self._sandbox.process(known.pid)
        if copied and self._process is not None and self.language == "python":
            self._process.stdin.write(b'{"settle": {}}\n')

    async def end(self) -> None:
        """Without waiting for what it is running."""
        await self._end()

    def close(self) -> None:
        if self._process is not None:
            self._process.close()

    async def _answers(self, run: Run) -> AsyncGenerator[Document, None]:
        process = await self._running()
        request = {
            "code": run.code,
            "typescript": self.language == "typescript",
            "clear": False,
            "timeout": self._timeout_seconds,
            "environment": dict(run.environment),
            "stream": True,
            "rich": True,
        }
        deadline = asyncio.get_running_loop().time() + self._timeout_seconds + _GRACE_SECONDS
        async with asyncio.timeout_at(deadline):
            process.stdin.write(json.dumps(request).encode() + b"\n")
            await process.stdin.drain()
        async for line in _lines(process.stdout, deadline):
            answer = json.loads(line)
            if "exitCode" in answer:
                await process.go_direct()
                yield answer
                return
            yield answer

    def _events(self, answer: Document) -> Iterator[Document]:
        for stream in ("stdout", "stderr"):
            if answer[stream]:
                yield {"type": stream, "text": str(answer[stream]), "timestamp": time.time_ns()}
        if "exitCode" not in answer:
            return
        told = False
        for item in answer["items"]:
            told = told or item["type"] == "error"
            yield _item(item)
        if answer["exitCode"] and not told:
            cause = str(answer["lost"]) or f"the cell ended with exit code {int(answer['exitCode'])}"
            yield _error("KernelDied" if answer["lost"] else "SystemExit", cause)
        self._count += 1
        yield {"type": "number_of_executions", "execution_count": self._count}

    async def _running(self) -> Process:
        if self._process is None:
            start = f"exec python3 -I -S {_PROGRAMS}/kernel.py {_WORKERS[LANGUAGES[self.language]]}"
            command = Command(("/bin/sh", "-c", start), _ENVIRONMENT, self.folder)
            self._process = await self._sandbox.exec(command)
        return self._process

    async def _give_up(self) -> None:
        process = self._process
        try:
            if process is None:
                return
            process.stdin.write(b'"interrupt"\n')
            deadline = asyncio.get_running_loop().time() + _GRACE_SECONDS
            async for line in _lines(process.stdout, deadline):
                if "exitCode" in json.loads(line):
                    return
        except _BROKEN:
            await self._end()
        finally:
            self._turn.release()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(SandboxError):
                await process.signal(_SIGKILL)
            process.close()


class Contexts:
    """Those of one sandbox: one by default for each language that is used, and any that are asked for."""

    def __init__(self, sandbox: Sandbox, timeout_seconds: float) -> None:
        self._sandbox = sandbox
        self._timeout_seconds = timeout_seconds
        self._contexts: dict[str, Context] = {}
        self._defaults: dict[str, Context] = {}

    def __iter__(self) -> Iterator[Context]:
        return iter(tuple(self._contexts.values()))

    def create(self, language: str, folder: str = HOME) -> Context:
        """Raises InvalidRequest, QuotaExceeded."""
        language = LANGUAGE_NAMES.get(language, language)
        if language not in LANGUAGES:
            raise InvalidRequest(f"language {language[:32]!r} is not supported; use {', '.join(LANGUAGES)}")
        if len(self._contexts) >= _CONTEXTS_MAX:
            raise QuotaExceeded(f"a sandbox has at most {_CONTEXTS_MAX} code contexts")
        context = Context(self._sandbox, language, folder, self._timeout_seconds)
        self._contexts[context.id] = context
        return context

    def default(self, language: str) -> Context:
        language = LANGUAGE_NAMES.get(language, language)
        if language not in self._defaults:
            self._defaults[language] = self.create(language)
        return self._defaults[language]

    def get(self, context_id: str) -> Context:
        found = self._contexts.get(context_id)
        if found is None:
            raise NotFound(f"Context {context_id[:64]} was not found")
        return found

    async def remove(self, context_id: str) -> None:
        context = self.get(context_id)
        del self._contexts[context_id]
        self._defaults = {name: kept for name, kept in self._defaults.items() if kept is not context}
        await context.end()

    def roster(self) -> list[Remembered]:
        return [context.remembered(context in self._defaults.values()) for context in self]

    def adopt(self, roster: Sequence[Remembered], copied: bool) -> None:
        """Go on with those of the sandbox that this one was restored from, as its copy or in its place."""
        for known in roster:
            context = Context(self._sandbox, known.language, known.folder, self._timeout_seconds)
            context.adopt(known, copied)
            self._contexts[context.id] = context
            if known.default:
                self._defaults[known.language] = context

    def close(self) -> None:
        for context in self:
            context.close()


def _item(item: Mapping[str, Any]) -> Document:
    if item["type"] == "error":
        return _error(str(item["name"]), str(item["value"]), str(item["traceback"]))
    return {"type": "result", **item["data"], "is_main_result": bool(item["main"])}


def _error(name: str, value: str, traceback: str = "") -> Document:
    return {"type": "error", "name": name, "value": value, "traceback": traceback or f"{name}: {value}"}


async def _lines(stream: asyncio.StreamReader, deadline: float) -> AsyncGenerator[bytes, None]:
    """Raises EOFError when there are no more, or one is too long; TimeoutError."""
    rest = bytearray()
    while True:
        async with asyncio.timeout_at(deadline):
            chunk = await stream.read(_CHUNK_BYTES)
        if not chunk or len(rest) > _LINE_MAX_BYTES:
            raise EOFError
        rest += chunk
        if b"\n" in chunk:
            *lines, tail = bytes(rest).split(b"\n")
            rest = bytearray(tail)
            for line in lines:
                yield line
