"""The list of what a sandbox may reach, read and checked: pure rules."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

from innkeeper.engines.sandbox.sandbox import Egress, SandboxError, Secret

LINES_MAX = 1000

_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")  # a token of RFC 9110
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]{0,16382}[\x21-\x7e])?")
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
NOT_PASSED_ON = frozenset(
    (
        *("connection", "expect", "host", "http2-settings", "keep-alive"),
        *("proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade"),
    )
)
"""Headers that are between two neighbours, or say whom a message is for."""

_NO_SECRETS = NOT_PASSED_ON | {"content-length"}


@dataclass(frozen=True, slots=True)
class Range:
    """Addresses with the first and the last of their TCP ports."""

    network: IPv4Network
    first: int = 1
    last: int = 65_535


@dataclass(frozen=True, slots=True)
class Listing:
    """An `Egress` whose lines are all good; names are in lower case and end without a dot."""

    names: frozenset[str] = frozenset()
    ranges: tuple[Range, ...] = ()
    secrets: tuple[Secret, ...] = ()

    @classmethod
    def of(cls, egress: Egress) -> "Listing":
        """Raises SandboxError that quotes the line that is none; never a secret's value."""
        count = len(egress.domains) + len(egress.cidrs) + len(egress.secrets)
        if count > LINES_MAX:
            raise SandboxError(f"an egress list has at most {LINES_MAX} lines; not {count}")
        names = frozenset(map(_pattern, egress.domains))
        ranges = tuple(map(_range, egress.cidrs))
        return cls(names, ranges, tuple(map(_secret, egress.secrets)))

    def allows(self, name: str) -> bool:
        return any(pattern in self.names for pattern in _patterns(name)) or bool(self.secrets_of(name))

    def secrets_of(self, name: str) -> tuple[Secret, ...]:
        patterns = set(_patterns(name))
        return tuple(secret for secret in self.secrets if secret.domain in patterns)


def plain(name: str) -> str:
    """The one way to write a name."""
    return name.lower().removesuffix(".")


def is_name(name: str) -> bool:
    """Whether it is a name that a host can have; an address is none."""
    return _NAME.fullmatch(name) is not None


def _patterns(name: str) -> Iterator[str]:
    """Each pattern that the name matches."""
    yield name
    yield "*"
    while "." in name:
        name = name.partition(".")[2]
        yield f"*.{name}"


def _pattern(domain: str) -> str:
    text = plain(domain)
    if text == "*" or is_name(text.removeprefix("*.")):
        return text
    raise SandboxError(f"{domain[:253]!r} is no domain: a name such as api.example.com, *.example.com, or *")


def _range(line: str) -> Range:
    text, colon, ports = line.partition(":")
    numbers = _PORTS.fullmatch(ports if colon else "1-65535")
    try:
        if numbers is None:
            raise ValueError
        network = IPv4Network(text)
    except ValueError:
        wanted = "such as 203.0.113.7, 203.0.113.0/24:443 or 203.0.113.0/24:8000-8010"
        raise SandboxError(f"{line[:80]!r} is no range of IPv4 addresses {wanted}") from None
    first, last = int(numbers[1]), int(numbers[2] or numbers[1])
    if not 1 <= first <= last <= 65_535:
        raise SandboxError(f"{line[:80]!r} has ports that there are not: they go from 1 to 65535")
    return Range(network, first, last)


def _secret(secret: Secret) -> Secret:
    domain = _pattern(secret.domain)
    if domain == "*":
        raise SandboxError("a secret needs a domain of its own: whoever * names would get it")
    if not _HEADER.fullmatch(secret.header) or secret.header.lower() in _NO_SECRETS:
        raise SandboxError(f"{secret.header[:128]!r} is no header that a secret can be sent in")
    if not _VALUE.fullmatch(secret.value):
        raise SandboxError(
            f"the secret for {domain} is empty, too long, or has characters no header may have"
        )
    return Secret(domain, secret.header, secret.value)


def replaced(headers: Iterable[tuple[str, str]], secrets: Iterable[Secret] = ()) -> list[tuple[str, str]]:
    """The headers of a message for the next hop, with the secrets in the place of any of their names."""
    given = list(headers)
    named = (value for name, value in given if name.lower() == "connection")
    hidden = NOT_PASSED_ON | {word.strip().lower() for value in named for word in value.split(",")}
    laid = {secret.header.lower(): (secret.header, secret.value) for secret in secrets}
    kept = [pair for pair in given if pair[0].lower() not in hidden and pair[0].lower() not in laid]
    return [*kept, *laid.values()]
