"""The way out of a sandbox: slirp4netns(1), a TCP/IP stack in user space, on the sandbox's own namespace.

No interface, route or firewall rule of the host is touched, and no privilege over the host is needed. The
ranges that no agent may reach are refused by routes inside the namespace, which nobody in there may change:
code in the sandbox has no power over the user namespace that owns its network. slirp4netns speaks no IPv6
unless told to, so there is none.
"""

import asyncio
import fcntl
import os
import re
import shutil
from contextlib import AsyncExitStack
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from innkeeper.engines.sandbox.child import ChildProcess
from innkeeper.engines.sandbox.readiness import readable
from innkeeper.engines.sandbox.sandbox import SandboxError

# TEST-NET-1 (RFC 5737) is nobody's address, so that every private range can be refused as a whole. Should a
# host use it after all: slirp4netns answers in it for its gateway, which leads nowhere, and its name server.
NETWORK = IPv4Network("192.0.2.0/24")
NAME_SERVER = "192.0.2.3"
REFUSED = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
)  # https://www.iana.org/assignments/iana-ipv4-special-registry
ATTACH_TIMEOUT_SECONDS = 15.0

_LOOK_SECONDS = 0.001
_NS_GET_USERNS = 0xB701  # ioctl_ns(2)
_TUN = Path("/dev/net/tun")


def problems() -> list[str]:
    """What keeps this machine from giving sandboxes a network."""
    tools = {"slirp4netns": "slirp4netns", "ip": "iproute2", "nsenter": "util-linux"}
    missing = [package for tool, package in tools.items() if shutil.which(tool) is None]
    found = []
    if missing:
        found.append(f"no network for agents: `apt-get install {' '.join(missing)}`")
    if not os.access(_TUN, os.R_OK | os.W_OK):
        found.append(f"no network for agents: {_TUN} cannot be opened; `modprobe tun`, `chmod 666 {_TUN}`")
    return found


async def attach(guest_pid: int, stack: AsyncExitStack) -> ChildProcess:
    """Connect the network namespace of `guest_pid` and close its forbidden routes; `stack` undoes it.

    Gives slirp4netns, which ends when this process or the stack does. Raises SandboxError.
    """
    async with AsyncExitStack() as borrowed:
        await _has_users(guest_pid)
        namespace = os.open(f"/proc/{guest_pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        borrowed.callback(os.close, namespace)
        owner = fcntl.ioctl(namespace, _NS_GET_USERNS)
        borrowed.callback(os.close, owner)
        slirp, ready = _start_slirp(namespace, owner, stack)
        borrowed.callback(os.close, ready)
        try:
            async with asyncio.timeout(ATTACH_TIMEOUT_SECONDS):
                await _close_routes(namespace, owner)
                await _until_ready(slirp, ready)
        except TimeoutError:
            raise SandboxError(f"slirp4netns was not ready in {ATTACH_TIMEOUT_SECONDS:g} s") from None
        return slirp


async def _has_users(guest_pid: int) -> None:
    """bubblewrap names its process before it has mapped the users of that namespace; nobody may act on its
    network until then."""
    try:
        async with asyncio.timeout(ATTACH_TIMEOUT_SECONDS):
            while not _read(f"/proc/{guest_pid}/uid_map"):  # noqa: ASYNC110 (the kernel tells nobody)
                await asyncio.sleep(_LOOK_SECONDS)
    except (OSError, TimeoutError):
        raise SandboxError("the sandbox ended before it had a network") from None


def _read(path: str) -> bytes:
    return Path(path).read_bytes()


def _start_slirp(namespace: int, owner: int, stack: AsyncExitStack) -> tuple[ChildProcess, int]:
    ready, report = os.pipe()
    leave, stay = os.pipe()
    try:
        slirp = ChildProcess(
            [
                *("slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback"),
                *("--enable-sandbox", "--enable-seccomp", f"--cidr={NETWORK}"),
                *(f"--ready-fd={report}", f"--exit-fd={leave}"),
                *("--netns-type=path", f"--userns-path=/proc/self/fd/{owner}"),
                *(f"/proc/self/fd/{namespace}", "tap0"),
            ],
            pass_fds=(namespace, owner, report, leave),
        )
    except SandboxError:
        os.close(ready)
        os.close(stay)
        raise
    finally:
        os.close(report)
        os.close(leave)
    stack.push_async_callback(slirp.kill)
    stack.callback(os.close, stay)
    return slirp, ready


async def _until_ready(slirp: ChildProcess, ready: int) -> None:
    await readable(ready)
    if os.read(ready, 1) != b"1":
        await slirp.wait()
        raise SandboxError(f"slirp4netns could not start: {slirp.complaints()}")
    slirp.settled()


async def _close_routes(namespace: int, owner: int) -> None:
    refused = (*REFUSED, *_own_addresses())
    batch = os.memfd_create("routes", os.MFD_CLOEXEC)
    try:
        os.write(batch, "".join(f"route replace prohibit {target}\n" for target in refused).encode())
        os.lseek(batch, 0, os.SEEK_SET)
        ip = ChildProcess(
            [
                *("nsenter", "--preserve-credentials", f"--user=/proc/self/fd/{owner}"),
                *(f"--net=/proc/self/fd/{namespace}", "ip", "-batch", "-"),
            ],
            pass_fds=(namespace, owner),
            stdin=batch,
        )
    finally:
        os.close(batch)
    try:
        await ip.wait()
        if ip.status != 0:
            raise SandboxError(f"cannot close the routes of a sandbox: {ip.complaints()}")
    finally:
        await ip.kill()


def _own_addresses() -> list[str]:
    """This host's own addresses, public ones too: its services are not the internet's."""
    table = Path("/proc/net/fib_trie").read_text()
    local = {IPv4Address(text) for text in re.findall(r"\|-- ([\d.]+)\n\s+/32 host LOCAL", table)}
    return [str(address) for address in local if not address.is_loopback and address not in NETWORK]
