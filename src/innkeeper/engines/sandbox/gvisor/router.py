"""The network of a gVisor sandbox that may reach the internet: a wire to a router that it has for itself.

gVisor's own network stack speaks through a raw socket on an interface, past the routes and rules of the
namespace that the interface is in. So that namespace holds nothing but one end of a wire; the other end is in
another one, the router, which the sandbox has no power over. There each packet is forwarded or refused, and
there are slirp4netns and, for a sandbox with a list, its name server and proxy. The addresses are always the
same, so that a sandbox can go on from a snapshot behind another router.

TCP is refused by a reset: gVisor's stack does not take every error that a router may send for an answer. No
process stays for it: the namespaces live as long as we, or the sandbox, hold them.
"""

import asyncio
import contextlib
import os
from collections import deque
from contextlib import AsyncExitStack
from ipaddress import collapse_addresses

from innkeeper.engines.sandbox import network
from innkeeper.engines.sandbox.child import ChildProcess
from innkeeper.engines.sandbox.egress.firewall import Post
from innkeeper.engines.sandbox.network import DEVICE, NAME_SERVER, OWN_ADDRESS, PROXY
from innkeeper.engines.sandbox.network_namespace import NetworkNamespace
from innkeeper.engines.sandbox.readiness import readable
from innkeeper.engines.sandbox.sandbox import SandboxError

TIMEOUT_SECONDS = 15.0

_AHEAD = 2

_GATEWAY, _GUEST = "192.0.2.9", "192.0.2.10"
_INSIDE = "inside"  # the router's end of the wire
POST = Post(
    "prerouting", (f'iifname != "{_INSIDE}" accept',), (f"ip daddr {{ {NAME_SERVER}, {PROXY} }} accept",)
)
"""Where a list stands that holds what comes from the sandbox."""

# A sandbox that goes on knows its neighbour by the address on the wire: both are fixed.
_ENDS = f"""\
link set lo up
link add eth0 mtu 65520 address 02:00:00:00:00:02 type veth peer name {_INSIDE} netns /proc/self/fd/3
link set eth0 up
address add {_GUEST}/30 dev eth0
route add default via {_GATEWAY}
"""
_ROUTER = f"""\
link set {_INSIDE} mtu 65520 address 02:00:00:00:00:01 up
address add {_GATEWAY}/30 dev {_INSIDE}
"""
# It begins in the router; its shell goes on in the sandbox's namespace and waits there to be looked at.
_MAKE = """
exec 3< /proc/self/ns/net && cd /proc/sys/net && echo 1 > ipv4/ip_forward || exit
[ ! -e ipv6 ] || echo 1 > ipv6/conf/all/disable_ipv6 || exit
printf %s "$3" | nft -f - || exit
exec unshare --net -- /bin/sh -c '
cd /proc/sys/net && { [ ! -e ipv6 ] || echo 1 > ipv6/conf/all/disable_ipv6; } &&
printf %s "$1" | ip -batch - && printf %s "$2" | nsenter --net=/proc/self/fd/3 ip -batch - &&
echo && read -r end
' router "$1" "$2"
"""


class Router:
    """`namespace` is its own; `path` leads to the one that runsc(1) is to enter, once."""

    def __init__(self, namespace: NetworkNamespace, wire: int) -> None:
        self.namespace = namespace
        self.path = f"/proc/{os.getpid()}/fd/{wire}"

    @classmethod
    async def make(cls, stack: AsyncExitStack) -> "Router":
        """Until the stack closes it. Nothing is forwarded before it is attached. Raises SandboxError."""
        async with AsyncExitStack() as borrowed:
            maker, ready = _start(borrowed)
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    await readable(ready)
            except TimeoutError:
                raise SandboxError(f"a network was not made in {TIMEOUT_SECONDS:g} s") from None
            if not os.read(ready, 1):
                await maker.wait()
                raise SandboxError(f"cannot make a network: {maker.complaints()}")
            namespace = NetworkNamespace.at(f"/proc/{maker.pid}/fd/3", stack)
            wire = os.open(f"/proc/{maker.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, wire)
            return cls(namespace, wire)


class Routers:
    """Keeps a few made ahead, once one was needed: making one takes some ten processes."""

    def __init__(self) -> None:
        self._ready: deque[tuple[Router, AsyncExitStack]] = deque()
        self._filling: asyncio.Task[None] | None = None

    async def take(self, stack: AsyncExitStack) -> Router:
        """One that nobody had, until the stack closes it. Raises SandboxError."""
        if not self._ready:
            self._ready.append(await _made())
        router, belongings = self._ready.popleft()
        stack.push_async_callback(belongings.aclose)
        if self._filling is None or self._filling.done():
            self._filling = asyncio.create_task(self._fill())
        return router

    async def close(self) -> None:
        if self._filling:
            self._filling.cancel()
            await asyncio.wait({self._filling})
        while self._ready:
            await self._ready.pop()[1].aclose()

    async def _fill(self) -> None:
        with contextlib.suppress(SandboxError):  # who takes the next is told why, if none can be made
            while len(self._ready) < _AHEAD:
                self._ready.append(await _made())


async def _made() -> tuple[Router, AsyncExitStack]:
    async with AsyncExitStack() as stack:
        return await Router.make(stack), stack.pop_all()


def _start(stack: AsyncExitStack) -> tuple[ChildProcess, int]:
    """The process that makes it, and what can be read when it has. It ends when we do, or the stack."""
    ready, report = os.pipe()
    stack.callback(os.close, ready)
    leave, stay = os.pipe()
    stack.callback(os.close, stay)
    try:
        maker = ChildProcess(
            [
                *("unshare", "--user", "--map-root-user", "--net", "--", "/bin/sh", "-c", _MAKE),
                *("router", _ENDS, _ROUTER, _rules()),
            ],
            stdin=leave,
            stdout=report,
        )
    finally:
        os.close(report)
        os.close(leave)
    stack.push_async_callback(maker.kill)
    return maker, ready


def _rules() -> str:
    """What every sandbox is held to. What slirp4netns believes to be the router's address is the sandbox's:
    it is exchanged without remembering connections, which would take the host's memory."""
    refused = ", ".join(map(str, collapse_addresses(network.refused())))
    return f"""
table inet router {{
chain in {{
type filter hook prerouting priority -10; policy accept;
iifname != "{_INSIDE}" accept
meta nfproto != ipv4 drop
ip saddr != {_GUEST} drop
ip daddr {NAME_SERVER} meta l4proto {{ tcp, udp }} th dport 53 accept
ip daddr {PROXY} tcp dport {{ 80, 443 }} accept
ip daddr {{ {refused} }} meta l4proto tcp reject with tcp reset
ip daddr {{ {refused} }} drop
}}
}}
table ip address {{
chain there {{
type filter hook postrouting priority 100;
oifname "{DEVICE}" ip saddr {_GUEST} ip saddr set {OWN_ADDRESS}
}}
chain back {{
type filter hook prerouting priority -300;
iifname "{DEVICE}" ip daddr {OWN_ADDRESS} ip daddr set {_GUEST}
}}
}}
"""
