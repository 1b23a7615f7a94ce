"""The `Condition` element of IAM policies.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from collections.abc import Callable, Mapping
from typing import Any

Test = Callable[[str, str], bool]

_IF_EXISTS = "IfExists"


def glob_match(pattern: str, text: str) -> bool:
    """`*` stands for any run of characters, `?` for any one. Never worse than pattern times text."""
    if "*" not in pattern and "?" not in pattern:
        return pattern == text
    at = read = retry = 0
    star = -1
    while read < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, retry = at, read
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", text[read]):
            at += 1
            read += 1
        elif star >= 0:
            retry += 1
            at, read = star + 1, retry
        else:
            return False
    return not pattern[at:].strip("*")


def arn_match(pattern: str, arn: str) -> bool:
    """Each of the six parts matches by itself, so that no `*` reaches over a colon."""
    patterns, parts = pattern.split(":", 5), arn.split(":", 5)
    return len(patterns) == len(parts) == 6 and all(map(glob_match, patterns, parts))


def _same(pattern: str, text: str) -> bool:
    return pattern == text


def _same_letters(pattern: str, text: str) -> bool:
    return pattern.casefold() == text.casefold()


_OPERATORS: dict[str, tuple[Test, bool]] = {
    "StringEquals": (_same, True),
    "StringNotEquals": (_same, False),
    "StringEqualsIgnoreCase": (_same_letters, True),
    "StringNotEqualsIgnoreCase": (_same_letters, False),
    "StringLike": (glob_match, True),
    "StringNotLike": (glob_match, False),
    "ArnEquals": (arn_match, True),
    "ArnLike": (arn_match, True),
    "ArnNotEquals": (arn_match, False),
    "ArnNotLike": (arn_match, False),
    "Bool": (_same_letters, True),
}


def conditions_hold(block: Mapping[str, Any], context: Mapping[str, str]) -> bool | None:
    """Whether every condition holds; None when one that we do not know stands in the way of an answer.

    `context` has its keys in lower case. A key that the request lacks fails a positive operator, passes a
    negated one, and passes any operator with `IfExists`.
    """
    answer: bool | None = True
    for operator, keys in block.items():
        for key, values in keys.items():
            held = _holds(operator, context.get(key.lower()), _texts(values))
            if held is False:
                return False
            if held is None:
                answer = None
    return answer


def _holds(operator: str, actual: str | None, wanted: list[str]) -> bool | None:
    if operator == "Null":
        return all((value.lower() == "true") == (actual is None) for value in wanted)
    name = operator.removesuffix(_IF_EXISTS)
    if name not in _OPERATORS:
        return None
    test, positive = _OPERATORS[name]
    if actual is None:
        return not positive or operator.endswith(_IF_EXISTS)
    return any(test(value, actual) for value in wanted) == positive


def _texts(values: Any) -> list[str]:
    many = values if isinstance(values, list) else [values]
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in many]
