"""What a memory asks of what is written to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from innkeeper.kernel.call import Document
from innkeeper.kernel.caller import Caller, CallerKind
from innkeeper.services.memory.members import check_known
from innkeeper.services.memory.model import Memory, check_text, invalid
from innkeeper.services.memory.namespaces import Scope, instances, templates
from innkeeper.services.memory.records.model import Trust

_MEMBERS = frozenset(
    {"quarantineLearned", "quarantineByHand", "threshold", "burst", "roleTrust", "leastTrust"}
)
_PREFERENCE = "USER_PREFERENCE"
_PATHS_MAX = 100
_PATH_MAX = 1024
_BURST_MAX = 100_000
_ORDER = tuple(Trust)


@dataclass(frozen=True, slots=True)
class Policy:
    """Vetting is suspicious from `threshold` on, 0 to 1. At most `burst` records may come from tools into one
    namespace in a minute. A program that calls with credentials of a role writes with `role_trust`.
    `least_trust` names by path who may write there and below; the longest path counts."""

    quarantine_learned: bool = True
    quarantine_by_hand: bool = False
    threshold: float = 0.5
    burst: int = 100
    role_trust: Trust = Trust.OWNER
    least_trust: Mapping[str, Trust] = field(default_factory=dict)

    def trust_of(self, caller: Caller) -> Trust:
        return self.role_trust if caller.kind is CallerKind.ROLE else Trust.OWNER

    def lets(self, trust: Trust, memory: Memory, namespace: str) -> bool:
        """Whether a word of this trust may be written to a namespace."""
        return _ORDER.index(trust) <= _ORDER.index(self.least(memory, namespace))

    def least(self, memory: Memory, namespace: str) -> Trust:
        """Where no path says anything: no tool's words in the namespaces of a person's preferences."""
        paths = [path for path in self.least_trust if Scope(path, subtree=True).contains(namespace)]
        if paths:
            return self.least_trust[max(paths, key=len)]
        return Trust.ASSISTANT if _holds_preferences(memory, namespace) else Trust.TOOL


def policy_of(document: Document) -> Policy:
    """Raises InvalidRequest for what is no policy. What is not named is as usual."""
    check_known(document, _MEMBERS)
    usual = Policy()
    return Policy(
        quarantine_learned=_flag(document, "quarantineLearned", usual.quarantine_learned),
        quarantine_by_hand=_flag(document, "quarantineByHand", usual.quarantine_by_hand),
        threshold=_threshold(document.get("threshold", usual.threshold)),
        burst=_burst(document.get("burst", usual.burst)),
        role_trust=_trust("roleTrust", document.get("roleTrust", usual.role_trust)),
        least_trust=_least_trust(document.get("leastTrust", {})),
    )


def shown(policy: Policy) -> Document:
    return {
        "quarantineLearned": policy.quarantine_learned,
        "quarantineByHand": policy.quarantine_by_hand,
        "threshold": policy.threshold,
        "burst": policy.burst,
        "roleTrust": policy.role_trust,
        "leastTrust": dict(policy.least_trust),
    }


def _holds_preferences(memory: Memory, namespace: str) -> bool:
    kinds = {
        one["strategyId"]: one.get("configuration", {}).get("type") or one["type"]
        for one in memory.strategies
    }
    return any(
        kinds[strategy_id].startswith(_PREFERENCE)
        and instances(template, {"memoryStrategyId": strategy_id}).fullmatch(namespace)
        for template, strategy_id in templates(memory.strategies)
    )


def _flag(document: Document, name: str, usual: bool) -> bool:
    value = document.get(name, usual)
    if not isinstance(value, bool):
        raise invalid(name, "must be true or false")
    return value


def _threshold(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 1:
        raise invalid("threshold", "must be a number above 0, and at most 1")
    return float(value)


def _burst(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _BURST_MAX:
        raise invalid("burst", f"must be a whole number from 1 to {_BURST_MAX}")
    return value


def _trust(name: str, value: object) -> Trust:
    if value not in _ORDER:
        raise invalid(name, f"must be one of {', '.join(_ORDER)}")
    return Trust(str(value))


def _least_trust(value: object) -> dict[str, Trust]:
    if not isinstance(value, dict) or len(value) > _PATHS_MAX:
        raise invalid("leastTrust", f"must be an object of at most {_PATHS_MAX} paths, each with a trust")
    for path in value:
        if not 1 <= len(path) <= _PATH_MAX:
            raise invalid("leastTrust", f"a path must have 1 to {_PATH_MAX} characters")
        check_text("leastTrust", path)
    return {path: _trust("leastTrust", trust) for path, trust in value.items()}
