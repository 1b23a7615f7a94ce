"""The command line that starts a sandbox."""

import os
import resource
import shutil
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from innkeeper.engines.sandbox import anteroom, rootfs, seccomp
from innkeeper.engines.sandbox.child import PATH
from innkeeper.engines.sandbox.host_users import HostUser
from innkeeper.engines.sandbox.overlay import laying, overlays
from innkeeper.engines.sandbox.rootfs import USER_ID, guest_command, view, ways, zygote_command
from innkeeper.engines.sandbox.sandbox import Preload, SandboxSpec

TERMINALS = 64
"""Pseudo-terminals that a sandbox may have at once."""
_GUEST_FILES = 4096  # descriptors that its guest agent may have beyond the agent's

# Limits and cgroups are entered by the process that then becomes bubblewrap, so nothing inside is ever
# without them. Core dumps are off: what handles them runs on the host, and would be fed by the agent. When
# the host runs out of memory, the sandboxes go before the server does.
_ENTER = """
echo 500 > /proc/self/oom_score_adj
ulimit -c 0 && ulimit -n "$1" && shift || exit
while [ "$1" != -- ]; do echo $$ > "$1" || exit; shift; done
shift
exec "$@"
"""
# The kernel counts pseudo-terminals for the whole host, and inotify instances for all processes of a user: by
# a file system, and a user namespace or a user of its own around it, no sandbox can take them all.
_TERMINALS = f"newinstance,max={TERMINALS},mode=0620,ptmxmode=0666"
_SURROUND = f'mount -t devpts -o {_TERMINALS} devpts {rootfs.TERMINALS} && exec "$@"'
_SURROUNDED = (*anteroom.USER_NAMESPACE, "--mount", *anteroom.BOUNDED, "/bin/sh", "-c", _SURROUND, "sandbox")
_ENTER_ANTEROOM = (
    f"import sys; sys.path.append({str(Path(anteroom.__file__).parent)!r}); import anteroom; anteroom.main()"
)
_APART = (
    *("--unshare-ipc", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "agent"),
    *("--cap-drop", "ALL", "--clearenv", "--new-session", "--die-with-parent"),
)
_ISOLATION = (
    *("--unshare-user", "--disable-userns", "--uid", str(USER_ID), "--gid", str(USER_ID)),
    *("--unshare-pid", "--as-pid-1", *_APART),
)
# Whoever forks into the sandboxes of others must be beside them: in the users' and processes' namespaces that
# theirs were made in, where it is a user with no rights, and sees no process but its own.
_ZYGOTE_ISOLATION = (*_APART, "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
_OWN_PROCESSES = ("--bind", "/proc", "/proc")
ZYGOTE_MAY = ("setns",)
"""What the filter of system calls leaves a zygote, beside what it leaves everybody."""


def command(
    spec: SandboxSpec,
    etc: Path,
    doors: Sequence[str],
    user: HostUser | None,
    mother: HostUser | None,
    info: int,
    control: int,
    filter_: int,
) -> list[str]:
    """`doors` are the cgroups' files to enter by; bubblewrap writes the guest's pid to `info`, the guest
    inherits `control`, `filter_` holds its filter. The `mother` is a zygote that may fork into the sandbox.
    Raises SandboxError for a mount that cannot be made."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    options = ("--info-fd", str(info), "--seccomp", str(filter_))
    return [
        *entering(most, doors),
        *walled(spec, etc, user, options, mother),
        *guest_command(spec, control, open_files(spec), mother is not None),
    ]


def zygote(
    spec: SandboxSpec,
    etc: Path,
    doors: Sequence[str],
    user: HostUser,
    preload: Preload,
    info: int,
    control: int,
    filter_: int,
) -> list[str]:
    """The like, for a zygote, where the server is root."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    options = ("--info-fd", str(info), "--seccomp", str(filter_))
    steps, shown = _placing(spec, etc, _OWN_PROCESSES)
    through = _through_anteroom(user, anteroom.STAY)
    walls = [*through, *steps, "--", _bwrap(), *_ZYGOTE_ISOLATION, *options, *ways(spec, etc), *shown, "--"]
    return [*entering(most, doors), *walls, *zygote_command(spec, control, user, preload)]


def walled(
    spec: SandboxSpec,
    etc: Path,
    user: HostUser | None,
    options: Sequence[str] = (),
    mother: HostUser | None = None,
) -> list[str]:
    """What to put before a command, so that bubblewrap starts it in the sandbox: as that user of the host,
    or the server's own."""
    if user is None:
        shown = view(spec, etc, lambda source, _: str(source))
        return [*_SURROUNDED, *laying(spec, etc), "bwrap", *_ISOLATION, *options, *shown, "--"]
    steps, shown = _placing(spec, etc)
    through = _through_anteroom(user, str(mother.uid) if mother else anteroom.BECOME)
    return [*through, *steps, "--", _bwrap(), *_ISOLATION, *options, *shown, "--"]


def _placing(
    spec: SandboxSpec, etc: Path, proc: Sequence[str] = ("--proc", "/proc")
) -> tuple[list[str], list[str]]:
    """The anteroom's steps, and bubblewrap's options that go by them. Raises SandboxError."""
    steps = [word for folders, target in overlays(spec, etc) for word in ("lay", folders, target)]

    def placed(source: Path, writable: bool) -> str:
        if not writable and _open_to_all(source):
            return str(source)
        place = f"{anteroom.PLACES}/{len(steps)}{source}"
        steps.extend(("lend" if writable else "show", str(source), place))
        return place

    shown = view(spec, etc, placed, proc)
    return steps, shown


def _bwrap() -> str:
    return shutil.which("bwrap", path=PATH) or "/usr/bin/bwrap"


def _open_to_all(source: Path) -> bool:
    """Whether any user of the host may go there and read. What comes with an overlay is not there yet."""
    try:
        place = source.resolve(strict=True)
        mode, *above = (path.stat().st_mode for path in (place, *place.parents))
    except OSError:
        return False
    needed = 0o5 if stat.S_ISDIR(mode) else 0o4
    return mode & needed == needed and all(each & 0o1 for each in above)


def _through_anteroom(user: HostUser, manner: str) -> list[str]:
    """Without root, the server has rights over its subordinate ids in a user namespace alone."""
    program = [sys.executable, "-I", "-S", "-E", "-c", _ENTER_ANTEROOM]
    if os.getuid() == 0:
        return [*program, str(user.uid), str(user.gid), _TERMINALS, manner]
    ids = (f"--map-users={user.uid},{USER_ID},1", f"--map-groups={user.gid},{USER_ID},1")
    around = (*anteroom.USER_NAMESPACE, *ids, *anteroom.BOUNDED)
    return [*around, *program, str(USER_ID), str(USER_ID), _TERMINALS, manner]


def filter_file(allowed: Sequence[str] = ()) -> int:
    """A descriptor to read the filter of system calls from, which leaves those that are `allowed`. Raises
    SandboxError where there is none."""
    program = seccomp.program(os.uname().machine, allowed)
    fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    os.write(fd, program)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def entering(most: int, doors: Sequence[str]) -> list[str]:
    """What to put before a command, so that it begins within these limits."""
    return ["/bin/sh", "-c", _ENTER, "sandbox", str(most), *doors, "--"]


def explained(complaints: str) -> str:
    """What bubblewrap said when it could not start, with the cure of the usual cause."""
    cure = "; user namespaces may be switched off: see sysctl user.max_user_namespaces and"
    cure += " kernel.apparmor_restrict_unprivileged_userns"
    denied = any(sign in complaints for sign in ("uid map", "new namespace", "unshare failed"))
    return f"bubblewrap could not start: {complaints or 'it said nothing'}{cure if denied else ''}"


def open_files(spec: SandboxSpec) -> int:
    """How many a process may have: fewer than the guest agent. As many descriptors as it may open it may also
    have under way over sockets; the kernel counts those of all sandboxes together, and the guest agents must
    always pass."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(spec.limits.open_files, max(most - _GUEST_FILES, most // 2))
