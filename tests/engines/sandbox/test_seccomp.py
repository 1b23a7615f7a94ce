"""The filter of system calls, run here as the kernel runs it: what it allows and what it refuses."""

import errno
import re
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.engines.sandbox import seccomp
from innkeeper.engines.sandbox.sandbox import SandboxError
from innkeeper.engines.sandbox.seccomp import ALLOW, KILL_PROCESS, MACHINES, Machine, refusal

INSTRUCTION = struct.Struct("<HBBI")
DATA = struct.Struct("<IIQ6Q")
LENGTH_MAX = 4096  # BPF_MAXINSNS
TABLES = {**seccomp.REFUSED, **seccomp.UNKNOWN}
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}

machines = pytest.mark.parametrize("name", MACHINES)
numbers = st.integers(0, 2**32 - 1)
arguments = st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=6)


def answer(name: str, number: int, *given: int, audit: int | None = None) -> int:
    """What the filter says to a call; as in the kernel, it only ever jumps forward."""
    machine = MACHINES[name]
    values = [*given, *[0] * (6 - len(given))]
    data = DATA.pack(number, machine.audit if audit is None else audit, 0, *values)
    program = list(INSTRUCTION.iter_unpack(seccomp.program(name)))
    at = accumulator = 0
    while True:
        code, then, otherwise, value = program[at]
        at += 1
        if code == seccomp.RETURN:
            return int(value)
        if code == seccomp.LOAD:
            (accumulator,) = struct.unpack_from("<I", data, value)
            continue
        tests = {
            seccomp.EQUAL: accumulator == value,
            seccomp.AT_LEAST: accumulator >= value,
            seccomp.ANY_BIT: bool(accumulator & value),
        }
        at += then if tests[code] else otherwise


def refused(machine: Machine) -> dict[int, int]:
    """What must be answered to the numbers that are refused whatever their arguments are."""
    found = {}
    for calls, error in ((seccomp.REFUSED, errno.EPERM), (seccomp.UNKNOWN, errno.ENOSYS)):
        for each in calls.values():
            if (number := each[machine.column]) is not None:
                found[number] = refusal(error)
    return found


@machines
def test_it_is_a_program_that_the_kernel_takes(name: str) -> None:
    program = seccomp.program(name)
    count, rest = divmod(len(program), INSTRUCTION.size)
    assert rest == 0
    assert count <= LENGTH_MAX
    for at, (code, then, otherwise, _) in enumerate(INSTRUCTION.iter_unpack(program)):
        assert code == seccomp.RETURN or at + 1 + max(then, otherwise) < count


@machines
def test_every_call_of_the_list_is_refused_whatever_it_asks(name: str) -> None:
    for number, expected in refused(MACHINES[name]).items():
        for value in (0, 1, 2**64 - 1):
            assert answer(name, number, *[value] * 6) == expected


@machines
@given(number=st.integers(0, seccomp.X32_CALLS - 1), given=arguments)
def test_every_other_call_is_allowed(name: str, number: int, given: list[int]) -> None:
    machine = MACHINES[name]
    if number not in (machine.clone, machine.socket, machine.ioctl):
        assert answer(name, number, *given) == refused(machine).get(number, ALLOW)


@machines
@given(number=numbers, given=arguments, audit=numbers)
def test_a_foreign_architecture_ends_at_once(name: str, number: int, given: list[int], audit: int) -> None:
    if audit != MACHINES[name].audit:
        assert answer(name, number, *given, audit=audit) == KILL_PROCESS


@machines
@given(number=st.integers(seccomp.X32_CALLS, 2**32 - 1), given=arguments)
def test_the_second_numbers_of_x86_are_unknown(name: str, number: int, given: list[int]) -> None:
    assert answer(name, number, *given) == refusal(errno.ENOSYS)


@machines
@given(flags=st.integers(0, 2**64 - 1))
def test_clone_makes_processes_and_no_namespaces(name: str, flags: int) -> None:
    expected = refusal(errno.EPERM) if flags & seccomp.NAMESPACES else ALLOW
    assert answer(name, MACHINES[name].clone, flags) == expected


@machines
@given(family=numbers, upper=numbers, kind=numbers, protocol=numbers)
def test_sockets_are_of_known_families(name: str, family: int, upper: int, kind: int, protocol: int) -> None:
    number = MACHINES[name].socket
    allowed = family in seccomp.FAMILIES or (family, protocol) == (seccomp.NETLINK, seccomp.NETLINK_ROUTE)
    expected = ALLOW if allowed else refusal(errno.EAFNOSUPPORT)
    assert answer(name, number, upper << 32 | family, kind, upper << 32 | protocol) == expected


@machines
def test_netlink_tells_of_routes_only(name: str) -> None:
    number = MACHINES[name].socket
    assert answer(name, number, seccomp.NETLINK, 3, 0) == ALLOW
    for protocol in (4, 6, 9, 12, 15, 16, 21):
        assert answer(name, number, seccomp.NETLINK, 3, protocol) == refusal(errno.EAFNOSUPPORT)


@machines
@given(upper=numbers, request=numbers)
def test_nobody_types_into_terminals(name: str, upper: int, request: int) -> None:
    """The kernel looks at the lower half of the request alone, so the upper must not deceive."""
    for asked in (*seccomp.TERMINAL_INJECTIONS, request):
        expected = refusal(errno.EPERM) if asked in seccomp.TERMINAL_INJECTIONS else ALLOW
        assert answer(name, MACHINES[name].ioctl, 1, upper << 32 | asked) == expected


@machines
def test_the_numbers_are_those_of_linux(name: str) -> None:
    if not HEADERS[name].exists():
        pytest.skip("the kernel's headers are not here: `apt-get install linux-libc-dev`")
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\b", HEADERS[name].read_text())
    linux = {call: int(number) for call, number in found}
    machine = MACHINES[name]
    ours = {call: number for call, each in TABLES.items() if (number := each[machine.column]) is not None}
    ours |= {"clone": machine.clone, "socket": machine.socket, "ioctl": machine.ioctl}
    assert {call: linux[call] for call in ours} == ours


def test_a_machine_without_a_filter_is_told() -> None:
    with pytest.raises(SandboxError, match="riscv64"):
        seccomp.program("riscv64")
