"""Packages of Debian and its like, unpacked beside the host's own: `apt-get` and `dpkg-deb`.

apt works on state of ours that says what the host has, so it fetches just what is missing, and checks it
against the host's keys; nothing of the host's own changes.
"""

import asyncio
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from innkeeper.services.builder.layers import Filled
from innkeeper.services.builder.model import BuildFailed
from innkeeper.services.builder.program import reaching_out, run
from innkeeper.services.builder.thread import in_thread

_STATUS = Path("/var/lib/dpkg/status")
_PROGRAMS = ("apt-get", "dpkg-deb", "dpkg-query")
_SCRIPTS = ("preinst", "postinst")
_CONTROL = "control"
_INSTALL = (
    *("install", "--download-only", "--yes", "--no-install-recommends", "--no-remove", "--no-upgrade"),
)


class Apt:
    """`root` is for its lists of packages. Where packages come from is what this server's apt is set to.

    None of a package's code runs: scripts that packages would run when they are installed are left out.
    """

    def __init__(self, root: Path, timeout_seconds: float) -> None:
        self._root = root
        self._timeout_seconds = timeout_seconds
        self._lists = asyncio.Lock()  # apt's own lock does not wait

    async def install(self, packages: Sequence[str], folder: Path) -> Filled:
        """What the host lacks of them, as a tree with `usr` in it. Raises BuildFailed with apt's reason."""
        if not (await in_thread(_STATUS.exists) and all(map(shutil.which, _PROGRAMS))):
            raise BuildFailed("apt packages need a server on Debian or its like: it has no apt-get here")
        archives = folder.with_name("archives")
        async with self._lists:
            await in_thread((self._root / "lists" / "partial").mkdir, parents=True, exist_ok=True)
            await self._apt(archives, "update")
        await in_thread((archives / "partial").mkdir, parents=True)
        await self._apt(archives, *_INSTALL, "--", *packages)
        filled = Filled()
        for archive in sorted(await in_thread(list, archives.glob("*.deb"))):
            await self._unpack(archive, folder, filled)
        await self._note_present(packages, filled)
        await in_thread(_merge, folder)
        await in_thread(shutil.rmtree, archives)
        return filled

    async def _apt(self, archives: Path, *words: str) -> None:
        places = {
            "Dir::State": self._root,
            "Dir::State::status": _STATUS,
            "Dir::Cache": self._root,
            "Dir::Cache::archives": archives,
            "Debug::NoLocking": "true",
        }
        if os.getuid() == 0:
            places["APT::Sandbox::User"] = "root"  # apt's own user may not enter our folders
        options = [word for name, value in places.items() for word in ("-o", f"{name}={value}")]
        await self._run("apt-get", *options, "-qq", *words)

    async def _unpack(self, archive: Path, folder: Path, filled: Filled) -> None:
        control = archive.with_name(_CONTROL)
        await self._run("dpkg-deb", "--extract", str(archive), str(folder))
        await self._run("dpkg-deb", "--control", str(archive), str(control))
        name = await self._run("dpkg-deb", "--field", str(archive), "Package")
        version = await self._run("dpkg-deb", "--field", str(archive), "Version")
        filled.resolved[name] = f"{version} sha256:{await in_thread(_sha256, archive)}"
        if await in_thread(lambda: any((control / script).exists() for script in _SCRIPTS)):
            filled.notes.append(f"scripts of the apt package {name} were not run")
        await in_thread(shutil.rmtree, control)

    async def _note_present(self, packages: Sequence[str], filled: Filled) -> None:
        for name in (package.partition("=")[0] for package in packages):
            if name not in filled.resolved:
                version = await self._run("dpkg-query", "--show", "--showformat=${Version}", name)
                filled.resolved[name] = f"{version} (the host's)"

    async def _run(self, *argv: str) -> str:
        """What it says. Raises BuildFailed."""
        outcome = await run(
            argv, environment=reaching_out(("DEB_", "APT_")), timeout_seconds=self._timeout_seconds
        )
        if outcome.code != 0:
            raise BuildFailed(f"installing the apt packages failed:\n{outcome.ending}")
        return outcome.output.strip()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _merge(folder: Path) -> None:
    """Where the host has `/bin` as a link into `/usr`, packages may still have a folder of that name."""
    for path in [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]:
        if (link := Path("/", path.name)).is_symlink():
            target = folder / link.resolve().relative_to("/")
            shutil.copytree(path, target, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(path)
