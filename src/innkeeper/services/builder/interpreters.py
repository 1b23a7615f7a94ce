"""The interpreters of this machine that an agent's code may run on."""

import asyncio
import json
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from innkeeper.services.builder.model import BuildFailed
from innkeeper.services.builder.program import run

_OLDEST, _NEWEST = 10, 20
_PROBE_TIMEOUT_SECONDS = 10.0
DENO = "deno"
# Every sandbox has the system's own folders.
_SYSTEM_FOLDERS = tuple(Path(folder) for folder in ("/usr", "/lib", "/lib64", "/bin"))
_PROBE = """
import json, os, sys, sysconfig
print(json.dumps({
    "path": getattr(sys, "_base_executable", sys.executable),
    "version": "%d.%d.%d" % sys.version_info[:3],
    "usable": sys.implementation.name == "cpython" and sys.version_info.releaselevel == "final"
        and not sysconfig.get_config_var("Py_GIL_DISABLED"),
    "folders": [sys.base_prefix, sys.base_exec_prefix, os.path.dirname(os.__file__),
        sysconfig.get_path("platstdlib", vars={"platbase": sys.base_exec_prefix}),
        sysconfig.get_config_var("LIBDIR")],
}))
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """`language` is `python`, `node` or `deno`; `path` is the real program, never a virtual environment's or
    a shim.

    `mounts` are the folders outside the system's own that it needs; `notes` say when it is not the one asked
    for.
    """

    language: str
    path: Path
    version: str
    mounts: tuple[Path, ...]
    notes: tuple[str, ...] = ()

    @property
    def minor(self) -> tuple[int, int]:
        """(3, 12) of 3.12.1."""
        major, minor = self.version.split(".")[:2]
        return int(major), int(minor)

    @property
    def tag(self) -> str:
        """What a build made with it depends on: `python-3.12.1-linux-x86_64`."""
        return f"{self.language}-{self.version}-{sysconfig.get_platform()}"


class Interpreters:
    """Finds interpreters by the names that AgentCore gives them: `PYTHON_3_12`, `NODE_22`; Deno is `DENO_2`.

    The exact minor version is looked for as the server's own Python, on the PATH, among pyenv's and uv's
    versions, and in the system's folders. When it is nowhere, the nearest newer one stands in, else the
    nearest older from 3.10 on, unless `python_exact` forbids it. `deno` is Deno's path, or its name on the
    PATH; where it is `DENO`, and not there, others may fetch one.
    """

    def __init__(self, python_exact: bool = False, deno: str = "none") -> None:
        self._python_exact = python_exact
        self._deno = deno
        self.may_fetch_deno = deno == DENO
        self._probed: dict[Path, Interpreter | None] = {}

    async def find(self, runtime: str) -> Interpreter:
        """Raises BuildFailed, naming what to install."""
        if runtime == "DENO_2":
            return await self._deno_2()
        match = re.fullmatch(r"PYTHON_3_(\d{1,2})|NODE_(\d{1,3})", runtime)
        if match is None:
            raise BuildFailed(f"unknown runtime {runtime[:40]!r}; use PYTHON_3_10 to PYTHON_3_14 or NODE_22")
        if match[2]:
            return await self._node(match[2])
        return await self._python(int(match[1]))

    async def _python(self, wanted: int) -> Interpreter:
        if exact := await self._exact_python(wanted):
            return exact
        if not self._python_exact:
            for minor in (*range(wanted + 1, _NEWEST + 1), *range(wanted - 1, _OLDEST - 1, -1)):
                if near := await self._exact_python(minor):
                    note = f"Python 3.{wanted} is not installed on this server; running on {near.version}"
                    return replace(near, notes=(note,))
        raise BuildFailed(
            f"Python 3.{wanted} is not installed on this server; install it, for example with"
            f" `uv python install 3.{wanted}`, or choose another runtime"
        )

    async def _exact_python(self, minor: int) -> Interpreter | None:
        for path in await asyncio.to_thread(list, _pythons(minor)):
            if path not in self._probed:
                self._probed[path] = await _probe_python(path)
            found = self._probed[path]
            if found is not None and found.minor == (3, minor):
                return found
        return None

    async def _node(self, wanted: str) -> Interpreter:
        program = await asyncio.to_thread(shutil.which, "node")
        found = await _probe_node(Path(program)) if program else None
        if found is None:
            raise BuildFailed(f"Node.js is not installed on this server; put node {wanted} on its PATH")
        if found.version.split(".")[0] == wanted:
            return found
        note = f"Node.js {wanted} is not installed on this server; running on {found.version}"
        return replace(found, notes=(note,))

    async def _deno_2(self) -> Interpreter:
        program = await asyncio.to_thread(shutil.which, self._deno)
        found = await _probe_deno(Path(program)) if program else None
        if found is None:
            raise BuildFailed(
                "Deno 2 is not installed on this server: install it, for example with `npm install --global "
                "deno`, name its path by INNKEEPER_CODE_INTERPRETER_DENO unless it is on the server's PATH, "
                "and start the server anew; or use the runtime nodejs"
            )
        return found


def _pythons(minor: int) -> Iterator[Path]:
    """Where CPython 3.`minor` may be, the best place first."""
    name = f"python3.{minor}"
    if sys.version_info[:2] == (3, minor):
        yield Path(sys.executable)
    if on_path := shutil.which(name):
        yield Path(on_path)
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    yield from _newest_first(pyenv, f"3.{minor}.*", name)
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv/python")
    yield from _newest_first(uv, f"cpython-3.{minor}.*", name)
    for folder in ("/usr/local/bin", "/usr/bin"):
        if (path := Path(folder, name)).exists():
            yield path


def _newest_first(folder: Path, versions: str, name: str) -> list[Path]:
    found = folder.glob(f"{versions}/bin/{name}")
    return sorted(found, key=lambda path: _numbers(path.parts[-3]), reverse=True)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


async def _probe_python(path: Path) -> Interpreter | None:
    """None when it does not run, or is no released CPython with its global lock."""
    answer = await _answer(path, "-I", "-c", _PROBE)
    try:
        facts = json.loads(answer or "{}")
    except ValueError:
        return None
    if not facts.get("usable"):
        return None
    folders = [Path(folder) for folder in facts["folders"] if folder]
    return _installed("python", facts["path"], facts["version"], folders)


async def _probe_node(path: Path) -> Interpreter | None:
    answer = await _answer(path, "-p", "process.execPath + ' ' + process.versions.node")
    if answer is None:
        return None
    executable, _, version = answer.rpartition(" ")
    return _installed("node", executable, version, [])


async def _probe_deno(path: Path) -> Interpreter | None:
    answer = await _answer(path, "eval", "console.log(Deno.execPath() + ' ' + Deno.version.deno)")
    executable, _, version = (answer or "").rpartition(" ")
    return _installed("deno", executable, version, []) if version.startswith("2.") else None


async def _answer(path: Path, *arguments: str) -> str | None:
    """The last line that a program said, or None when it failed."""
    try:
        outcome = await run(
            (path, *arguments), environment=os.environ, timeout_seconds=_PROBE_TIMEOUT_SECONDS
        )
    except TimeoutError:
        return None
    lines = outcome.output.strip().splitlines()
    return lines[-1] if lines and outcome.code == 0 else None


def _installed(language: str, executable: str, version: str, folders: list[Path]) -> Interpreter:
    """Mounts the outermost of the folders and of the program's own, without those that every sandbox has."""
    program = Path(executable).resolve()
    existing = {folder.resolve() for folder in folders if folder.is_dir()} | {program.parent}
    mounts: list[Path] = []
    for folder in sorted(existing, key=lambda path: len(path.parts)):
        if not any(folder.is_relative_to(other) for other in (*_SYSTEM_FOLDERS, *mounts)):
            mounts.append(folder)
    return Interpreter(language, program, version, tuple(mounts))
