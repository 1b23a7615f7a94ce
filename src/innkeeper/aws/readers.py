"""From JSON values to the Python values of a model's shapes.

Each shape is compiled once into a reader: a function of a JSON value, its path in the request and the
violations found so far. It gives bytes for blobs, aware datetimes for timestamps, and documents as they
came. Members that the model does not know are ignored, as AWS does.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from botocore.model import Shape

from innkeeper.aws import timestamps
from innkeeper.aws.validation import Check, Violations, constraint
from innkeeper.kernel.call import Document

Reader = Callable[[Any, str, Violations], Any]

NOT_NULL = "Member must not be null"
_FLOAT_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")


class Readers:
    """The readers of one model's shapes, each made when first asked for."""

    def __init__(self) -> None:
        self._readers: dict[str, Reader] = {}

    def of(self, shape: Shape) -> Reader:
        name = shape.name
        if name not in self._readers:
            # A recursive shape meets this stand-in while its own reader is being made.
            self._readers[name] = lambda value, path, violations: self._readers[name](value, path, violations)
            self._readers[name] = self._make(shape)
        return self._readers[name]

    def structure(self, shape: Shape, names: Iterable[str]) -> Reader:
        """A reader of some members of a structure: those of an input that travel in the body."""
        members = {
            shape.members[name].serialization.get("name", name): (name, self.of(shape.members[name]))
            for name in names
        }
        required = tuple(name for name, _ in members.values() if name in shape.required_members)
        one_of = f"Member must have exactly one of: {', '.join(shape.members)}"
        is_union = shape.is_tagged_union

        def read(value: Any, path: str, violations: Violations) -> Document:
            found: Document = {}
            if type(value) is not dict:
                violations.add(path, "Member must be an object")
                return found
            prefix = f"{path}." if path else ""
            for key, item in value.items():
                member = members.get(key)
                if member is not None and item is not None:
                    name, reader = member
                    found[name] = reader(item, prefix + name, violations)
            for name in required:
                if name not in found:
                    violations.add(prefix + name, NOT_NULL)
            if is_union and len(found) != 1:
                violations.add(path, one_of)
            return found

        return read

    def _make(self, shape: Shape) -> Reader:
        match shape.type_name:
            case "structure":
                return _as_it_came if shape.is_document_type else self.structure(shape, shape.members)
            case "list":
                return self._list(shape)
            case "map":
                return self._map(shape)
            case _:
                return _checked(_SCALARS[shape.type_name], constraint(shape))

    def _list(self, shape: Shape) -> Reader:
        reader, check = self.of(shape.member), constraint(shape)

        def read(value: Any, path: str, violations: Violations) -> list[Any]:
            found: list[Any] = []
            if type(value) is not list:
                violations.add(path, "Member must be a list")
                return found
            if check:
                check(value, path, violations)
            for number, item in enumerate(value, 1):
                place = f"{path}.{number}.member"
                if item is None:
                    violations.add(place, NOT_NULL)
                else:
                    found.append(reader(item, place, violations))
            return found

        return read

    def _map(self, shape: Shape) -> Reader:
        key_reader, reader, check = self.of(shape.key), self.of(shape.value), constraint(shape)

        def read(value: Any, path: str, violations: Violations) -> Document:
            found: Document = {}
            if type(value) is not dict:
                violations.add(path, "Member must be a map")
                return found
            if check:
                check(value, path, violations)
            for key, item in value.items():
                place = f"{path}.{key[:64]}"
                key_reader(key, place, violations)
                if item is None:
                    violations.add(place, NOT_NULL)
                else:
                    found[key] = reader(item, place, violations)
            return found

        return read


def from_text(shape: Shape, text: str) -> Any:
    """The JSON value that a header, a path label or a form field means; left as text where it means none."""
    match shape.type_name:
        case "integer" | "long":
            return int(text) if _INTEGER.fullmatch(text) else text
        case "float" | "double":
            try:
                return float(text)
            except ValueError:
                return text
        case "boolean":
            return {"true": True, "false": False}.get(text, text)
        case _:
            return text


def _as_it_came(value: Any, path: str, violations: Violations) -> Any:
    return value


def _checked(convert: Callable[[Any], Any], check: Check | None) -> Reader:
    def read(value: Any, path: str, violations: Violations) -> Any:
        try:
            found = convert(value)
        except ValueError as error:
            violations.add(path, f"Member must be {error}")
            return None
        if check:
            check(found, path, violations)
        return found

    return read


def _string(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("a string")
    return value


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("an integer")
    return value


def _float(value: Any) -> float:
    if type(value) is float or type(value) is int:
        return value
    if type(value) is str and value in _FLOAT_WORDS:
        return _FLOAT_WORDS[value]
    raise ValueError("a number")


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("true or false")
    return value


def _blob(value: Any) -> bytes:
    try:
        return base64.b64decode(_string(value), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("bytes in base64") from error


def _timestamp(value: Any) -> Any:
    try:
        return timestamps.parse(value)
    except ValueError as error:
        raise ValueError("a timestamp: seconds since 1970, ISO 8601 or RFC 822") from error


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "string": _string,
    "character": _string,
    "integer": _integer,
    "long": _integer,
    "float": _float,
    "double": _float,
    "boolean": _boolean,
    "blob": _blob,
    "timestamp": _timestamp,
}
