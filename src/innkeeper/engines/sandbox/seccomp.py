"""The system calls that code in a sandbox may not make: a filter for seccomp(2), in classic BPF.

What agents need is allowed; what reaches parts of the kernel that no agent needs is refused, though most of
it takes privileges that no agent has: a fault of the kernel is to be met by two walls. The list is in the
spirit of the default profiles of Docker and flatpak. A process of another architecture than the machine's
ends at once, since its calls have other numbers.
"""

import errno
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from innkeeper.engines.sandbox.sandbox import SandboxError

KILL_PROCESS = 0x8000_0000
ALLOW = 0x7FFF_0000
_ASK = 0x7FC0_0000
_ERRNO = 0x0005_0000

# Instructions (linux/bpf_common.h), and where `struct seccomp_data` (linux/seccomp.h) has what they look at.
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16

X32_CALLS = 0x4000_0000  # x86-64's other numbers for its own calls; no other machine has numbers as large
NAMESPACES = 0x7E02_0000  # every CLONE_NEW… flag that clone(2) takes
FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6
NETLINK, NETLINK_ROUTE = 16, 0
TERMINAL_INJECTIONS = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX

# The number on x86-64 and on AArch64; None where there is no such call.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "migrate_pages": (256, 238),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "sysfs": (139, None),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "uselib": (134, None),
    "userfaultfd": (323, 282),
    "ustat": (136, None),
    "vhangup": (153, 58),
}
# Programs that know these calls know what to do on kernels without them. What clone3 is to make lies in
# memory, where a filter cannot look.
UNKNOWN: dict[str, tuple[int | None, int | None]] = {
    "clone3": (435, 435),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
}


@dataclass(frozen=True, slots=True)
class Machine:
    """`column` is its place in the tables above, `audit` its AUDIT_ARCH_… number (linux/audit.h)."""

    column: int
    audit: int
    clone: int
    socket: int
    ioctl: int
    memfd_create: int
    seccomp: int


MACHINES = {
    "x86_64": Machine(0, 0xC000_003E, clone=56, socket=41, ioctl=16, memfd_create=319, seccomp=317),
    "aarch64": Machine(1, 0xC000_00B7, clone=220, socket=198, ioctl=29, memfd_create=279, seccomp=277),
}


def refusal(number: int) -> int:
    """The filter's answer that makes a call fail with this errno."""
    return _ERRNO | number


def program(machine: str, allowed: Sequence[str] = ()) -> bytes:
    """The filter for a machine as `os.uname` names it, without the calls of `REFUSED` that are `allowed`.
    Raises SandboxError for a machine without a filter."""
    if machine not in MACHINES:
        raise SandboxError(f"no sandboxes on {machine}: there are filters for {', '.join(MACHINES)}")
    refused = {name: numbers for name, numbers in REFUSED.items() if name not in allowed}
    return b"".join(_instructions(MACHINES[machine], refused))


def asking(machine: Machine) -> bytes:
    """A filter that has whoever listens asked at memfd_create(2) without flags, and allows all else."""
    call = _call(machine.memfd_create, [*_argument(1), *_when(EQUAL, 0, _ASK), _ALLOW])
    return b"".join([_word(LOAD, NUMBER_AT), *call, _ALLOW])


def _instructions(machine: Machine, refused: Mapping[str, tuple[int | None, int | None]]) -> Iterator[bytes]:
    yield _word(LOAD, ARCHITECTURE_AT)
    yield from _unless(EQUAL, machine.audit, KILL_PROCESS)
    yield _word(LOAD, NUMBER_AT)
    yield from _when(AT_LEAST, X32_CALLS, refusal(errno.ENOSYS))
    for calls, error in ((refused, errno.EPERM), (UNKNOWN, errno.ENOSYS)):
        for numbers in calls.values():
            number = numbers[machine.column]
            if number is not None:
                yield from _when(EQUAL, number, refusal(error))
    yield from _call(
        machine.clone, [*_argument(0), *_when(ANY_BIT, NAMESPACES, refusal(errno.EPERM)), _ALLOW]
    )
    yield from _call(machine.ioctl, [*_argument(1), *_no_injections(), _ALLOW])
    yield from _call(machine.socket, [*_argument(0), *_families()])
    yield _ALLOW


def _families() -> Iterator[bytes]:
    """Sockets of the few families that programs use; of netlink, what lists the sandbox's own network."""
    for family in FAMILIES:
        yield from _when(EQUAL, family, ALLOW)
    yield from _unless(EQUAL, NETLINK, refusal(errno.EAFNOSUPPORT))
    yield from _argument(2)
    yield from _unless(EQUAL, NETLINK_ROUTE, refusal(errno.EAFNOSUPPORT))
    yield _ALLOW


def _no_injections() -> Iterator[bytes]:
    for request in TERMINAL_INJECTIONS:
        yield from _when(EQUAL, request, refusal(errno.EPERM))


def _call(number: int, body: list[bytes]) -> Iterator[bytes]:
    """What to do at this call; `body` ends with an answer."""
    yield _word(EQUAL, number, otherwise=len(body))
    yield from body


def _argument(index: int) -> Iterator[bytes]:
    """The lower half of an argument: the kernel takes no more of those that we look at. It comes first, as
    these machines are little-endian."""
    yield _word(LOAD, ARGUMENTS_AT + 8 * index)


def _when(test: int, value: int, answer: int) -> Iterator[bytes]:
    yield _word(test, value, otherwise=1)
    yield _word(RETURN, answer)


def _unless(test: int, value: int, answer: int) -> Iterator[bytes]:
    yield _word(test, value, then=1)
    yield _word(RETURN, answer)


def _word(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    """A `struct sock_filter`; `then` and `otherwise` say how many instructions a test skips."""
    return struct.pack("<HBBI", code, then, otherwise, value)


_ALLOW = _word(RETURN, ALLOW)
