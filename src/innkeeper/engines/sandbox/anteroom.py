"""Makes ready what bubblewrap is to show, where a sandbox is a user of its own, who may not go and see.

    UID GID TERMINALS MANNER [STEP SOURCE TARGET]... -- PROGRAM [ARGUMENT]...

In a mount namespace of its own, with the server's rights, it puts each source where that user can get at it,
then becomes the user, and the program. Steps: `lay` folders over each other (overlayfs), `show` what is only
to be read, `lend` what the sandbox may write. What is lent, and what others may not read on the host, is
mounted with its owner mapped (mount_setattr(2)): to the sandbox it is the sandbox's, on disk the server's.
Where a file system cannot do that for what is lent, the program stays the server's user.

Manners: `become` that user; `stay` what the server is, with a /proc that shows a process its own user's
alone; or the number of another user, who is to have power over all that the program makes: it becomes the
user in a user namespace that the other one owns.

Runs on the server's own Python, and imports nothing of ours.
"""

import ctypes
import os
import stat
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal  # `signal` loads `enum` and `re`, which takes longer than all that is done here

PLACES = "/mnt"
"""Where the targets lie: in memory, for this mount namespace alone."""
WATCHERS = 32
"""inotify instances that a sandbox may have at once where it is the server's user; the host has 128 for each
user, where `sysctl` does not say more."""
USER_NAMESPACE = ("unshare", "--user", "--map-root-user")
_BOUND = f'echo {WATCHERS} > /proc/sys/user/max_inotify_instances && exec "$@"'
BOUNDED = ("--", "/bin/sh", "-c", _BOUND, "sandbox")
"""What to put between that and a program, so that it and its sandbox have no more of them."""

BECOME, STAY = "become", "stay"

# The same on all machines.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_AT_CURRENT, _EMPTY_PATH, _RECURSIVE = -100, 0x1000, 0x8000
_CLONE_TREE, _FROM_EMPTY_PATH = 1, 4
_MAP_OWNERS = 0x10_0000
_NEW_MOUNTS, _NEW_USERS = 0x2_0000, 0x1000_0000
_READ_ONLY, _NO_SET_USER_ID, _NO_DEVICES, _ALL_BELOW, _PRIVATE = 1, 2, 4, 1 << 14, 1 << 18

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    uid, gid, terminals, manner, *words = sys.argv[1:]
    end = words.index("--")
    steps = list(zip(words[0:end:3], words[1:end:3], words[2:end:3], strict=True))
    user = _Mapping(int(uid), int(gid))
    os.umask(0o022)
    _checked(_libc.unshare(_NEW_MOUNTS))
    _mount("none", "/", "", _ALL_BELOW | _PRIVATE, "")
    _mount("devpts", "/dev/pts", "devpts", 0, terminals)
    for step, folders, target in steps:
        if step == "lay":
            _mount("overlay", target, "overlay", _READ_ONLY, f"lowerdir={folders}")
    places = [step for step in steps if step[0] != "lay"]
    trees = [user.tree(source, step == "lend") for step, source, _ in places]
    if user.is_ours:  # since one of them cannot be mapped: then none is to be
        trees = [user.tree(source, False) for _, source, _ in places]
    _mount("places", PLACES, "tmpfs", _NO_SET_USER_ID | _NO_DEVICES, "mode=0755")
    for tree, (_, source, target) in zip(trees, places, strict=True):
        _put(tree, source, target)
    program = words[end + 1 :]
    if user.is_ours:
        program = [*USER_NAMESPACE, *BOUNDED, *program]
        os.execvp(program[0], program)  # noqa: S606
    if manner == STAY:
        _mount("proc", "/proc", "proc", 0, "hidepid=invisible")
    else:
        if manner != BECOME:
            _checked(_libc.setns(user.owned_by(int(manner)), _NEW_USERS))
        user.become()  # who may not be able to read this Python's own library
    os.execv(program[0], program)  # noqa: S606


class _Mapping:
    """Of the owner of files, this process's user, to another."""

    def __init__(self, uid: int, gid: int) -> None:
        self._uid, self._gid = uid, gid
        self._namespace = -1

    def tree(self, source: str, lent: bool) -> int:
        """The mounts from there on, as a descriptor of what is mounted nowhere yet."""
        flags = _CLONE_TREE | os.O_CLOEXEC | _RECURSIVE
        tree = _checked(_libc.syscall(_OPEN_TREE, _AT_CURRENT, os.fsencode(source), flags))
        if (lent or _shut(source)) and not self.is_ours and not self._map(tree) and lent:
            self._uid, self._gid = os.getuid(), os.getgid()
        return tree

    @property
    def is_ours(self) -> bool:
        return self._uid == os.getuid()

    def owned_by(self, owner: int) -> int:
        """A user namespace in which this user is the only one, under its own number."""
        return _new_users(owner, f"{self._uid} {self._uid} 1", f"{self._gid} {self._gid} 1")

    def become(self) -> None:
        os.setgroups([])
        os.setresgid(self._gid, self._gid, self._gid)
        os.setresuid(self._uid, self._uid, self._uid)

    def _map(self, tree: int) -> bool:
        try:
            if self._namespace < 0:
                self._namespace = _new_users(
                    os.getuid(), f"{os.getuid()} {self._uid} 1", f"{os.getgid()} {self._gid} 1"
                )
        except OSError:
            return False
        wanted = struct.pack("QQQQ", _MAP_OWNERS, 0, 0, self._namespace)
        flags = ctypes.c_uint(_EMPTY_PATH | _RECURSIVE)
        size = ctypes.c_size_t(len(wanted))
        return bool(_libc.syscall(_MOUNT_SETATTR, tree, b"", flags, wanted, size) == 0)


def _new_users(owner: int, users: str, groups: str) -> int:
    """A mapping as the kernel takes it: a user namespace, of a process that is there for it alone."""
    pid = os.fork()
    if pid == 0:
        os.setresuid(owner, owner, owner)
        _libc.unshare(_NEW_USERS)
        os.kill(os.getpid(), _signal.SIGSTOP)
        os._exit(0)
    try:
        os.waitpid(pid, os.WUNTRACED)
        _write(f"/proc/{pid}/uid_map", users)
        _write(f"/proc/{pid}/gid_map", groups)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.kill(pid, _signal.SIGKILL)
        os.waitpid(pid, 0)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123 (`pathlib` is slow to load)
        file.write(text)


def _shut(source: str) -> bool:
    """Whether others may not read it."""
    mode = os.stat(source).st_mode  # noqa: PTH116 (`pathlib` is slow to load)
    needed = 0o5 if stat.S_ISDIR(mode) else 0o4
    return mode & needed != needed


def _put(tree: int, source: str, target: str) -> None:
    folder = os.path.isdir(source)  # noqa: PTH112
    os.makedirs(target if folder else os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
    if not folder:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    place = os.fsencode(target)
    _checked(_libc.syscall(_MOVE_MOUNT, tree, b"", _AT_CURRENT, place, _FROM_EMPTY_PATH), target)


def _mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    words = (os.fsencode(source), os.fsencode(target), os.fsencode(kind))
    _checked(_libc.mount(*words, ctypes.c_ulong(flags), os.fsencode(options)), target)


def _checked(result: int, target: str = "") -> int:
    if result < 0:
        error = ctypes.get_errno()
        sys.exit(f"{os.strerror(error)}: {target}" if target else os.strerror(error))
    return result
