"""One-shot shell commands in a session (`InvokeAgentRuntimeCommand`)."""

import asyncio
import codecs
import contextlib
from collections.abc import AsyncIterator

from innkeeper.engines.sandbox.sandbox import Command, Process, SandboxError
from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.errors import AgentFailed, FieldError, InvalidRequest
from innkeeper.services.runtime.invocation import Invocations
from innkeeper.services.runtime.session import Session

_DEFAULT_TIMEOUT_SECONDS = 300
_MAX_TIMEOUT_SECONDS = 3600
_MAX_OUTPUT_BYTES = 100_000_000
_CHUNK = 1 << 15
_DRAIN_SECONDS = 0.5
_SIGKILL = 9


class Commands:
    def __init__(self, invocations: Invocations) -> None:
        self._invocations = invocations

    async def invoke(self, call: Call, parameters: Document) -> Document:
        """`stream` gives contentStart, contentDelta with stdout or stderr as they come, and contentStop."""
        body = parameters["body"]
        timeout = body.get("timeout", _DEFAULT_TIMEOUT_SECONDS)
        if not 1 <= timeout <= _MAX_TIMEOUT_SECONDS:
            rule = f"must be between 1 and {_MAX_TIMEOUT_SECONDS} seconds"
            raise InvalidRequest(f"Value at 'body.timeout' {rule}", (FieldError("body.timeout", rule),))
        _, session = await self._invocations.open(call, parameters)
        try:
            with session.use():
                process = await session.sandbox.exec(Command(("/bin/sh", "-c", body["command"])))
        except SandboxError as error:
            raise AgentFailed(f"The command could not be started: {error}") from error
        return {
            "runtimeSessionId": session.key.session_id,
            "contentType": "application/vnd.amazon.eventstream",
            "statusCode": 200,
            "stream": _events(session, process, timeout),
        }


async def _events(session: Session, process: Process, timeout_seconds: float) -> AsyncIterator[Document]:
    output: asyncio.Queue[Document | None] = asyncio.Queue(maxsize=64)
    running = asyncio.create_task(_collect(process, output))
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    status, code, size = "COMPLETED", -1, 0
    with session.use():
        try:
            process.stdin.close()
            yield {"chunk": {"contentStart": {}}}
            async with asyncio.timeout_at(deadline):
                delta = await output.get()
            while delta is not None and size < _MAX_OUTPUT_BYTES:
                size += sum(map(len, delta.values()))
                yield {"chunk": {"contentDelta": delta}}
                async with asyncio.timeout_at(deadline):
                    delta = await output.get()
            if delta is None:
                code = await running
        except TimeoutError:
            status = "TIMED_OUT"
        except SandboxError as error:
            raise AgentFailed("The session ended before the command did") from error
        finally:
            if not running.done():
                running.cancel()
                await asyncio.shield(_kill(process))
            process.close()
        yield {"chunk": {"contentStop": {"exitCode": code, "status": status}}}


async def _collect(process: Process, output: "asyncio.Queue[Document | None]") -> int:
    """The exit code, once all that was printed before it lies in the queue, and None behind it.

    A process that the command left in the background may hold the pipes open: it is not waited for.
    """
    pumps = [
        asyncio.create_task(_pump(process.stdout, "stdout", output)),
        asyncio.create_task(_pump(process.stderr, "stderr", output)),
    ]
    try:
        code = await process.wait()
        await asyncio.wait(pumps, timeout=_DRAIN_SECONDS)
        await output.put(None)
        return code
    finally:
        for pump in pumps:
            pump.cancel()


async def _pump(stream: asyncio.StreamReader, name: str, output: "asyncio.Queue[Document | None]") -> None:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while chunk := await stream.read(_CHUNK):
        if text := decoder.decode(chunk):
            await output.put({name: text})
    if rest := decoder.decode(b"", final=True):
        await output.put({name: rest})


async def _kill(process: Process) -> None:
    with contextlib.suppress(SandboxError):
        await process.signal(_SIGKILL)
