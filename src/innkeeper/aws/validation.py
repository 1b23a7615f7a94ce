"""The constraints that a model puts on a value: length, range, pattern, enum.

Each shape's constraints are compiled once into one function. What breaks is collected, so that a caller
learns of everything at once, in the words that AWS uses.
"""

from collections.abc import Callable
from typing import Any

from botocore.model import Shape

from innkeeper.aws.patterns import compiled
from innkeeper.kernel.errors import FieldError, InvalidRequest

_MAX_REPORTED = 50
_INTEGER_BITS = {"integer": 32, "long": 64}


class Violations:
    """What is wrong with one request; the first fifty are kept."""

    def __init__(self) -> None:
        self._fields: list[FieldError] = []

    def add(self, path: str, rule: str) -> None:
        if len(self._fields) < _MAX_REPORTED:
            message = f"Value at '{path}' failed to satisfy constraint: {rule}"
            self._fields.append(FieldError(path, message))

    def raise_if_any(self) -> None:
        if self._fields:
            count = len(self._fields)
            found = "1 validation error" if count == 1 else f"{count} validation errors"
            messages = "; ".join(field.message for field in self._fields)
            raise InvalidRequest(f"{found} detected: {messages}", tuple(self._fields))


Check = Callable[[Any, str, Violations], None]


def constraint(shape: Shape) -> Check | None:
    """The check of a decoded value of this shape, or None where any value of the type will do."""
    if shape.type_name in ("string", "character"):
        return _string_check(shape)
    if shape.type_name in ("list", "map", "blob"):
        return _length_check(shape)
    if shape.type_name in ("integer", "long", "float", "double"):
        return _range_check(shape)
    return None


def _string_check(shape: Shape) -> Check | None:
    length, pattern, enum = _length_check(shape), _pattern_check(shape), _enum_check(shape)
    if length is None:
        return _both(pattern, enum)
    longest = shape.metadata.get("max")

    def check(value: Any, path: str, violations: Violations) -> None:
        length(value, path, violations)
        # A value that is too long is not also matched: matching may take time that grows with its square.
        if pattern and (longest is None or len(value) <= longest):
            pattern(value, path, violations)

    return _both(check, enum)


def _both(first: Check | None, second: Check | None) -> Check | None:
    if first is None or second is None:
        return first or second

    def check(value: Any, path: str, violations: Violations) -> None:
        first(value, path, violations)
        second(value, path, violations)

    return check


def _pattern_check(shape: Shape) -> Check | None:
    pattern = shape.metadata.get("pattern")
    expression = compiled(pattern) if pattern else None
    if expression is None:
        return None
    fits = expression.fullmatch
    rule = f"Member must satisfy regular expression pattern: {pattern}"

    def check(value: Any, path: str, violations: Violations) -> None:
        if not fits(value):
            violations.add(path, rule)

    return check


def _enum_check(shape: Shape) -> Check | None:
    enum = shape.metadata.get("enum")
    if not enum:
        return None
    allowed = frozenset(enum)
    rule = f"Member must satisfy enum value set: [{', '.join(enum)}]"

    def check(value: Any, path: str, violations: Violations) -> None:
        if value not in allowed:
            violations.add(path, rule)

    return check


def _length_check(shape: Shape) -> Check | None:
    shortest, longest = shape.metadata.get("min", 0), shape.metadata.get("max")
    if not shortest and longest is None:
        return None

    def check(value: Any, path: str, violations: Violations) -> None:
        if len(value) < shortest:
            violations.add(path, f"Member must have length greater than or equal to {shortest}")
        elif longest is not None and len(value) > longest:
            violations.add(path, f"Member must have length less than or equal to {longest}")

    return check


def _range_check(shape: Shape) -> Check | None:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if bits := _INTEGER_BITS.get(shape.type_name):
        least = -(2 ** (bits - 1)) if least is None else least
        most = 2 ** (bits - 1) - 1 if most is None else most
    if least is None and most is None:
        return None

    def check(value: Any, path: str, violations: Violations) -> None:
        if least is not None and not value >= least:
            violations.add(path, f"Member must have value greater than or equal to {least}")
        elif most is not None and not value <= most:
            violations.add(path, f"Member must have value less than or equal to {most}")

    return check
