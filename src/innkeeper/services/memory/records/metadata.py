"""Metadata of records: what it may be, and the filters over it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from innkeeper.kernel.call import Document
from innkeeper.services.memory.model import Memory, invalid

_MEMBERS = {"STRING": "stringValue", "STRINGLIST": "stringListValue", "NUMBER": "numberValue"}
_TEXTS = frozenset({"stringValue", "stringListValue"})
_ANY = _TEXTS | {"numberValue", "dateTimeValue"}

# Which members a filter's right side may have, and how the two sides compare.
_COMPARISONS: dict[str, tuple[frozenset[str], Callable[[Any, Any], bool]]] = {
    "EQUALS_TO": (_ANY, lambda left, right: left == right),
    "BEFORE": (frozenset({"dateTimeValue"}), lambda left, right: left < right),
    "AFTER": (frozenset({"dateTimeValue"}), lambda left, right: left > right),
    "CONTAINS": (_TEXTS, lambda left, right: _contains(left, right)),
    "GREATER_THAN": (frozenset({"numberValue"}), lambda left, right: left > right),
    "GREATER_THAN_OR_EQUALS": (frozenset({"numberValue"}), lambda left, right: left >= right),
    "LESS_THAN": (frozenset({"numberValue"}), lambda left, right: left < right),
    "LESS_THAN_OR_EQUALS": (frozenset({"numberValue"}), lambda left, right: left <= right),
}


def check_filters(filters: Sequence[Document]) -> None:
    """Raises InvalidRequest for an operator with nothing, or the wrong kind of thing, to compare with."""
    for one in filters:
        if one["operator"] not in _COMPARISONS:
            continue
        members, _ = _COMPARISONS[one["operator"]]
        given = one.get("right", {}).get("metadataValue", {})
        if len(given) != 1 or not members >= set(given):
            allowed = " or ".join(sorted(members))
            raise invalid("metadataFilters", f"{one['operator']} needs right.metadataValue with {allowed}")


def matches(metadata: Mapping[str, Document], filters: Sequence[Document]) -> bool:
    """Whether metadata, as on the wire, passes all filters; a value of another type passes only EXISTS."""
    return all(_passes(metadata.get(one["left"]["metadataKey"]), one) for one in filters)


def check(memory: Memory, strategy: Document | None, metadata: Mapping[str, Document]) -> None:
    """Raises InvalidRequest when a value is not of the type that the memory's indexed keys or the strategy's
    schema say, or not one that the schema allows."""
    for key, type_ in memory.indexed_keys.items():
        _check_type(key, type_, metadata)
    schema: Document = strategy.get("memoryRecordSchema", {}) if strategy else {}
    for entry in schema.get("metadataSchema", ()):
        if "type" in entry:
            _check_type(entry["key"], entry["type"], metadata)
        rules = entry.get("extractionConfig", {}).get("llmExtractionConfig", {}).get("validation", {})
        if entry["key"] in metadata:
            _check_value(entry["key"], metadata[entry["key"]], rules)


def _passes(left: Document | None, one: Document) -> bool:
    if one["operator"] in ("EXISTS", "NOT_EXISTS"):
        return (left is not None) is bool(one["operator"] == "EXISTS")
    if left is None:
        return False
    members, compare = _COMPARISONS[one["operator"]]
    (left_member, left_value), (right_member, right_value) = _only(left), _only(one["right"]["metadataValue"])
    comparable = left_member == right_member or one["operator"] == "CONTAINS"
    return bool(left_member in members and comparable and compare(left_value, right_value))


def _contains(left: str | list[str], right: str | list[str]) -> bool:
    """A list holds all that are asked for; a text holds them as parts of itself."""
    return all(one in left for one in ([right] if isinstance(right, str) else right))


def _only(value: Document) -> tuple[str, Any]:
    return next(iter(value.items()))


def _check_type(key: str, type_: str, metadata: Mapping[str, Document]) -> None:
    if key in metadata and _MEMBERS[type_] not in metadata[key]:
        raise invalid("metadata", f"{key} is a {type_} in this memory: give it as {_MEMBERS[type_]}")


def _check_value(key: str, value: Document, rules: Document) -> None:
    texts = value.get("stringListValue", [value["stringValue"]] if "stringValue" in value else [])
    for_texts: Document = rules.get("stringValidation") or rules.get("stringListValidation") or {}
    allowed = for_texts.get("allowedValues")
    if texts and allowed and (unknown := [text for text in texts if text not in allowed]):
        raise invalid("metadata", f"{key} may be {', '.join(allowed)}, not {unknown[0]}")
    most = for_texts.get("maxItems", len(texts))
    if len(texts) > most:
        raise invalid("metadata", f"{key} may have at most {most} items")
    number, bounds = value.get("numberValue"), rules.get("numberValidation", {})
    if number is not None and not bounds.get("minValue", number) <= number <= bounds.get("maxValue", number):
        raise invalid("metadata", f"{key} is out of the bounds that the strategy's schema sets")
