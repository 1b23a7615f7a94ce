"""Interactive shells in a session, over the channels of Kubernetes' v5 remote-command protocol.

A message is one channel byte and its payload: 0 stdin, 1 stdout, 2 stderr (diagnostics), 3 status (JSON),
4 resize (JSON `{"width", "height"}`), 5 heartbeat (echoed), 255 close. A shell outlives its connection:
whoever comes with its id gets what was printed meanwhile, and takes it over from the one before.
"""

import asyncio
import json
import re
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import uuid4

from innkeeper.engines.sandbox.sandbox import Command, Process, SandboxError, TerminalSize
from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import AgentFailed, FieldError, InvalidRequest, QuotaExceeded
from innkeeper.services.runtime.session import Session

STDIN, STDOUT, STDERR, STATUS, RESIZE, HEARTBEAT, CLOSE = 0, 1, 2, 3, 4, 5, 255
FRAME_MAX_BYTES = 65_536
SHELLS_PER_SESSION = 10
REPLAY_MAX_BYTES = 262_144
_SHELL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_SIGHUP = 1

Send = Callable[[bytes], Awaitable[None]]


@dataclass(slots=True)
class Shell:
    """A terminal in a session. `replay` holds the last output, for whoever connects next."""

    id: str
    process: Process
    replay: deque[bytes] = field(default_factory=deque)
    replay_bytes: int = 0
    send: Send | None = None
    replaced: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    exit_code: int | None = None

    async def attach(self, send: Send, reconnected: bool) -> asyncio.Event:
        """Send all output here from now on; the event given is set when another connection takes over."""
        self.replaced.set()
        self.replaced = asyncio.Event()
        self.send = send
        await send(_status({"shellId": self.id, "reconnected": reconnected}, {"status": "Success"}))
        for chunk in tuple(self.replay):
            await send(_frame(STDOUT, chunk))
        return self.replaced

    def detach(self, send: Send) -> None:
        """This connection is gone; the shell goes on."""
        if self.send == send:
            self.send = None

    async def receive(self, message: bytes) -> bool:
        """Act on a message of the client's; False when it asks to close the shell."""
        channel, payload = (message[0], message[1:]) if message else (HEARTBEAT, b"")
        if channel == STDIN:
            self.process.stdin.write(payload)
            await self.process.stdin.drain()
        elif channel == RESIZE:
            await self.process.resize(_size(payload))
        elif channel == HEARTBEAT and self.send is not None:
            await self.send(message)
        return channel != CLOSE

    async def close(self) -> None:
        try:
            await self.process.signal(_SIGHUP)
        except SandboxError:
            pass
        finally:
            self.process.close()

    def keep(self, chunk: bytes) -> None:
        self.replay.append(chunk)
        self.replay_bytes += len(chunk)
        while self.replay_bytes > REPLAY_MAX_BYTES:
            self.replay_bytes -= len(self.replay.popleft())


class Shells:
    """The shells of all sessions of this host. They end with their session."""

    def __init__(self) -> None:
        self._shells: dict[tuple[str, str], Shell] = {}
        self._pumps: set[asyncio.Task[None]] = set()

    async def open(self, session: Session, shell_id: str | None) -> tuple[Shell, bool]:
        """The shell of this id, and whether it was there already; a new one without an id."""
        if shell_id is not None and not _SHELL_ID.fullmatch(shell_id):
            rule = f"must match {_SHELL_ID.pattern}"
            raise InvalidRequest(f"Value at 'shellId' {rule}", (FieldError("shellId", rule),))
        key = session.id, shell_id or uuid4().hex
        if key in self._shells:
            return self._shells[key], True
        if sum(owner == session.id for owner, _ in self._shells) >= SHELLS_PER_SESSION:
            raise QuotaExceeded(f"A session has at most {SHELLS_PER_SESSION} shells")
        command = Command(("/bin/sh", "-c", "exec $(command -v bash || echo sh) -i"), terminal=TerminalSize())
        try:
            shell = Shell(key[1], await session.sandbox.exec(command))
        except SandboxError as error:
            raise AgentFailed(f"The shell could not be started: {error}") from error
        self._shells[key] = shell
        pump = asyncio.create_task(self._pump(key, shell))
        self._pumps.add(pump)
        pump.add_done_callback(self._pumps.discard)
        return shell, False

    async def _pump(self, key: tuple[str, str], shell: Shell) -> None:
        try:
            while chunk := await shell.process.stdout.read(FRAME_MAX_BYTES - 1):
                shell.keep(chunk)
                await _pass(shell, _frame(STDOUT, chunk))
            shell.exit_code = await shell.process.wait()
        except (SandboxError, OSError):
            shell.exit_code = None
        finally:
            self._shells.pop(key, None)
            await _pass(shell, _status({}, _outcome(shell.exit_code)))
            shell.ended.set()
            shell.process.close()


async def _pass(shell: Shell, message: bytes) -> None:
    """Send to whoever is connected; a connection that fails is let go, the shell goes on."""
    if shell.send is None:
        return
    try:
        await shell.send(message)
    except Exception:
        shell.send = None


def _frame(channel: int, payload: bytes) -> bytes:
    return bytes((channel,)) + payload


def _size(payload: bytes) -> TerminalSize:
    try:
        size = json.loads(payload)
        columns, rows = (min(max(int(size[name]), 1), 1000) for name in ("width", "height"))
    except (ValueError, TypeError, KeyError) as error:
        rule = 'must be {"width": columns, "height": rows}'
        raise InvalidRequest(f"A resize message {rule}", (FieldError("resize", rule),)) from error
    return TerminalSize(columns, rows)


def _status(metadata: Document, outcome: Document) -> bytes:
    """A metav1.Status; one without a `shellId` says that the shell has ended."""
    status = {"kind": "Status", "apiVersion": "v1", "metadata": metadata, **outcome}
    return _frame(STATUS, json.dumps(status).encode())


def _outcome(code: int | None) -> Document:
    if code == 0:
        return {"status": "Success"}
    if code is None:
        return {"status": "Failure", "reason": "InternalError", "message": "the session ended", "code": 500}
    shown = code if code > 0 else 128 - code
    causes = [{"reason": "ExitCode", "message": str(shown)}]
    if code < 0:
        causes.append({"reason": "Signal", "message": str(-code)})
    return {
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with exit code {shown}",
        "details": {"causes": causes},
    }
