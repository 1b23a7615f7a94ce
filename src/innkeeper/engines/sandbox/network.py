"""The way out of a sandbox: slirp4netns(1), a TCP/IP stack in user space, on a namespace for it alone.

No interface, route or firewall rule of the host is touched, and no privilege over the host is needed. The
ranges that no agent may reach are refused by routes inside the namespace, which nobody in there may change:
code in the sandbox has no power over the user namespace that owns its network. slirp4netns speaks no IPv6
unless told to, so there is none.
"""

import asyncio
import os
import re
import shutil
from collections.abc import Sequence
from contextlib import AsyncExitStack
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from innkeeper.engines.sandbox.child import PATH, ChildProcess
from innkeeper.engines.sandbox.network_namespace import NetworkNamespace
from innkeeper.engines.sandbox.readiness import readable
from innkeeper.engines.sandbox.sandbox import SandboxError

# TEST-NET-1 (RFC 5737) is nobody's address, so that every private range can be refused as a whole. Should a
# host use it after all: slirp4netns answers in it for its gateway, which leads nowhere, and its name server.
NETWORK = IPv4Network("192.0.2.0/24")
NAME_SERVER = "192.0.2.3"
OWN_ADDRESS = "192.0.2.100"
"""What slirp4netns calls the other side of its device."""
DEVICE = "tap0"
PROXY = "192.0.2.4"
"""Where a sandbox with a list finds our proxy, under the names that have a secret."""
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

_TUN = Path("/dev/net/tun")


def problems() -> list[str]:
    """What keeps this machine from giving sandboxes a network."""
    missing = _missing({"slirp4netns": "slirp4netns", "ip": "iproute2", "nsenter": "util-linux"})
    found = []
    if missing:
        found.append(f"no network for agents: `apt-get install {' '.join(missing)}`")
    if not os.access(_TUN, os.R_OK | os.W_OK):
        found.append(f"no network for agents: {_TUN} cannot be opened; `modprobe tun`, `chmod 666 {_TUN}`")
    return found


def listing_problems() -> list[str]:
    """What keeps this machine, if sandboxes have a network here, from giving them a list."""
    missing = _missing({"nft": "nftables"})
    return [f"no allow-lists for agents: `apt-get install {' '.join(missing)}`"] if missing else []


def _missing(tools: dict[str, str]) -> list[str]:
    """The packages of those that are not there."""
    return [package for tool, package in tools.items() if shutil.which(tool, path=PATH) is None]


def refused() -> list[IPv4Network]:
    """What no sandbox may reach, whatever it is told: this host's own addresses, public ones too, since its
    services are not the internet's."""
    ranges = (*REFUSED, "127.0.0.0/8", NETWORK, *_own_addresses())
    return [IPv4Network(each) for each in ranges]


async def attach(
    namespace: NetworkNamespace, stack: AsyncExitStack, ours: Sequence[str] = ()
) -> ChildProcess:
    """Connect a network namespace and close its forbidden routes; `stack` undoes it. `ours` are addresses of
    NETWORK that become the namespace's own, for us to serve.

    Gives slirp4netns, which ends when this process or the stack does. Raises SandboxError.
    """
    async with AsyncExitStack() as borrowed:
        slirp, ready = _start_slirp(namespace, stack)
        borrowed.callback(os.close, ready)
        try:
            async with asyncio.timeout(ATTACH_TIMEOUT_SECONDS):
                await _close_routes(namespace, ours)
                await _until_ready(slirp, ready)
        except TimeoutError:
            raise SandboxError(f"slirp4netns was not ready in {ATTACH_TIMEOUT_SECONDS:g} s") from None
        return slirp


def _start_slirp(namespace: NetworkNamespace, stack: AsyncExitStack) -> tuple[ChildProcess, int]:
    # Without root it has to be led into the user namespace: by itself, it goes there only half (1.2.0).
    entering, named = [], [f"--userns-path=/proc/self/fd/{namespace.owner}"]
    if os.getuid() != 0:
        entering, named = [*namespace.entering_users, "setpriv", "--regid=0", "--keep-groups"], []
    ready, report = os.pipe()
    leave, stay = os.pipe()
    try:
        slirp = ChildProcess(
            [
                *entering,
                *("slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback"),
                *("--enable-sandbox", "--enable-seccomp", f"--cidr={NETWORK}"),
                *(f"--ready-fd={report}", f"--exit-fd={leave}", "--netns-type=path", *named),
                *(f"/proc/self/fd/{namespace.network}", DEVICE),
            ],
            pass_fds=(namespace.network, namespace.owner, report, leave),
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


async def _close_routes(namespace: NetworkNamespace, ours: Sequence[str]) -> None:
    lines = [f"route replace prohibit {target}\n" for target in (*REFUSED, *_own_addresses())]
    lines += [f"address add {address}/32 dev lo\n" for address in ours]
    await namespace.run(("ip", "-batch", "-"), "".join(lines))


def _own_addresses() -> list[str]:
    table = Path("/proc/net/fib_trie").read_text()
    local = {IPv4Address(text) for text in re.findall(r"\|-- ([\d.]+)\n\s+/32 host LOCAL", table)}
    return [str(address) for address in local if not address.is_loopback and address not in NETWORK]
