"""The steps of a template build, done in the sandbox that becomes the template, and what is said of them."""

import asyncio
import codecs
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from innkeeper.engines.sandbox.sandbox import Command, Sandbox, SandboxError
from innkeeper.kernel.call import Document
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import InvalidRequest
from innkeeper.services.e2b.connect import ConnectError
from innkeeper.services.e2b.model import ENVIRONMENT, HOME
from innkeeper.services.e2b.processes import End, Processes
from innkeeper.services.e2b.recipe import Setting, Step

_ENTRIES_MAX = 10_000
_MESSAGE_MAX = 4_000
_BASH = ("/bin/bash", "-c")
_REFUSALS = ("Read-only file system", "Permission denied", "are you root?")
_HINT = (
    "a build writes to /home/user, /tmp and folders at the root such as /app; what belongs into the system's "
    "own folders comes by apt_install, pip_install and npm_install with names of packages"
)
# As Docker copies: the content of a folder, a file under its own name where the destination is a folder.
_COPY = r"""
set -e
archive=$1 source=${2#./} target=$3 mode=$4
from=$(mktemp -d)
trap 'rm -rf "$from" "$archive"' EXIT
tar --extract --no-same-owner --file="$archive" --directory="$from"
cd "$from"
shopt -s globstar nullglob
IFS=
if [ -e "$source" ] || [ -L "$source" ]; then found=("$source"); else found=($source); fi
[ ${#found[@]} -gt 0 ] || { echo "nothing matches $source" >&2; exit 1; }
case "$target" in */) folder=1 ;; *) folder= ;; esac
if [ ${#found[@]} -gt 1 ] || [ -d "$target" ]; then folder=1; fi
for one in "${found[@]}"; do
    [ -z "$mode" ] || [ -L "$one" ] || chmod -R "$mode" "$one"
    if [ -d "$one" ] && [ ! -L "$one" ]; then
        mkdir -p "$target"
        cp -a "$one/." "$target/"
    elif [ "$folder" ]; then
        mkdir -p "$target"
        cp -a "$one" "$target/"
    else
        mkdir -p "$(dirname "$target")"
        cp -a "$one" "$target"
    fi
done
"""

Find = Callable[[str], Path]
"""Where the archive of a step's files lies."""


class StepFailed(InvalidRequest):
    """A step that did not do; its message is for the template's author."""


class BuildLog:
    """What is told of a build, as it happens; `step` is the one that goes on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.entries: list[Document] = []
        self.step = "base"

    def add(self, message: str, level: str = "info") -> None:
        if len(self.entries) < _ENTRIES_MAX:
            self.entries.append(entry(self._clock.now(), message, level, self.step))


def entry(moment: datetime, message: str, level: str, step: str = "") -> Document:
    told = {"timestamp": moment.isoformat(), "message": message[:_MESSAGE_MAX], "level": level}
    return {**told, **({"step": step} if step else {})}


@dataclass(frozen=True, slots=True)
class Making:
    """`find` and `timeout_seconds` are for each step."""

    steps: Sequence[Step]
    find: Find
    log: BuildLog
    timeout_seconds: float

    async def __call__(self, sandbox: Sandbox) -> None:
        """Raises StepFailed."""
        setting, processes = Setting(), Processes(sandbox)
        with contextlib.closing(processes):
            for step in self.steps:
                self.log.step = step.number
                self.log.add(f"[{step.number}] {step.shown}")
                if not setting.take(step):
                    await self._do(sandbox, processes, step, setting)
        self.log.step = "finalize"

    async def _do(self, sandbox: Sandbox, processes: Processes, step: Step, setting: Setting) -> None:
        if step.kind == "WORKDIR":
            argv: tuple[str, ...] = ("mkdir", "-p", "--", setting.folder)
        elif step.kind == "COPY":
            argv = await self._copying(sandbox, step, setting)
        else:
            argv = (*_BASH, step.args[0])
        folder = HOME if step.kind == "WORKDIR" else setting.folder
        try:
            said = await self._run(processes, argv, setting, folder)
        except (SandboxError, ConnectError) as error:
            said = str(error)
        if said is not None:
            hint = f"; {_HINT}" if any(refusal in said for refusal in _REFUSALS) else ""
            raise StepFailed(f"{step.shown[:200]}: {said[-1000:].strip()}{hint}")

    async def _copying(self, sandbox: Sandbox, step: Step, setting: Setting) -> tuple[str, ...]:
        try:
            data = await asyncio.to_thread(self.find(step.files).read_bytes)
        except FileNotFoundError as error:
            raise StepFailed(f"{step.shown[:200]}: its files were not uploaded") from error
        archive = f"/tmp/{uuid4().hex}.tar"  # noqa: S108 (the sandbox's own)
        await sandbox.write_file(archive, data)
        source, target, *others = step.args
        mode = others[1] if len(others) > 1 else ""
        slash = "/" if target.endswith("/") else ""
        return (*_BASH, _COPY, "copy", archive, source, setting.inside(target) + slash, mode)

    async def _run(
        self, processes: Processes, argv: Sequence[str], setting: Setting, folder: str
    ) -> str | None:
        """How it ended, unless well. Raises SandboxError, ConnectError."""
        command = Command(argv, {**ENVIRONMENT, **setting.variables}, folder)
        deadline = asyncio.get_running_loop().time() + self.timeout_seconds
        decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("stdout", "stderr")}
        said = ""
        async with processes.start(command, {}, None, False, deadline) as (_, listener):
            async for message in listener:
                if isinstance(message, End):
                    return None if message.code == 0 else f"it ended with {message.code}: {said}"
                text = decoders[message.kind].decode(message.data)
                said = (said + text)[-_MESSAGE_MAX:]
                for line in filter(str.strip, text.splitlines()):
                    self.log.add(line, "info" if message.kind == "stdout" else "warn")
        return "it did not end"
