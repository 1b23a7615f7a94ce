"""The command line that starts a sandbox."""

import os
import resource
from collections.abc import Sequence
from pathlib import Path

from innkeeper.engines.sandbox import rootfs, seccomp
from innkeeper.engines.sandbox.overlay import laying
from innkeeper.engines.sandbox.rootfs import USER_ID, guest_command, view
from innkeeper.engines.sandbox.sandbox import SandboxSpec

TERMINALS = 64
"""Pseudo-terminals that a sandbox may have at once."""
WATCHERS = 32
"""inotify instances that it may have at once; the host has 128 for all, where `sysctl` does not say more."""
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
# The kernel counts pseudo-terminals for the whole host, and inotify instances for all processes of the
# server's user: by a file system and a user namespace of its own around it, no sandbox can take them all.
_SURROUND = f"""
echo {WATCHERS} > /proc/sys/user/max_inotify_instances &&
mount -t devpts -o newinstance,max={TERMINALS},mode=0620,ptmxmode=0666 devpts {rootfs.TERMINALS} &&
exec "$@"
"""
_SURROUNDED = ("unshare", "--user", "--map-root-user", "--mount", "--", "/bin/sh", "-c", _SURROUND, "sandbox")
_ISOLATION = (
    *("--unshare-user", "--disable-userns", "--unshare-ipc", "--unshare-pid", "--unshare-net"),
    *("--unshare-uts", "--unshare-cgroup-try", "--uid", str(USER_ID), "--gid", str(USER_ID)),
    *("--hostname", "agent", "--cap-drop", "ALL", "--clearenv", "--new-session"),
    *("--die-with-parent", "--as-pid-1"),
)


def command(
    spec: SandboxSpec, etc: Path, doors: Sequence[str], info: int, control: int, filter_: int
) -> list[str]:
    """`doors` are the cgroups' files to enter by; bubblewrap writes the guest's pid to `info`, the guest
    inherits `control`, `filter_` holds its filter. Raises SandboxError for a mount that cannot be made."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return [
        *entering(most, doors),
        *_SURROUNDED,
        *laying(spec, etc),
        *("bwrap", *_ISOLATION, "--info-fd", str(info), "--seccomp", str(filter_), *view(spec, etc)),
        *("--", *guest_command(spec, control, _open_files(spec, most))),
    ]


def filter_file() -> int:
    """A descriptor to read the filter of system calls from. Raises SandboxError where there is none."""
    program = seccomp.program(os.uname().machine)
    fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    os.write(fd, program)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def entering(open_files: int, doors: Sequence[str]) -> list[str]:
    """What to put before a command, so that it begins within these limits."""
    return ["/bin/sh", "-c", _ENTER, "sandbox", str(open_files), *doors, "--"]


def explained(complaints: str) -> str:
    """What bubblewrap said when it could not start, with the cure of the usual cause."""
    cure = "; user namespaces may be switched off: see sysctl user.max_user_namespaces and"
    cure += " kernel.apparmor_restrict_unprivileged_userns"
    denied = any(sign in complaints for sign in ("uid map", "new namespace", "unshare failed"))
    return f"bubblewrap could not start: {complaints or 'it said nothing'}{cure if denied else ''}"


def _open_files(spec: SandboxSpec, most: int) -> int:
    """Fewer than the guest agent's. As many descriptors as a process may open it may also have under way over
    sockets; the kernel counts those of all sandboxes together, and the guest agents must always pass."""
    return min(spec.limits.open_files, max(most - _GUEST_FILES, most // 2))
