"""Strategies as documents: from how they are asked for to how AgentCore shows them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import NotFound
from innkeeper.kernel.ids import resource_id
from innkeeper.services.memory.model import invalid
from innkeeper.services.memory.namespaces import check_template

_OF_ACTOR = "/strategies/{memoryStrategyId}/actors/{actorId}/"
_OF_SESSION = "/strategies/{memoryStrategyId}/actors/{actorId}/sessions/{sessionId}/"
_TYPES = {
    "semanticMemoryStrategy": ("SEMANTIC", _OF_ACTOR),
    "summaryMemoryStrategy": ("SUMMARIZATION", _OF_SESSION),
    "userPreferenceMemoryStrategy": ("USER_PREFERENCE", _OF_ACTOR),
    "episodicMemoryStrategy": ("EPISODIC", _OF_SESSION),
    "customMemoryStrategy": ("CUSTOM", _OF_ACTOR),
}
_OVERRIDES = {
    "semanticOverride": ("SEMANTIC_OVERRIDE", "semantic", _OF_ACTOR),
    "summaryOverride": ("SUMMARY_OVERRIDE", "summary", _OF_SESSION),
    "userPreferenceOverride": ("USER_PREFERENCE_OVERRIDE", "userPreference", _OF_ACTOR),
    "episodicOverride": ("EPISODIC_OVERRIDE", "episodic", _OF_SESSION),
}
_STEPS = ("extraction", "consolidation", "reflection")
_TRIGGERS = [
    {"messageBasedTrigger": {"messageCount": 6}},
    {"tokenBasedTrigger": {"tokenCount": 1000}},
    {"timeBasedTrigger": {"idleSessionTimeout": 20}},
]
_HISTORY_MESSAGES = 4
_EXPIRY_DAYS_MAX = 365_000  # what is added to a date must be one


def made(asked: Document, now: datetime) -> Document:
    """A strategy that was asked for, with an id of its own. Raises InvalidRequest."""
    kind, given = _only_member(asked, "memoryStrategies")
    type_, template = _TYPES[kind]
    strategy: Document = {"strategyId": resource_id(given["name"]), "name": given["name"], "type": type_}
    if kind == "customMemoryStrategy" and given.get("configuration"):
        override, settings = _only_member(given["configuration"], "configuration")
        strategy["configuration"] = _configuration(override, settings)
        template = _OVERRIDES[override][2] if override in _OVERRIDES else ""
    elif kind == "episodicMemoryStrategy":
        reflection = _with_namespaces(given.get("reflectionConfiguration", {}), _OF_ACTOR)
        strategy["configuration"] = {"reflection": {"episodicReflectionConfiguration": reflection}}
    strategy |= {name: given[name] for name in ("description", "memoryRecordSchema") if name in given}
    strategy |= _namespaces(given, template) | _expiry(given)
    return {**strategy, "status": "ACTIVE", "createdAt": now.isoformat(), "updatedAt": now.isoformat()}


def changed(strategy: Document, change: Document, now: datetime) -> Document:
    """The strategy with the members of a change; those of a self-managed one that are not named stay."""
    after = {**strategy, "updatedAt": now.isoformat()}
    after |= {name: change[name] for name in ("description", "memoryRecordSchema") if name in change}
    if change.get("namespaces") or change.get("namespaceTemplates"):
        after |= _namespaces(change, "")
    if "recordExpirySpecification" in change:
        after.pop("recordExpiryDurationDays", None)
        after |= _expiry(change)
    if change.get("configuration"):
        asked = _respelled(change["configuration"])
        after["configuration"] = _merged(strategy.get("configuration", {}), asked)
    return after


def changed_all(strategies: Sequence[Document], changes: Document, now: datetime) -> list[Document]:
    """After deleting, modifying and adding, in this order. Raises NotFound, InvalidRequest."""
    present = {one["strategyId"]: one for one in strategies}
    for gone in changes.get("deleteMemoryStrategies", ()):
        del present[_known(present, gone["memoryStrategyId"])]
    for change in changes.get("modifyMemoryStrategies", ()):
        id_ = _known(present, change["memoryStrategyId"])
        present[id_] = changed(present[id_], change, now)
    return [*present.values(), *(made(asked, now) for asked in changes.get("addMemoryStrategies", ()))]


def check(strategies: Sequence[Document], most: int, keys: Iterable[str]) -> None:
    """The rules for all of a memory's strategies together. Raises InvalidRequest."""
    names = [one["name"] for one in strategies]
    if len(names) > most:
        raise invalid("memoryStrategies", f"a memory may have at most {most}")
    if twice := {name for name in names if names.count(name) > 1}:
        raise invalid("memoryStrategies", f"two are named {min(twice)}; names must differ")
    keys = list(keys)
    for one in strategies:
        for template in one["namespaceTemplates"]:
            check_template("namespaceTemplates", template, keys)


def _known(present: Document, strategy_id: str) -> str:
    if strategy_id not in present:
        raise NotFound(f"Memory strategy {strategy_id} does not exist in this memory")
    return strategy_id


def _only_member(union: Document, member: str) -> tuple[str, Document]:
    if len(union) != 1:
        raise invalid(member, "each must have exactly one member")
    return next(iter(union.items()))


def _namespaces(given: Document, default: str) -> Document:
    """Both spellings, which mean the same: `namespaces` is the older one."""
    old, new = given.get("namespaces"), given.get("namespaceTemplates")
    if old and new and old != new:
        raise invalid("namespaceTemplates", "namespaces is its older name; give one of them")
    chosen = new or old or ([default] if default else [])
    return {"namespaces": chosen, "namespaceTemplates": chosen}


def _with_namespaces(given: Document, default: str) -> Document:
    return {**given, **_namespaces(given, default)}


def _expiry(given: Document) -> Document:
    days = given.get("recordExpirySpecification", {}).get("recordExpiryDurationDays")
    if days and days > _EXPIRY_DAYS_MAX:
        raise invalid(
            "recordExpirySpecification", f"records may expire after at most {_EXPIRY_DAYS_MAX} days"
        )
    return {"recordExpiryDurationDays": days} if days else {}


def _configuration(override: str, settings: Document) -> Document:
    if override == "selfManagedConfiguration":
        whole = {"triggerConditions": _TRIGGERS, "historicalContextWindowSize": _HISTORY_MESSAGES, **settings}
        return {"type": "SELF_MANAGED", "selfManagedConfiguration": whole}
    type_, noun, _ = _OVERRIDES[override]
    configuration: Document = {"type": type_}
    for step in _STEPS:
        if step in settings:
            inner = _with_namespaces(settings[step], _OF_ACTOR) if step == "reflection" else settings[step]
            title = step.capitalize()
            configuration[step] = {f"custom{title}Configuration": {f"{noun}{title}Override": inner}}
    return configuration


def _merged(old: Any, new: Any) -> Any:
    """`new` over `old`, member by member."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return {**old, **{name: _merged(old.get(name), value) for name, value in new.items()}}


def _respelled(configuration: Document) -> Document:
    """A change may name the namespaces of a reflection in either spelling: both are replaced."""
    reflection = {}
    for kind, value in configuration.get("reflection", {}).items():
        if inner := value.get("episodicReflectionOverride"):
            reflection[kind] = {"episodicReflectionOverride": _both_spellings(inner)}
        else:
            reflection[kind] = _both_spellings(value)
    return {**configuration, "reflection": reflection} if reflection else configuration


def _both_spellings(given: Document) -> Document:
    named = given.get("namespaces") or given.get("namespaceTemplates")
    return _with_namespaces(given, "") if named else given
