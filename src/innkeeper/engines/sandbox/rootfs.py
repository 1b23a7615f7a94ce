"""What is visible inside a sandbox: the host's programs, a small /etc of our own, and nothing else of it.

Everything is read-only but /tmp, /dev/shm and the agent's own folders, which are in memory, and writable
mounts. That goes for /proc too: where the server is root, the agent is to the kernel root without
capabilities, and root owns `/proc/sys`, by which it could have the host run a program. What /proc tells of
the host is hidden.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from innkeeper.engines.sandbox import guest, image_root, landlock, socket_guest, zygote_guest
from innkeeper.engines.sandbox.host_users import HostUser
from innkeeper.engines.sandbox.network import NAME_SERVER
from innkeeper.engines.sandbox.sandbox import Mount, Preload, SandboxError, SandboxSpec

HOME = "/home/agent"
HOME_ALIAS = "/home/user"
"""Where programs made for other sandboxes look for their home: that one, or a link to ours."""
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
_GUEST = (guest, landlock, socket_guest, zygote_guest)
_START = (
    f"import sys; sys.path.insert(0, {_LIBRARY!r}); "
    "from innkeeper.engines.sandbox.socket_guest import main; main()"
)
_FOLDER = re.compile(r"/[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
# Without the rights of the server's files, since those in the library are shown as the user's.
_ENTER = """
import os, sys
control, user, group, count, *words = sys.argv[1:]
variables, argv = words[: int(count)], words[int(count) :]
os.setgroups([])
os.setresgid(*3 * [int(group)])
os.setresuid(*3 * [int(user)])
os.set_inheritable(int(control), True)
os.execve(argv[0], argv, dict(variable.split("=", 1) for variable in variables))
"""
_LOAD = (
    f"import sys; sys.path.insert(0, {_LIBRARY!r}); "
    f"from innkeeper.engines.sandbox.zygote_guest import main; main({_LIBRARY!r})"
)
_PROGRAM_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_TAKEN = {*_PROGRAM_FOLDERS, "etc", "home", "opt", "usr", "var"}
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
_VAR_TEMPORARY = f"/var{TEMPORARY}"
_COMPILE = (
    "import py_compile, sys; mode = py_compile.PycInvalidationMode.UNCHECKED_HASH; "
    "[py_compile.compile(path, invalidation_mode=mode) for path in sys.argv[1:]]"
)
_COMPILE_TIMEOUT_SECONDS = 30
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
    """Make the /etc that all sandboxes share, with a place for each part that is the host's, and beside it
    what is laid over images."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in _OWN_ETC.items():
        (folder / name).write_text(text)
    for name, source in _shared_etc():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            (folder / name).mkdir(exist_ok=True)
        else:
            (folder / name).touch()
    localtime = folder / "localtime"
    localtime.unlink(missing_ok=True)
    localtime.symlink_to(_zone())
    _write_furniture(image_root.furniture(folder))


def _write_furniture(folder: Path) -> None:
    for name, text in _OWN_ETC.items():
        (folder / "etc").mkdir(parents=True, exist_ok=True)
        (folder / "etc" / name).write_text(text)
    Path(f"{folder}{HOME}").mkdir(parents=True, exist_ok=True)
    for place, to in _links(HOME).items():
        link = Path(f"{folder}{place}")
        link.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            link.symlink_to(to)


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link inside."""

    target: str
    to: str


def pieces(spec: SandboxSpec, etc: Path) -> Iterator[Mount | Link]:
    """Of what the sandbox's programs are put together, in this order, all of it read-only."""
    if spec.root is not None:
        for name, source, to in image_root.entries(spec.root):
            yield Mount(source, f"/{name}") if source else Link(f"/{name}", to)
        yield from image_root.carried(interpreter())
        return
    yield Mount(Path("/usr"), "/usr")
    for folder in (Path("/", name) for name in _PROGRAM_FOLDERS):
        if folder.is_symlink():
            yield Link(str(folder), str(folder.readlink()))
        elif folder.is_dir():
            yield Mount(folder, str(folder))
    yield Mount(etc, "/etc")
    for name, source in _shared_etc():
        yield Mount(source, f"/etc/{name}")
    if not interpreter().is_relative_to("/usr"):
        yield Mount(Path(sys.base_prefix), sys.base_prefix)
    for target, to in _links(spec.folders[0]).items():
        yield Link(target, to)


def _links(home: str) -> dict[str, str]:
    """Where they are, and where they lead."""
    return {HOME if home == HOME_ALIAS else HOME_ALIAS: home, _VAR_TEMPORARY: TEMPORARY}


def write_guest(etc: Path) -> None:
    """Put the guest agent beside it, compiled, so that each sandbox starts a little sooner. Blocks."""
    library = _library(etc)
    shutil.rmtree(library, ignore_errors=True)  # an older one, whose compiled form would be believed
    modules = [library / f"{module.__name__.replace('.', '/')}.py" for module in _GUEST]
    modules[0].parent.mkdir(parents=True)
    for module, path in zip(_GUEST, modules, strict=True):
        shutil.copyfile(str(module.__file__), path)
    command = [str(interpreter()), "-I", "-S", "-c", _COMPILE, *map(str, modules)]
    with suppress(subprocess.TimeoutExpired):  # what is not compiled is started as it is
        subprocess.run(command, capture_output=True, timeout=_COMPILE_TIMEOUT_SECONDS, check=False)


def _library(etc: Path) -> Path:
    return etc.with_name("guest")


Placed = Callable[[Path, bool], str]
"""Where bubblewrap finds a file or folder of the host, given that and whether it may be written inside."""


def view(
    spec: SandboxSpec, etc: Path, placed: Placed, proc: Sequence[str] = ("--proc", "/proc")
) -> list[str]:
    """The options of bwrap(1) that build it. Raises SandboxError for a mount that cannot be made."""
    size = spec.limits.scratch_mib << 20
    arguments: list[str] = []
    for piece in pieces(spec, etc):
        if isinstance(piece, Link):
            arguments += ["--symlink", piece.to, piece.target]
        else:
            arguments += ["--ro-bind", placed(piece.source, False), piece.target]
    arguments += [*proc, *_hidden(placed(etc / _NOTHING, False))]
    arguments += ["--dev", "/dev", "--dev-bind", TERMINALS, TERMINALS]
    arguments += _scratch("/dev/shm", "1777", size)  # noqa: S108
    arguments += ["--remount-ro", "/dev", *_scratch(TEMPORARY, "1777", size)]
    for folder in own_folders(spec):
        arguments += _scratch(folder, "0755", size)
    arguments += ["--ro-bind", placed(_library(etc), False), _LIBRARY]
    for mount in spec.mounts:
        target, source = str(checked_target(mount)), placed(mount.source.absolute(), mount.writable)
        arguments += ["--bind" if mount.writable else "--ro-bind", source, target]
    return [*arguments, "--remount-ro", "/proc", "--remount-ro", "/", "--chdir", "/"]


def ways(spec: SandboxSpec, etc: Path) -> list[str]:
    """The options that make the folders above what is shown, to be put before those of `view`: without, they
    are their maker's alone, which matters where that is not who lives there."""
    shown = [*pieces(spec, etc)]
    links = [PurePosixPath(piece.target) for piece in shown if isinstance(piece, Link)]
    targets = [_LIBRARY, *spec.folders, *(each.target for each in (*shown, *spec.mounts))]
    above = {folder for target in targets for folder in PurePosixPath(target).parents[:-1]}
    wanted = [folder for folder in sorted(above) if not any(map(folder.is_relative_to, links))]
    return [word for folder in wanted for word in ("--perms", "0755", "--dir", str(folder))]


def guest_command(spec: SandboxSpec, control: int, open_files: int, hatched: bool) -> list[str]:
    """What runs as process 1, with the control socket's descriptor, what it lets the agent have, and where
    anything may be written at all. Beside a process from a zygote it is not alone in its Landlock domain."""
    told = (str(control), str(open_files), "among" if hatched else "apart", *writable(spec))
    return [*interpreter_command(spec), "-c", _START, *told]


def writable(spec: SandboxSpec) -> list[str]:
    """Where anything may be written at all."""
    mounted = [mount.target for mount in spec.mounts if mount.writable]
    return ["/dev", "/proc", TEMPORARY, *spec.folders, *mounted]


def zygote_command(spec: SandboxSpec, control: int, user: HostUser, preload: Preload) -> list[str]:
    """What runs in place of that where processes are to be forked from: with rights until it has become the
    user, so nothing that the sandbox holds has a say until then."""
    variables = [f"{name}={value}" for name, value in {**ENVIRONMENT, **spec.environment}.items()]
    told = (str(control), str(user.uid), str(user.gid), str(len(variables)), *variables)
    loading = (preload.python, "-c", _LOAD, str(control), preload.module, *preload.arguments)
    return [*interpreter_command(spec), "-c", _ENTER, *told, *loading]


def interpreter_command(spec: SandboxSpec) -> list[str]:
    """The words that start an interpreter inside, on which nothing there has a say."""
    python = interpreter()
    return [*(image_root.started(python) if spec.root else [str(python)]), "-I", "-S", "-E"]


def _hidden(nothing: str) -> Iterator[str]:
    for name in _HIDDEN_FILES:
        if Path("/proc", name).exists():
            yield from ("--ro-bind", nothing, f"/proc/{name}")
    for name in _HIDDEN_FOLDERS:
        if Path("/proc", name).is_dir():
            yield from ("--tmpfs", f"/proc/{name}", "--remount-ro", f"/proc/{name}")


def _scratch(target: str, mode: str, size_bytes: int) -> list[str]:
    return ["--size", str(size_bytes), "--perms", mode, "--tmpfs", target]


def _shared_etc() -> Iterator[tuple[str, Path]]:
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


def own_folders(spec: SandboxSpec) -> Sequence[str]:
    """The agent's. Raises SandboxError for those that cannot be made."""
    home, *others = spec.folders
    if home not in ((HOME,) if spec.root else (HOME, HOME_ALIAS)):
        raise SandboxError(f"the home of a sandbox cannot be {home}")
    taken = {name for name, *_ in image_root.entries(spec.root)} if spec.root else _TAKEN
    for folder in others:
        if not _FOLDER.fullmatch(folder) or folder[1:] in taken | image_root.OURS:
            raise SandboxError(f"{folder} cannot be a folder of the agent's own: use /app or the like")
    return spec.folders


def checked_target(mount: Mount) -> PurePosixPath:
    """Where the mount goes. Raises SandboxError when it cannot be made."""
    target = PurePosixPath(mount.target)
    if not target.is_absolute() or ".." in target.parts or len(target.parts) < 2:
        raise SandboxError(f"mount target {mount.target!r} must be an absolute path below /, without ..")
    if not mount.source.exists():
        raise SandboxError(f"cannot mount {mount.source}: there is no such file or folder")
    return target
