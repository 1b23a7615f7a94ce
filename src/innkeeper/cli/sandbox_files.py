"""Files and folders carried into a sandbox and out of it, of any size, in parts that one request can hold."""

import base64
import io
import json
import posixpath
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

from innkeeper.cli.api import Api
from innkeeper.cli.failure import CommandFailed
from innkeeper.cli.folder_target import FolderTarget
from innkeeper.cli.sse import lines
from innkeeper.kernel.call import Document

_PART_BYTES = 16 << 20  # base64 of it, as JSON, is far below what a request may have
_COMPLAINT_CHARACTERS = 2000
_NO_PROGRAM = (126, 127)
# What is at a path: a folder, something else, or nothing.
_KIND = 'if [ -d "$1" ]; then echo folder; elif [ -e "$1" ]; then echo file; else echo nothing; fi'
_UNPACK = 'mkdir -p -- "$1" && exec tar -xf - -C "$1"'
_APPEND = 'exec cat >> "$1"'
_PACK = 'cd -- "$1" && exec tar -cf - .'
_SHOW = 'exec cat -- "$1"'

Tell = Callable[[int], None]
"""Is told of bytes that were carried."""


class SandboxFiles:
    """Of one sandbox. Paths are relative to its home. Folders take `sh` and `tar` inside, as does a file of
    more than one part."""

    def __init__(self, api: Api, id_: str, tell: Tell) -> None:
        self._api = api
        self._path = f"/-/v1/sandboxes/{quote(id_, safe='')}"
        self._tell = tell

    def put(self, local: Path, remote: str) -> list[str]:
        """As cp(1) does: into a folder that is there, or else under the new name. What was left out, for it
        is neither a file nor a folder nor a link. Raises OSError, CommandFailed."""
        if remote.endswith("/") or self._kind(remote) == "folder":
            remote = posixpath.join(remote, local.resolve().name)
        if not local.is_dir():
            self._put_file(local, remote)
            return []
        return self._put_folder(local, remote)

    def get(self, remote: str, local: Path, limit_bytes: int) -> list[str]:
        """As `put`, the other way. What was left out, for it leads out of the folder or is none of the three.
        Raises OSError, CommandFailed; also past the limit, and what came till then stays."""
        kind = self._kind(remote)
        if kind == "nothing":
            raise CommandFailed(f"there is no {remote} in the sandbox")
        name = remote.rstrip("/").rpartition("/")[2]
        if local.is_dir() and name not in ("", ".", ".."):
            local = local / name
        parts = self._within(limit_bytes, self._bytes_of(kind, remote))
        if kind == "folder":
            return FolderTarget(local).unpack(parts)
        with local.open("wb") as file:
            for part in parts:
                file.write(part)
        return []

    def _bytes_of(self, kind: str, remote: str) -> Iterator[bytes]:
        if kind == "":
            return iter([self._api.send("GET", self._file(remote), b"", {}).read()])
        return self._said(_PACK if kind == "folder" else _SHOW, remote)

    def _within(self, limit_bytes: int, parts: Iterator[bytes]) -> Iterator[bytes]:
        total = 0
        for part in parts:
            total += len(part)
            if total > limit_bytes:
                raise CommandFailed(f"there are more than the {limit_bytes >> 20} MiB of --most")
            self._tell(len(part))
            yield part

    def _put_file(self, local: Path, remote: str) -> None:
        with local.open("rb") as file:
            first = file.read(_PART_BYTES)
            self._api.send("PUT", self._file(remote), first, {})
            self._tell(len(first))
            while part := file.read(_PART_BYTES):
                self._do(_APPEND, remote, part)
                self._tell(len(part))

    def _put_folder(self, local: Path, remote: str) -> list[str]:
        left_out: list[str] = []
        large: list[tuple[Path, str]] = []
        for part in _tars(local, left_out, large):
            self._do(_UNPACK, remote, part)
            self._tell(len(part))
        for path, name in large:
            self._put_file(path, posixpath.join(remote, name))
            self._do(f'chmod {path.stat().st_mode & 0o777:o} "$1"', posixpath.join(remote, name))
        return left_out

    def _kind(self, remote: str) -> str:
        """Empty where there is no shell to ask."""
        try:
            return b"".join(self._said(_KIND, remote)).decode().strip()
        except _NoShell:
            return ""

    def _do(self, script: str, remote: str, stdin: bytes = b"") -> None:
        for _ in self._said(script, remote, stdin):
            pass

    def _said(self, script: str, remote: str, stdin: bytes = b"") -> Iterator[bytes]:
        """What a script that must succeed prints, as it comes. Raises CommandFailed."""
        order = {
            "argv": ["/bin/sh", "-c", script, "innkeeper", _plain(remote)],
            "stdin": base64.b64encode(stdin).decode(),
        }
        answer = self._api.send("POST", f"{self._path}/exec", json.dumps(order).encode(), {})
        complaint = ""
        end: Document = {"error": "the server broke off"}
        for line in lines(answer.chunks()):
            end = json.loads(line)
            if "stdout" in end:
                yield base64.b64decode(end["stdout"])
            elif "stderr" in end:
                complaint += base64.b64decode(end["stderr"]).decode(errors="replace")
                complaint = complaint[-_COMPLAINT_CHARACTERS:]
        if end.get("exitCode") in _NO_PROGRAM and complaint.startswith("cannot start '/bin/sh'"):
            raise _NoShell("copying that takes sh and tar in the sandbox")
        if end.get("exitCode") != 0:
            raise CommandFailed(complaint.strip() or end.get("error") or f"copying {remote} failed")

    def _file(self, remote: str) -> str:
        return f"{self._path}/files?{urlencode({'path': remote}, quote_via=quote)}"


class _NoShell(CommandFailed):
    pass


def _plain(remote: str) -> str:
    """That no program takes for an option."""
    return f"./{remote}" if remote.startswith("-") else remote or "."


def _tars(folder: Path, left_out: list[str], large: list[tuple[Path, str]]) -> Iterator[bytes]:
    """Archives of about a part's size that together are the folder. Links stay links. Files that no part can
    hold are put on the list instead."""
    waiting = [folder]
    packed = _Tar()
    while waiting:
        for path in sorted(waiting.pop().iterdir()):
            name = path.relative_to(folder).as_posix()
            info = packed.archive.gettarinfo(path, name)
            if info is None or not (info.isfile() or info.isdir() or info.issym() or info.islnk()):
                left_out.append(name)
                continue
            if info.isdir():
                info.mode |= 0o700  # so that what is in it can be put there
                waiting.append(path)
            if info.isfile() and info.size > _PART_BYTES:
                large.append((path, name))
                continue
            packed.add(info, path)
            if packed.size > _PART_BYTES:
                yield packed.bytes()
                packed = _Tar()
    yield packed.bytes()


class _Tar:
    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self.archive = tarfile.TarFile(fileobj=self._buffer, mode="w", format=tarfile.PAX_FORMAT)

    @property
    def size(self) -> int:
        return self._buffer.tell()

    def add(self, info: tarfile.TarInfo, path: Path) -> None:
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        if not info.isfile():
            self.archive.addfile(info)
            return
        with path.open("rb") as file:
            self.archive.addfile(info, file)

    def bytes(self) -> bytes:
        self.archive.close()
        return self._buffer.getvalue()
