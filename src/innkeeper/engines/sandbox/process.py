"""A process in a sandbox, as the host holds it: its streams, its exit, its terminal."""

import asyncio
import errno
import fcntl
import os
import struct
import termios
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from signal import valid_signals
from typing import BinaryIO, Protocol

from innkeeper.engines.sandbox.calls import Calls, Exit, Reply
from innkeeper.engines.sandbox.guest import AT_DIRECTORY, AT_PROGRAM
from innkeeper.engines.sandbox.sandbox import (
    CannotStart,
    Command,
    SandboxError,
    SandboxGone,
    TerminalSize,
)
from innkeeper.engines.sandbox.terminal import TerminalInput, TerminalOutput

# As shells end: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_08_02
_NO_PROGRAM, _NO_EXECUTABLE = 127, 126
Begin = Callable[[Sequence[int]], Awaitable[Reply]]
"""Starts a process with these standard input, output and error, and gives what the guest agent answered."""


@dataclass(frozen=True, slots=True)
class Streams:
    """Our ends of a process's pipes, or of its terminal."""

    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader
    readers: tuple[asyncio.ReadTransport, ...]
    terminal: BinaryIO | None = None

    def close(self) -> None:
        self.stdin.close()
        for reader in self.readers:
            reader.close()


class OpenStreams(Protocol):
    @property
    def stdin(self) -> asyncio.StreamWriter: ...

    @property
    def stdout(self) -> asyncio.StreamReader: ...

    @property
    def stderr(self) -> asyncio.StreamReader: ...

    def close(self) -> None: ...


class SandboxProcess(ABC):
    def __init__(self, channel: Calls, pid: int, exited: Exit, streams: OpenStreams) -> None:
        self._channel = channel
        self.id = pid
        self._exited = exited
        self._streams = streams
        self.stdin = streams.stdin
        self.stdout = streams.stdout
        self.stderr = streams.stderr

    async def wait(self) -> int:
        code = await asyncio.shield(self._exited)
        if code is None:
            raise SandboxGone("the sandbox ended before the process did")
        return code

    async def signal(self, number: int) -> None:
        if number not in valid_signals():
            raise SandboxError(f"{number} is no signal")
        if not self._exited.done():
            await self._channel.call("signal", str(self.id), str(int(number)))

    @abstractmethod
    async def go_direct(self) -> None: ...

    @abstractmethod
    async def resize(self, size: TerminalSize) -> None: ...

    def close(self) -> None:
        self._streams.close()


class HeldProcess(SandboxProcess):
    """One whose streams are descriptors that the guest agent passed."""

    def __init__(self, channel: Calls, pid: int, exited: Exit, streams: Streams) -> None:
        super().__init__(channel, pid, exited, streams)
        self._terminal = streams.terminal

    async def go_direct(self) -> None:
        """There is nothing between."""

    async def resize(self, size: TerminalSize) -> None:
        terminal = self._terminal
        if terminal is None:
            raise SandboxError("this process has no terminal to resize")
        if not terminal.closed:
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", size.rows, size.columns, 0, 0))


async def start(
    channel: Calls, command: Command, directory: str, environment: Mapping[str, str]
) -> HeldProcess:
    """Raises SandboxError when the program cannot be started, SandboxGone when the sandbox ended."""
    try:
        return await _start(channel, command, directory, environment)
    except OSError as error:
        raise SandboxError(f"cannot start a process: {error.strerror}") from error


async def _start(
    channel: Calls, command: Command, directory: str, environment: Mapping[str, str]
) -> HeldProcess:
    fields = request_of(command, directory, environment)
    if command.terminal:
        reply = await channel.call("exec", *fields)
        exited = exit_of(reply, fields)
        streams = terminal_streams(reply.take())
    else:
        reply, streams = await _with_pipes(lambda fds: channel.call("exec", *fields, fds=fds))
        try:
            exited = exit_of(reply, fields)
        except SandboxError:
            streams.close()
            raise
    return HeldProcess(channel, reply.value, exited, streams)


async def held(channel: Calls, begin: Begin) -> HeldProcess:
    """One that the guest agent adopts: `begin` gives its answer. Raises SandboxError."""
    reply, streams = await _with_pipes(begin)
    if reply.exit is None:
        streams.close()
        raise SandboxError(f"the sandbox lost the process: {os.strerror(reply.error)}")
    return HeldProcess(channel, reply.value, reply.exit, streams)


def request_of(command: Command, directory: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The fields of an `exec`, as the guest agent reads them. Raises SandboxError for an empty command."""
    if not command.argv:
        raise SandboxError("a command needs at least the name of a program")
    size = command.terminal
    terminal = f"{size.columns} {size.rows}" if size else ""
    variables = (f"{name}={value}" for name, value in environment.items())
    return (terminal, directory, str(len(command.argv)), *command.argv, *variables)


def exit_of(reply: Reply, fields: Sequence[str]) -> Exit:
    """Raises CannotStart for the program, SandboxError for the working directory and the like."""
    if reply.exit is not None:
        return reply.exit
    reply.drop()
    _, directory, _, program, *_ = fields
    what = f"the working directory {directory!r}" if reply.value == AT_DIRECTORY else f"{program!r}"
    message = f"cannot start {program!r}: {what}: {os.strerror(reply.error)}"
    if reply.value == AT_PROGRAM:
        raise CannotStart(message, _NO_PROGRAM if reply.error == errno.ENOENT else _NO_EXECUTABLE)
    raise SandboxError(message)


async def _with_pipes(begin: Begin) -> tuple[Reply, Streams]:
    with ExitStack() as theirs, ExitStack() as ours:
        stdin, stdin_writer = _pipe(theirs, ours)
        stdout_reader, stdout = _pipe(ours, theirs)
        stderr_reader, stderr = _pipe(ours, theirs)
        reply = await begin((stdin.fileno(), stdout.fileno(), stderr.fileno()))
        ours.pop_all()
    out, out_transport = await reading(stdout_reader)
    err, err_transport = await reading(stderr_reader)
    return reply, Streams(await writing(stdin_writer), out, err, (out_transport, err_transport))


def terminal_streams(fd: int) -> Streams:
    """One descriptor, read and written; a terminal has no standard error of its own."""
    os.set_blocking(fd, False)
    terminal = os.fdopen(fd, "rb", buffering=0)
    protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
    typed = TerminalInput(terminal, protocol)
    stdin = asyncio.StreamWriter(typed, protocol, None, asyncio.get_running_loop())
    shown, nothing = asyncio.StreamReader(), asyncio.StreamReader()
    nothing.feed_eof()
    return Streams(stdin, shown, nothing, (TerminalOutput(terminal, shown, typed),), terminal)


def _pipe(reading: ExitStack, writing: ExitStack) -> tuple[BinaryIO, BinaryIO]:
    """A pipe whose ends belong to the one and the other stack."""
    read, write = os.pipe()
    reader: BinaryIO = reading.enter_context(os.fdopen(read, "rb", buffering=0))
    writer: BinaryIO = writing.enter_context(os.fdopen(write, "wb", buffering=0))
    return reader, writer


async def reading(file: BinaryIO) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
    return reader, transport


async def writing(file: BinaryIO) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
    transport, _ = await loop.connect_write_pipe(lambda: protocol, file)
    return asyncio.StreamWriter(transport, protocol, None, loop)
