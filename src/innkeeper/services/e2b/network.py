"""E2B's rules for the network of a sandbox, as a list of what it may reach."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

from innkeeper.engines.sandbox.egress.listing import Listing
from innkeeper.engines.sandbox.sandbox import Egress, SandboxError, Secret
from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import InvalidRequest

EVERYWHERE = "0.0.0.0/0"
_RULES = ("allowOut", "denyOut", "rules")
_PLACEHOLDER = "${"


def has_rules(network: Mapping[str, Any]) -> bool:
    """Whether it says what may be reached, and not only how the sandbox itself is. Raises InvalidRequest for
    what is not supported."""
    for name in ("egressProxy", "dnsServers"):
        if network.get(name):
            raise InvalidRequest(f"`network.{name}` is not supported")
    return any(network.get(name) for name in _RULES)


def wanted(body: Mapping[str, Any]) -> Egress | None:
    """What a request to create a sandbox lists, if it has rules. Raises InvalidRequest."""
    network = body.get("network") or {}
    return egress(network, body.get("allow_internet_access")) if has_rules(network) else None


def egress(network: Mapping[str, Any], internet: bool | None) -> Egress:
    """With `internet` False, all is denied that is not allowed. Raises InvalidRequest."""
    denied, allowed = _texts(network, "denyOut"), _texts(network, "allowOut")
    if set(denied) - {EVERYWHERE}:
        raise InvalidRequest(
            f"`network.denyOut` can only be {EVERYWHERE}: list in `network.allowOut` what may be reached"
        )
    ranges = [entry for entry in allowed if _is_address(entry)]
    names = [entry for entry in allowed if entry not in ranges]
    everything = EVERYWHERE in allowed or not (denied or internet is False)
    if names and everything:
        raise InvalidRequest(f"`network.denyOut` must be {EVERYWHERE} where `network.allowOut` has domains")
    listed = Egress(["*"], [EVERYWHERE]) if everything else Egress(names, ranges)
    try:
        reached = Listing.of(listed)
    except SandboxError as error:
        raise InvalidRequest(f"`network.allowOut`: {error}") from error
    secrets = [secret for secret in _secrets(network) if reached.allows(secret.domain.replace("*", "any"))]
    return Egress(listed.domains, listed.cidrs, secrets)


def shown(egress: Egress) -> Document:
    """In E2B's words, without what rules add to requests."""
    return {"allowOut": [*egress.domains, *egress.cidrs], "denyOut": [EVERYWHERE]}


def _secrets(network: Mapping[str, Any]) -> Iterator[Secret]:
    rules = network.get("rules") or {}
    if not isinstance(rules, dict):
        raise InvalidRequest("`network.rules` must be an object")
    for domain, of_domain in rules.items():
        for headers in map(_headers, of_domain if isinstance(of_domain, list) else [None]):
            for name, value in headers.items():
                if not isinstance(value, str) or _PLACEHOLDER in value:
                    raise InvalidRequest("`network.rules` can only add headers with values of their own")
                yield Secret(domain, name, value)


def _headers(rule: Any) -> dict[str, Any]:
    transform = rule.get("transform") if isinstance(rule, dict) else None
    headers = transform.get("headers") if isinstance(transform, dict) else None
    if not isinstance(headers, dict):
        raise InvalidRequest("each of `network.rules` must be a list of transforms with headers")
    return headers


def _texts(network: Mapping[str, Any], name: str) -> Sequence[str]:
    texts = network.get(name) or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InvalidRequest(f"`network.{name}` must be a list of texts")
    return texts


def _is_address(entry: str) -> bool:
    try:
        IPv4Network(entry)
    except ValueError:
        return False
    return True
