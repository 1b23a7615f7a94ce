"""Variables of namespaces that events give values to, under the rules of the memory's `namespaceKeys`."""

import re
from collections.abc import Mapping, Sequence

from innkeeper.kernel.call import Document
from innkeeper.services.memory.model import invalid

_REPEATS_MAX = 3
_REPEATED_GROUP = re.compile(r"\)[*+?{]")
_REPEAT = re.compile(r"[*+?]|\{\d*,\d*\}")
_REFERENCE = re.compile(r"\\\d|\(\?")


def check_keys(keys: Sequence[Document]) -> None:
    """Raises InvalidRequest for a key that is there twice, or a pattern that could take for ever to match: it
    may have three repetitions, none of a group, and no references."""
    names = [one["key"] for one in keys]
    if len(set(names)) < len(names):
        raise invalid("namespaceKeys", "a key may be there only once")
    for pattern in (one.get("validation", {}).get("regexPattern") for one in keys):
        if pattern is not None:
            _check_pattern(pattern)


def check_values(keys: Sequence[Document], values: Mapping[str, str]) -> None:
    """Raises InvalidRequest for a variable that the memory has no key for, or a value against its rules."""
    rules = {one["key"]: one.get("validation", {}) for one in keys}
    for name, value in values.items():
        if name not in rules:
            raise _refused(f"this memory has no namespace key {name}; it has: {', '.join(rules) or 'none'}")
        allowed, pattern = rules[name].get("allowedValues"), rules[name].get("regexPattern")
        if allowed and value not in allowed:
            raise _refused(f"{name} may be {', '.join(allowed)}, not {value}")
        if pattern and not re.fullmatch(pattern, value):
            raise _refused(f"{name} must match {pattern}, which {value} does not")


def _check_pattern(pattern: str) -> None:
    bare = re.sub(r"\\[^\d]|\[[^\]]*\]", "x", pattern)
    if _REPEATED_GROUP.search(bare) or _REFERENCE.search(bare) or len(_REPEAT.findall(bare)) > _REPEATS_MAX:
        raise invalid(
            "namespaceKeys",
            f"{pattern} may have {_REPEATS_MAX} repetitions, none of a group, and neither references nor (?",
        )
    try:
        re.compile(pattern)
    except re.error as error:
        raise invalid("namespaceKeys", f"{pattern} is no regular expression: {error}") from None


def _refused(rule: str) -> Exception:
    return invalid("extractionConfig.namespaceVariables", rule)
