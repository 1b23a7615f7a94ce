"""What runsc(1) tells a sentry, told without runsc, which takes longer to start than most of it to do.

The control socket takes calls, each a JSON object whose descriptors go with its first byte, and answers each
with one. This is gVisor's own affair, so it is used only with builds that were tried. Source: `pkg/urpc`,
`runsc/sandbox` and `runsc/boot/controller.go` of https://github.com/google/gvisor, release-20240729.0.
"""

import asyncio
import contextlib
import functools
import json
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from innkeeper.engines.sandbox.gvisor.restoring import IMAGE, TIMEOUT_SECONDS, Restoring
from innkeeper.engines.sandbox.gvisor.runsc import CommandLine, Sentry, explained
from innkeeper.engines.sandbox.sandbox import SandboxError

BUILDS = frozenset({"runsc version 0.0~20240729.0", "runsc version release-20240729.0"})

_ANSWER_MAX_BYTES = 65_536
_NEW = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
_LOOPBACK = {
    "Name": "lo",
    "Addresses": [{"Address": "127.0.0.1", "PrefixLen": 8}, {"Address": "::1", "PrefixLen": 128}],
    "Routes": [
        {"Destination": {"IP": "127.0.0.0", "Mask": "/wAAAA=="}},
        {"Destination": {"IP": "::1", "Mask": "/////////////////////w=="}},
    ],
}
_NETWORK = {"LoopbackLinks": [_LOOPBACK], "DisconnectOk": True}
_RESTORE = ("containerManager.Restore", {"HavePagesFile": True})


def sentry(state: Path, network: str, container: str, bundle: Path, build: str) -> Sentry:
    """How one is told with this build of runsc."""
    told = Control if build in BUILDS else CommandLine
    return told(state, network, container, bundle)


class Control(CommandLine):
    """runsc itself hands over a network's interfaces, and so restores what has one."""

    async def checkpoint(self, image: Path) -> None:
        with _opened(image, _NEW) as files:
            options = {"metadata": {"compression": "none"}, "have_pages_file": True, "Resume": True}
            await self._call("containerManager.Checkpoint", options, files)

    async def restore(self, image: Path) -> None:
        if self._network != "none":
            await super().restore(image)
            return
        with _opened(image, os.O_RDONLY | os.O_CLOEXEC) as files:
            await self._call("Network.CreateLinksAndRoutes", _NETWORK)
            await self._call(*_RESTORE, files)

    async def begin(self, image: Path) -> Restoring | None:
        if self._network != "none":
            return None
        await self._call("Network.CreateLinksAndRoutes", _NETWORK)
        try:
            return await Restoring.begin(image, functools.partial(self._tell, *_RESTORE))
        except OSError as error:
            raise SandboxError(f"cannot open the snapshot: {error.strerror}") from error

    async def pause(self) -> None:
        await self._call("containerManager.Pause", None)

    async def resume(self) -> None:
        await self._call("containerManager.Resume", None)

    async def _call(self, method: str, argument: Any, files: Sequence[int] = ()) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._tell(method, argument, files)
        except TimeoutError:
            raise SandboxError(f"the sentry did not answer in {TIMEOUT_SECONDS:g} s") from None

    async def _tell(self, method: str, argument: Any, files: Sequence[int]) -> None:
        """It may take as long as it likes."""
        try:
            answer = await self._answer(json.dumps({"method": method, "arg": argument}).encode(), files)
        except OSError as error:
            raise SandboxError(f"the sentry does not answer: {error.strerror}") from error
        if not answer["success"]:
            raise SandboxError(explained(answer["err"]))

    async def _answer(self, asked: bytes, files: Sequence[int]) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as stack:
            path = self._state / f"runsc-{self._container}.sock"  # it may be too long for a socket
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            stack.callback(os.close, place)
            connection = stack.enter_context(
                socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            )
            await loop.sock_connect(connection, f"/proc/self/fd/{place}")
            socket.send_fds(connection, [asked], files)
            said = b""
            while len(said) < _ANSWER_MAX_BYTES:
                part = await loop.sock_recv(connection, _ANSWER_MAX_BYTES)
                if not part:
                    raise SandboxError("the sentry has ended")
                said += part
                with contextlib.suppress(ValueError):  # there is more to come
                    answer: dict[str, Any] = json.loads(said)
                    return answer
        raise SandboxError("the sentry said more than was agreed")


@contextlib.contextmanager
def _opened(image: Path, flags: int) -> Iterator[list[int]]:
    """The files of an image, in the order in which they are passed."""
    files: list[int] = []
    try:
        try:
            for name in IMAGE:
                files.append(os.open(image / name, flags, 0o600))
        except OSError as error:
            raise SandboxError(f"cannot open {name} of the snapshot: {error.strerror}") from error
        yield files
    finally:
        for file in files:
            os.close(file)
