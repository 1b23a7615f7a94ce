"""What E2B's daemon does in a sandbox, done from outside: the calls of its process and filesystem services.

Each call takes the caller's message and gives its answer, or a stream of them, as JSON documents
(https://github.com/e2b-dev/infra/tree/main/packages/envd/spec).
"""

import asyncio
import base64
import binascii
import contextlib
from collections.abc import AsyncIterator
from signal import Signals
from typing import Any

from innkeeper.engines.sandbox.sandbox import Command, TerminalSize
from innkeeper.kernel.call import Document
from innkeeper.services.e2b import processes
from innkeeper.services.e2b.connect import ConnectError, member, number
from innkeeper.services.e2b.guests import Guest
from innkeeper.services.e2b.model import ENVIRONMENT, path_of
from innkeeper.services.e2b.processes import Chunk, End, Listener, Running

_SIGNALS = {"SIGNAL_SIGTERM": 15, "SIGNAL_SIGKILL": 9, 15: 15, 9: 9}
_TERMINAL_SIDE_MAX = 1000
_DEPTH_MAX = 1000


class Calls:
    """Those of one sandbox. All raise ConnectError, InnkeeperError, SandboxError. A stream ends at
    `deadline`, a time of the event loop."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest

    async def start(self, message: Document, deadline: float) -> AsyncIterator[Document]:
        """Run a command: when its caller leaves it goes on until the deadline."""
        config = member(message, "process", dict)
        command = _command(config, message)
        tag = member(message, "tag", str, "") or None
        has_input = member(message, "stdin", bool, True)
        starting = self._guest.processes.start(command, config, tag, has_input, deadline)
        async with starting as (running, listener):
            yield _started(running)
            try:
                async for event in _told(listener, deadline):
                    yield event
            except TimeoutError:
                raise ConnectError("deadline_exceeded", "the command took too long: it was killed") from None

    async def connect(self, message: Document, deadline: float) -> AsyncIterator[Document]:
        """What a running process prints from now on."""
        running = self._chosen(message)
        with running.heard() as listener:
            yield _started(running)
            try:
                async for event in _told(listener, deadline):
                    yield event
            except TimeoutError:
                raise ConnectError("deadline_exceeded", "the stream was to last no longer") from None

    async def list(self, _message: Document) -> Document:
        shown = []
        for running in self._guest.processes:
            known = running.known
            tag = {"tag": known.tag} if known.tag else {}
            shown.append({"config": known.config, "pid": known.pid, **tag})
        return {"processes": shown}

    async def send_input(self, message: Document) -> Document:
        await _type(self._chosen(message), member(message, "input", dict))
        return {}

    async def stream_input(self, messages: AsyncIterator[Document]) -> Document:
        """The first message says to which process the others go."""
        running: Running | None = None
        async for message in messages:
            if "start" in message:
                running = self._chosen(member(message, "start", dict))
            elif "data" in message:
                if running is None:
                    raise ConnectError("invalid_argument", "the stream must begin with `start`")
                await _type(running, member(member(message, "data", dict), "input", dict))
        return {}

    async def close_stdin(self, message: Document) -> Document:
        running = self._chosen(message)
        if running.known.terminal:
            raise ConnectError("failed_precondition", "a terminal's input cannot be closed")
        running.process.stdin.close()
        return {}

    async def send_signal(self, message: Document) -> Document:
        signal = _SIGNALS.get(message.get("signal", ""))
        if signal is None:
            raise ConnectError("invalid_argument", "`signal` must be SIGNAL_SIGTERM or SIGNAL_SIGKILL")
        await self._chosen(message).process.signal(signal)
        return {}

    async def update(self, message: Document) -> Document:
        size = _size(member(message, "pty", dict))
        await processes.resize(self._chosen(message), size)
        return {}

    async def stat(self, message: Document) -> Document:
        return {"entry": await self._ask("stat", message)}

    async def make_dir(self, message: Document) -> Document:
        return {"entry": await self._ask("make", message)}

    async def move(self, message: Document) -> Document:
        source, target = (path_of(member(message, name, str)) for name in ("source", "destination"))
        return {"entry": await self._guest.files.ask("move", path=source, to=target)}

    async def list_dir(self, message: Document) -> Document:
        depth = min(number(message, "depth", 1), _DEPTH_MAX) or 1
        return {"entries": await self._ask("list", message, depth=depth)}

    async def remove(self, message: Document) -> Document:
        await self._ask("remove", message)
        return {}

    async def watch_dir(self, message: Document, deadline: float) -> AsyncIterator[Document]:
        watcher = await self._guest.files.watch(*_watched(message))
        try:
            yield {"start": {}}
            while True:
                try:
                    async with asyncio.timeout_at(deadline):
                        events = await watcher.wait()
                except TimeoutError:
                    raise ConnectError("deadline_exceeded", "the stream was to last no longer") from None
                for event in events:
                    yield {"filesystem": event}
        finally:
            with contextlib.suppress(ConnectError):
                await self._guest.files.unwatch(watcher)

    async def create_watcher(self, message: Document) -> Document:
        return {"watcherId": (await self._guest.files.watch(*_watched(message))).id}

    async def get_watcher_events(self, message: Document) -> Document:
        return {"events": self._guest.files.watcher(member(message, "watcherId", str)).take()}

    async def remove_watcher(self, message: Document) -> Document:
        await self._guest.files.unwatch(self._guest.files.watcher(member(message, "watcherId", str)))
        return {}

    async def _ask(self, do: str, message: Document, **arguments: Any) -> Any:
        return await self._guest.files.ask(do, path=path_of(member(message, "path", str)), **arguments)

    def _chosen(self, message: Document) -> Running:
        selector = member(message, "process", dict)
        if "tag" in selector:
            tag = member(selector, "tag", str)
            return self._guest.processes.find(lambda running: running.known.tag == tag)
        pid = number(selector, "pid")
        return self._guest.processes.find(lambda running: running.known.pid == pid)


def _command(config: Document, message: Document) -> Command:
    words = member(config, "args", list, []) or []
    variables = member(config, "envs", dict, {}) or {}
    if not all(isinstance(text, str) for text in (*words, *variables.values())):
        raise ConnectError("invalid_argument", "`args` and `envs` must hold texts")
    asked = member(config, "cwd", str, "")
    folder = path_of(asked) if asked else None  # the template's
    terminal = member(message, "pty", dict, {})
    return Command(
        (member(config, "cmd", str), *words),
        {**ENVIRONMENT, **({"PWD": folder} if folder else {}), **variables},
        folder,
        _size(terminal) if terminal else None,
    )


def _size(terminal: Document) -> TerminalSize:
    size = member(terminal, "size", dict)
    columns, rows = (min(max(number(size, name), 1), _TERMINAL_SIDE_MAX) for name in ("cols", "rows"))
    return TerminalSize(columns, rows)


def _watched(message: Document) -> tuple[str, bool]:
    return path_of(member(message, "path", str)), member(message, "recursive", bool, False)


async def _type(running: Running, given: Document) -> None:
    text = member(given, "pty" if running.known.terminal else "stdin", str)
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConnectError("invalid_argument", "the input is not base64") from error
    await running.type(data)


async def _told(listener: Listener, deadline: float) -> AsyncIterator[Document]:
    """Up to the end. Raises TimeoutError at the deadline."""
    while True:
        async with asyncio.timeout_at(deadline):
            message = await anext(listener)
        if isinstance(message, Chunk):
            data = base64.b64encode(message.data).decode()
            yield {"event": {"data": {message.kind: data}}}
        else:
            yield {"event": {"end": _ended(message)}}
            return


def _started(running: Running) -> Document:
    return {"event": {"start": {"pid": running.known.pid}}}


def _ended(end: End) -> Document:
    """As Go tells it, in which E2B's daemon is written."""
    if end.code is None:
        raise ConnectError("unavailable", "the sandbox ended before the process did")
    if end.code >= 0:
        status = f"exit status {end.code}"
        return {
            "exitCode": end.code,
            "exited": True,
            "status": status,
            **({"error": status} if end.code else {}),
        }
    status = f"signal: {_signal_name(-end.code)}"
    return {"exitCode": -1, "exited": False, "status": status, "error": status}


def _signal_name(number: int) -> str:
    words = {9: "killed", 15: "terminated", 2: "interrupt", 11: "segmentation fault", 6: "aborted"}
    return words.get(number) or Signals(number).name
