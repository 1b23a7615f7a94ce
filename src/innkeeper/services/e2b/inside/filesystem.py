"""Looks at files inside a sandbox, changes them and watches them, as long as its stdin is open.

Each line on stdin is a request, `{"id", "do", ...}`; each line on stdout answers one, `{"id", "result"}` or
`{"id", "error": [code, message]}` with a code of the Connect protocol, or tells what happened below a watched
folder: `{"watcher", "events": [{"name", "type"}]}`. Paths are absolute.

Standard library only, on any Python from 3.10.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import grp
import json
import os
import pwd
import selectors
import shutil
import stat
import struct
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ENTRIES_MAX = 10_000
_FOLDERS_WATCHED_MAX = 8_192
_EVENT = struct.Struct("iIII")
_MODIFY, _ATTRIB, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x2, 0x4, 0x40, 0x80, 0x100, 0x200
_ONLY_FOLDERS, _IS_FOLDER, _IGNORED = 0x01000000, 0x40000000, 0x8000
_TYPES = {
    _CREATE: "CREATE",
    _MOVED_TO: "CREATE",
    _MODIFY: "WRITE",
    _DELETE: "REMOVE",
    _MOVED_FROM: "RENAME",
    _ATTRIB: "CHMOD",
}
_CODES = {
    errno.ENOENT: "not_found",
    errno.ENOTDIR: "invalid_argument",
    errno.EISDIR: "invalid_argument",
    errno.EEXIST: "already_exists",
    errno.EACCES: "permission_denied",
    errno.EPERM: "permission_denied",
    errno.EROFS: "permission_denied",
    errno.ENOSPC: "resource_exhausted",
    errno.ENAMETOOLONG: "invalid_argument",
    errno.ELOOP: "invalid_argument",
}


class Refused(Exception):
    """The request cannot be done: a Connect code and why."""


@functools.cache
def _owner(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


@functools.cache
def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def entry(path: Path) -> dict[str, Any]:
    """What E2B calls an EntryInfo; of a link, what it leads to is told where there is something."""
    seen = path.lstat()
    try:
        real = path.stat()
    except OSError:
        real = seen
    told: dict[str, Any] = {
        "name": path.name or "/",
        "path": str(path),
        "type": _type(real.st_mode),
        "size": str(real.st_size),
        "mode": stat.S_IMODE(real.st_mode),
        "permissions": stat.filemode(real.st_mode),
        "owner": _owner(real.st_uid),
        "group": _group(real.st_gid),
        "modifiedTime": datetime.fromtimestamp(real.st_mtime, timezone.utc).isoformat(),  # noqa: UP017 (3.10)
    }
    if stat.S_ISLNK(seen.st_mode):
        told |= {"symlinkTarget": str(path.readlink()), "isSymlink": True}
    return told


def _type(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "FILE_TYPE_DIRECTORY"
    return "FILE_TYPE_SYMLINK" if stat.S_ISLNK(mode) else "FILE_TYPE_FILE"


def listing(folder: Path, depth: int) -> list[dict[str, Any]]:
    _check_folder(folder)
    entries: list[dict[str, Any]] = []
    for path in _below(folder, depth):
        if len(entries) >= ENTRIES_MAX:
            raise Refused("resource_exhausted", f"{folder} has more than {ENTRIES_MAX} entries")
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            entries.append(entry(path))
    return entries


def _check_folder(path: Path) -> None:
    if not stat.S_ISDIR(path.stat().st_mode):
        raise Refused("invalid_argument", f"{path} is not a folder")


def _below(folder: Path, depth: int) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        yield path
        if depth > 1 and _is_real_folder(path):
            yield from _below(path, depth - 1)


def _is_real_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def make_folder(path: Path) -> dict[str, Any]:
    if path.is_dir():
        raise Refused("already_exists", f"the folder {path} exists already")
    if os.path.lexists(path):
        raise Refused("invalid_argument", f"{path} exists already, and is not a folder")
    path.mkdir(parents=True)
    return entry(path)


def move(source: Path, destination: Path) -> dict[str, Any]:
    source.lstat()
    destination.parent.mkdir(parents=True, exist_ok=True)
    source.rename(destination)
    return entry(destination)


def remove(path: Path) -> None:
    """What is not there needs no removing."""
    if _is_real_folder(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class Watches:
    """inotify(7), told by the watchers that folders belong to."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._folders: dict[int, tuple[Path, set[str]]] = {}  # watch: its folder, its watchers
        self._watchers: dict[str, tuple[Path, bool]] = {}  # watcher: its root, whether it goes deep

    def add(self, watcher: str, root: Path, deep: bool) -> None:
        _check_folder(root)
        self._watchers[watcher] = (root, deep)
        try:
            self._watch(root, watcher)
        except (OSError, Refused):
            self.remove(watcher)
            raise

    def remove(self, watcher: str) -> None:
        self._watchers.pop(watcher, None)
        for number, (_, watchers) in tuple(self._folders.items()):
            watchers.discard(watcher)
            if not watchers:
                self._libc.inotify_rm_watch(self.fd, number)
                del self._folders[number]

    def read(self) -> Iterator[tuple[str, dict[str, str]]]:
        """The watchers to tell, and what."""
        try:
            data = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return
        while data:
            number, mask, _, length = _EVENT.unpack_from(data)
            name = data[_EVENT.size : _EVENT.size + length].rstrip(b"\0").decode(errors="replace")
            data = data[_EVENT.size + length :]
            yield from self._told(number, mask, name)

    def _told(self, number: int, mask: int, name: str) -> Iterator[tuple[str, dict[str, str]]]:
        if mask & _IGNORED:
            self._folders.pop(number, None)
            return
        folder, watchers = self._folders.get(number, (Path("/"), set()))
        path = folder / name
        for watcher in sorted(watchers):
            root, deep = self._watchers[watcher]
            for bit, kind in _TYPES.items():
                if mask & bit and name:
                    yield watcher, {"name": os.path.relpath(path, root), "type": f"EVENT_TYPE_{kind}"}
            if deep and mask & _IS_FOLDER and mask & (_CREATE | _MOVED_TO):
                self._watch(path, watcher)

    def _watch(self, folder: Path, watcher: str) -> None:
        if len(self._folders) >= _FOLDERS_WATCHED_MAX:
            raise Refused("resource_exhausted", f"at most {_FOLDERS_WATCHED_MAX} folders can be watched")
        mask = sum(_TYPES) | _ONLY_FOLDERS
        number = self._libc.inotify_add_watch(self.fd, os.fsencode(folder), ctypes.c_uint32(mask))
        if number < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
        self._folders.setdefault(number, (folder, set()))[1].add(watcher)
        if self._watchers[watcher][1]:
            for path in filter(_is_real_folder, folder.iterdir()):
                self._watch(path, watcher)


class Agent:
    def __init__(self) -> None:
        self._watches = Watches()
        self._rest = b""
        self._actions: dict[str, Callable[[Path, dict[str, Any]], Any]] = {
            "stat": lambda path, _: entry(path),
            "list": lambda path, request: listing(path, request["depth"]),
            "make": lambda path, _: make_folder(path),
            "move": lambda path, request: move(path, Path(request["to"])),
            "remove": lambda path, _: remove(path),
            "watch": lambda path, request: self._watches.add(request["watcher"], path, request["deep"]),
            "unwatch": lambda _, request: self._watches.remove(request["watcher"]),
        }

    def serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(0, selectors.EVENT_READ)
            selector.register(self._watches.fd, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select()}
                if self._watches.fd in ready:
                    self._tell()
                if 0 in ready and not self._hear():
                    return

    def _hear(self) -> bool:
        data = os.read(0, 1 << 16)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._answer(json.loads(line))
        return bool(data)

    def _answer(self, request: dict[str, Any]) -> None:
        answer: dict[str, Any] = {"id": request["id"]}
        try:
            answer["result"] = self._actions[request["do"]](Path(request["path"]), request)
        except Refused as refused:
            answer["error"] = refused.args
        except OSError as error:
            message = f"{error.strerror}: {error.filename}"
            answer["error"] = (_CODES.get(error.errno or 0, "internal"), message)
        except ValueError as error:
            answer["error"] = ("invalid_argument", str(error))
        _send(answer)

    def _tell(self) -> None:
        told: dict[str, list[dict[str, str]]] = {}
        with contextlib.suppress(OSError, Refused):  # a folder that is gone again, or one too many
            for watcher, event in self._watches.read():
                told.setdefault(watcher, []).append(event)
        for watcher, events in told.items():
            _send({"watcher": watcher, "events": events})


def _send(message: dict[str, Any]) -> None:
    rest = memoryview(json.dumps(message).encode() + b"\n")
    while rest:
        rest = rest[os.write(1, rest) :]


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    Agent().serve()
