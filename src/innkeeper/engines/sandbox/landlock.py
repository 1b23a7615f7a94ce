"""Landlock, the second wall around files: what is not for writing cannot be written, whatever the mounts are.

A process of the sandbox takes it upon itself, and everything that it starts, for good; no power over the host
is needed. It runs inside, on whatever Python >= 3.9 is visible there, and uses the standard library only.

https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import os
import struct

NEEDED_VERSION = 2
"""Of the kernel's interface: since Linux 5.19. With the first one no file could be moved between folders."""

# The same on all machines.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_TRUNCATE, _DEVICE_CONTROL = 1 << 14, 1 << 15
_READING = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _DEVICE_CONTROL
_DEVICES = _MAKE_CHAR | _MAKE_BLOCK
# What each version of the interface can refuse, as far as it goes for files.
_RIGHTS = {2: 1 << 14, 3: 1 << 15, 4: 1 << 15, 5: 1 << 16}
_ABSTRACT_SOCKETS, _SIGNALS = 1 << 0, 1 << 1
_SCOPED_VERSION = 6

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Of the interface that this kernel has; 0 where it has none, or it is switched off."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)))


def missing() -> list[str]:
    """Why there is no such wall here, and the cure."""
    found = version()
    if found >= NEEDED_VERSION:
        return []
    reason = f"version {found} of it" if found else "none"
    return [f"no second wall around files: Linux 5.19 with Landlock in `lsm=` is needed; here is {reason}"]


def enclose(writable: list[str], scoped: bool = True) -> None:
    """From now on this process and what it starts read what they see, write below `writable` alone, make no
    device anywhere, and, if `scoped`, reach by signals and abstract sockets only each other. Does nothing
    where `missing` says why. Needs no_new_privs. Raises OSError."""
    found = version()
    if found < NEEDED_VERSION:
        return
    handled = _RIGHTS[min(found, max(_RIGHTS))] - 1
    scope = _ABSTRACT_SOCKETS | _SIGNALS if scoped and found >= _SCOPED_VERSION else 0
    rules = struct.pack("QQQ", handled, 0, scope)[: _size(found)]
    ruleset = _called(_CREATE_RULESET, rules, ctypes.c_size_t(len(rules)), 0)
    try:
        _allow(ruleset, "/", _READING & handled)
        for path in writable:
            _allow(ruleset, path, handled & ~_DEVICES)
        _called(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not os.path.isdir(path):  # noqa: PTH112 (`pathlib` is slow to load)
            rights &= _OF_FILES
        _called(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)


def _size(found: int) -> int:
    """Of what a version takes to make a ruleset of, in bytes."""
    return 24 if found >= _SCOPED_VERSION else 8


def _called(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"Landlock: {os.strerror(ctypes.get_errno())}")
    return result
