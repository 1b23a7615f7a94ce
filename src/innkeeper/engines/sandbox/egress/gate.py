"""The way out of a sandbox with a list: rules on its packets, a name server and a proxy of its own."""

import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

from innkeeper.engines.sandbox.authorities import BUNDLE_VARIABLES, EXTRA_VARIABLES
from innkeeper.engines.sandbox.egress import resolver, sockets
from innkeeper.engines.sandbox.egress.authority import Authority
from innkeeper.engines.sandbox.egress.firewall import OUTPUT, Firewall, Post
from innkeeper.engines.sandbox.egress.listing import Listing
from innkeeper.engines.sandbox.egress.name_server import NameServer
from innkeeper.engines.sandbox.egress.proxy import Proxy
from innkeeper.engines.sandbox.network import NAME_SERVER, PROXY
from innkeeper.engines.sandbox.network_namespace import NetworkNamespace
from innkeeper.engines.sandbox.sandbox import Egress, Mount, SandboxSpec

BUNDLE = "/run/innkeeper/ca-certificates.crt"
ADDRESSES = (NAME_SERVER, PROXY)
"""Those that the network namespace must have."""

_SYSTEM_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_PLACES = (
    (socket.SOCK_DGRAM, NAME_SERVER, 53),
    (socket.SOCK_STREAM, NAME_SERVER, 53),
    (socket.SOCK_STREAM, PROXY, 443),
    (socket.SOCK_STREAM, PROXY, 80),
)


class Gate:
    def __init__(self, firewall: Firewall) -> None:
        self._firewall = firewall

    @classmethod
    async def open(
        cls,
        namespace: NetworkNamespace,
        egress: Egress,
        authority: Authority,
        stack: AsyncExitStack,
        post: Post = OUTPUT,
    ) -> "Gate":
        """On a namespace that is, or will be, attached with ADDRESSES; the stack closes it. Raises
        SandboxError."""
        firewall = Firewall(namespace, Listing.of(egress), post)
        datagrams, streams, https, http = await sockets.make(namespace, _PLACES, stack)
        await firewall.enforce(firewall.listing)
        gate = cls(firewall)
        await NameServer(lambda name: firewall.listing.allows(name), gate._addresses).serve(
            datagrams, streams, stack
        )
        await Proxy(authority, lambda: firewall.listing).serve(https, http, stack)
        return gate

    async def change(self, egress: Egress) -> None:
        """Put another list in the place of this one. Raises SandboxError; then it is as it was."""
        await self._firewall.enforce(Listing.of(egress))

    async def _addresses(self, name: str) -> Sequence[IPv4Address]:
        """Those that the sandbox is told for a listed name, and let out to."""
        if self._firewall.listing.secrets_of(name):
            return [IPv4Address(PROXY)]
        found = await resolver.addresses_of(name)
        await self._firewall.admit(name, found)
        return found


def trusting(spec: SandboxSpec, authority: Authority) -> SandboxSpec:
    """The same, with programs inside that believe our proxy."""
    system = Path(f"{spec.root or ''}{_SYSTEM_BUNDLE}")
    targets = [BUNDLE, *([_SYSTEM_BUNDLE] if system.is_file() else [])]
    mounts = [Mount(authority.bundle, target) for target in targets]
    environment = {**dict.fromkeys((*BUNDLE_VARIABLES, *EXTRA_VARIABLES), BUNDLE), **spec.environment}
    return replace(spec, mounts=(*spec.mounts, *mounts), environment=environment)
