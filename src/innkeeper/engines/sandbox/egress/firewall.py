"""The rules that a sandbox's packets must pass, in a network namespace that it has for itself, by nft(8).

Whatever is not let out is refused: TCP by a reset, which every network stack takes for an answer, the rest by
an error of the call. What may be reached by a name is let out for a while from when the name was answered.
Connections carry the number of the list that let them out; under the next one they must be let out anew.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from innkeeper.engines.sandbox.egress.listing import Listing, Range
from innkeeper.engines.sandbox.network import NAME_SERVER, PROXY
from innkeeper.engines.sandbox.network_namespace import NetworkNamespace
from innkeeper.engines.sandbox.sandbox import SandboxError

OPEN_SECONDS = 600
"""How long new connections may be made to an address after its name was answered."""
KNOWN_MAX = 4096
"""Addresses behind names that are remembered for a sandbox; then the oldest is forgotten."""
QUERIES_PER_SECOND = 200
CONNECTIONS_MAX = 128
"""To our name server and to our proxy, each; so many may begin in two seconds."""

_TABLE = "inet innkeeper"
_OPENING = "tcp flags & (syn | ack) == syn"


@dataclass(frozen=True, slots=True)
class Post:
    """Where the rules stand: the hook of nft(8), what is none of their business, and what comes to us."""

    hook: str
    others: tuple[str, ...]
    ours: tuple[str, ...]


OUTPUT = Post("output", (), ('oifname "lo" accept',))
"""In the namespace in which the connections of the sandbox begin."""


class Firewall:
    """`listing` is the list in force."""

    def __init__(self, namespace: NetworkNamespace, listing: Listing, post: Post = OUTPUT) -> None:
        self.listing = listing
        self._namespace = namespace
        self._post = post
        self._changing = asyncio.Lock()
        self._generation = 0
        self._open_until: dict[tuple[str, IPv4Address], float] = {}

    async def enforce(self, listing: Listing) -> None:
        """Put these rules in the place of those there were, at one moment. Raises SandboxError; then they
        are as they were."""
        async with self._changing:
            kept = {key for key in self._open_until if listing.allows(key[0])}
            addresses = {address for _, address in kept}
            generation = self._generation + 1
            await self._tell(_table(self._post, listing.ranges, addresses, generation))
            self.listing = listing
            self._generation = generation
            self._open_until = dict.fromkeys(kept, time.monotonic() + OPEN_SECONDS)

    async def admit(self, name: str, addresses: Sequence[IPv4Address]) -> None:
        """Let connections out to what a name was answered with. Raises SandboxError, also
        when the name has left the list meanwhile."""
        async with self._changing:
            if not self.listing.allows(name):
                raise SandboxError(f"{name} is not listed")
            now = time.monotonic()
            keys = [(name, address) for address in addresses]
            if all(self._open_until.get(key, 0) - now > OPEN_SECONDS / 2 for key in keys):
                return
            await self._tell(_opening(addresses))
            for key in keys:
                self._open_until.pop(key, None)
                self._open_until[key] = now + OPEN_SECONDS
            while len(self._open_until) > KNOWN_MAX:
                del self._open_until[next(iter(self._open_until))]

    async def _tell(self, lines: Iterable[str]) -> None:
        await self._namespace.run(("nft", "-f", "-"), "\n".join(lines) + "\n")


def _table(
    post: Post, ranges: Sequence[Range], addresses: Iterable[IPv4Address], generation: int
) -> Iterator[str]:
    known = ", ".join(f"{address} timeout {OPEN_SECONDS}s" for address in sorted(addresses))
    elements = f"elements = {{ {known} }};" if known else ""
    leave = f"ct mark set {generation} accept"
    yield f"table {_TABLE}"  # so that there is one to delete
    yield f"delete table {_TABLE}"
    yield f"table {_TABLE} {{"
    yield f"set names {{ type ipv4_addr; flags timeout; {elements} }}"
    yield from _untracked()
    yield "chain out {"
    yield f"type filter hook {post.hook} priority filter; policy drop;"
    yield from post.others
    yield from _moderation()
    yield from post.ours
    yield f"ct state established ct mark {generation} accept"
    yield "ct state established tcp flags & rst == rst accept"
    for each in ranges:
        yield f"ip daddr {each.network} tcp dport {each.first}-{each.last} {leave}"
    yield f"meta l4proto tcp ip daddr @names {leave}"
    yield "meta l4proto tcp reject with tcp reset"
    yield "}"
    yield "}"


def _untracked() -> Iterator[str]:
    """The sandbox's connections with itself: remembering them would take the host's memory, not its own."""
    ours = f"{{ {NAME_SERVER}, {PROXY} }}"
    yield "chain untracked {"
    yield "type filter hook output priority raw; policy accept;"
    yield f'oifname "lo" ip daddr != {ours} ip saddr != {ours} notrack'
    yield 'oifname "lo" meta nfproto ipv6 notrack'
    yield "}"


def _moderation() -> Iterator[str]:
    """The server answers these itself: no sandbox may keep it from its other work."""
    yield (
        f"ip daddr {NAME_SERVER} udp dport 53"
        f" limit rate over {QUERIES_PER_SECOND}/second burst {QUERIES_PER_SECOND} packets drop"
    )
    for address in (NAME_SERVER, PROXY):
        opening = f"ip daddr {address} {_OPENING}"
        yield f"{opening} ct count over {CONNECTIONS_MAX} reject with tcp reset"
        yield (
            f"{opening} limit rate over {CONNECTIONS_MAX // 2}/second burst {CONNECTIONS_MAX} packets"
            " reject with tcp reset"
        )


def _opening(addresses: Iterable[IPv4Address]) -> Iterator[str]:
    """An element keeps the time-out that it was added with: so it is added anew."""
    for address in addresses:
        yield f"add element {_TABLE} names {{ {address} }}"
        yield f"delete element {_TABLE} names {{ {address} }}"
        yield f"add element {_TABLE} names {{ {address} timeout {OPEN_SECONDS}s }}"
