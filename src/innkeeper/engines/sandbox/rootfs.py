"""What is visible inside a sandbox: the host's programs, a small /etc of our own, and nothing else of it.

Everything is read-only but /tmp, /home/agent and /dev/shm, which are in memory, and writable mounts. That
goes for /proc too: where the server is root, the agent is to the kernel root without capabilities, and root
owns `/proc/sys`, by which it could have the host run a program. What /proc tells of the host is hidden.
"""

import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from innkeeper.engines.sandbox import guest, landlock, socket_guest
from innkeeper.engines.sandbox.network import NAME_SERVER
from innkeeper.engines.sandbox.sandbox import Mount, SandboxError, SandboxSpec

HOME = "/home/agent"
HOME_ALIAS = "/home/user"
"""Where programs made for other sandboxes look for their home: a link to ours."""
TEMPORARY = "/tmp"  # noqa: S108
TERMINALS = "/dev/pts"
USER_ID = 1000
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
    "HOME": HOME,
    "USER": "agent",
    "LANG": "C.UTF-8",
    "TMPDIR": TEMPORARY,
}

_LIBRARY = "/run/innkeeper/lib"
_GUEST = (guest, landlock, socket_guest)
_START = (
    f"import sys; sys.path.insert(0, {_LIBRARY!r}); "
    "from innkeeper.engines.sandbox.socket_guest import main; main()"
)
PROGRAM_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_SHARED_ETC = (
    "alternatives",
    "crypto-policies",
    "fonts",
    "ld.so.cache",
    "pki/ca-trust",
    "pki/tls/certs",
    "ssl/certs",
    "ssl/openssl.cnf",
)
_NOTHING = ".nothing"  # what is laid over a file that is to be hidden
_HIDDEN_FILES = (
    *("kallsyms", "kcore", "key-users", "keys", "kmsg", "kpagecgroup", "kpagecount", "kpageflags"),
    *("latency_stats", "modules", "pagetypeinfo", "sched_debug", "slabinfo", "sysrq-trigger", "timer_list"),
    *("timer_stats", "vmallocinfo"),
)
_HIDDEN_FOLDERS = ("acpi", "asound", "bus", "irq", "scsi")
_OWN_ETC = {
    "passwd": f"root:x:0:0:root:/root:/usr/sbin/nologin\n"
    f"agent:x:{USER_ID}:{USER_ID}:agent:{HOME}:/bin/bash\n"
    f"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": f"root:x:0:\nagent:x:{USER_ID}:\nnogroup:x:65534:\n",
    "hostname": "agent\n",
    _NOTHING: "",
    "hosts": "127.0.0.1 localhost agent\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "resolv.conf": f"nameserver {NAME_SERVER}\n",
}


def write_etc(folder: Path) -> None:
    """Make the /etc that all sandboxes share, with a place for each part that is the host's."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in _OWN_ETC.items():
        (folder / name).write_text(text)
    for name, source in shared_etc():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            (folder / name).mkdir(exist_ok=True)
        else:
            (folder / name).touch()
    localtime = folder / "localtime"
    localtime.unlink(missing_ok=True)
    localtime.symlink_to(_zone())


def view(spec: SandboxSpec, etc: Path) -> list[str]:
    """The options of bwrap(1) that build it. Raises SandboxError for a mount that cannot be made."""
    size = spec.limits.scratch_mib << 20
    arguments = ["--ro-bind", "/usr", "/usr", *_program_folders(), "--ro-bind", str(etc), "/etc"]
    for name, source in shared_etc():
        arguments += ["--ro-bind", str(source), f"/etc/{name}"]
    arguments += ["--proc", "/proc", *_hidden(etc)]
    arguments += ["--dev", "/dev", "--dev-bind", TERMINALS, TERMINALS]
    arguments += _scratch("/dev/shm", "1777", size)  # noqa: S108
    arguments += ["--remount-ro", "/dev", *_scratch(TEMPORARY, "1777", size), *_scratch(HOME, "0755", size)]
    arguments += ["--symlink", HOME, HOME_ALIAS]
    arguments += ["--dir", "/var", "--symlink", TEMPORARY, f"/var{TEMPORARY}"]
    for module in _GUEST:
        arguments += ["--ro-bind", str(module.__file__), f"{_LIBRARY}/{module.__name__.replace('.', '/')}.py"]
    if not interpreter().is_relative_to("/usr"):
        arguments += ["--ro-bind", sys.base_prefix, sys.base_prefix]
    for mount in spec.mounts:
        arguments += _mount(mount)
    return [*arguments, "--remount-ro", "/proc", "--remount-ro", "/", "--chdir", "/"]


def guest_command(spec: SandboxSpec, control: int, open_files: int) -> list[str]:
    """What runs as process 1, with the control socket's descriptor, what it lets the agent have, and where
    anything may be written at all."""
    writable = ["/dev", "/proc", TEMPORARY, HOME, *(mount.target for mount in spec.mounts if mount.writable)]
    told = (str(control), str(open_files), *writable)
    return [str(interpreter()), "-I", "-S", "-E", "-c", _START, *told]


def _hidden(etc: Path) -> Iterator[str]:
    for name in _HIDDEN_FILES:
        if Path("/proc", name).exists():
            yield from ("--ro-bind", str(etc / _NOTHING), f"/proc/{name}")
    for name in _HIDDEN_FOLDERS:
        if Path("/proc", name).is_dir():
            yield from ("--tmpfs", f"/proc/{name}", "--remount-ro", f"/proc/{name}")


def _scratch(target: str, mode: str, size_bytes: int) -> list[str]:
    return ["--size", str(size_bytes), "--perms", mode, "--tmpfs", target]


def _program_folders() -> Iterator[str]:
    for name in PROGRAM_FOLDERS:
        folder = Path("/") / name
        if folder.is_symlink():
            yield from ("--symlink", str(folder.readlink()), f"/{name}")
        elif folder.is_dir():
            yield from ("--ro-bind", f"/{name}", f"/{name}")


def shared_etc() -> Iterator[tuple[str, Path]]:
    """Names in /etc that a sandbox sees as the host has them, and where they are."""
    for name in _SHARED_ETC:
        source = Path("/etc") / name
        if source.exists():
            yield name, source


def _zone() -> str:
    zone = Path("/etc/localtime").resolve()
    return str(zone) if zone.is_relative_to("/usr/share/zoneinfo") else "/usr/share/zoneinfo/UTC"


def interpreter() -> Path:
    """A Python that is visible inside: the system's, or the one that this server runs on."""
    system = Path("/usr/bin/python3")
    if system.resolve().is_relative_to("/usr") and system.exists():
        return system
    return Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"


def checked_target(mount: Mount) -> PurePosixPath:
    """Where the mount goes. Raises SandboxError when it cannot be made."""
    target = PurePosixPath(mount.target)
    if not target.is_absolute() or ".." in target.parts or len(target.parts) < 2:
        raise SandboxError(f"mount target {mount.target!r} must be an absolute path below /, without ..")
    if not mount.source.exists():
        raise SandboxError(f"cannot mount {mount.source}: there is no such file or folder")
    return target


def _mount(mount: Mount) -> list[str]:
    target = checked_target(mount)
    return ["--bind" if mount.writable else "--ro-bind", str(mount.source.absolute()), str(target)]
