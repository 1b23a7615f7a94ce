"""From the Python values of a model's shapes to JSON values.

Each shape is compiled once into a writer; shapes whose values are JSON already have none. Members that
the model does not know, and those that are None, are left out.
"""

import base64
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from botocore.model import Shape

from innkeeper.aws import timestamps

Writer = Callable[[Any], Any]


class Writers:
    """The writers of one model's shapes, each made when first asked for."""

    def __init__(self) -> None:
        self._writers: dict[tuple[str, str], Writer | None] = {}

    def of(self, shape: Shape) -> Writer | None:
        """None where the value goes out as it is."""
        key = (shape.name, shape.serialization.get("timestampFormat", "unixTimestamp"))
        if key not in self._writers:
            # A recursive shape meets this stand-in while its own writer is being made.
            self._writers[key] = lambda value: self._write(key, value)
            self._writers[key] = self._make(shape)
        return self._writers[key]

    def structure(self, shape: Shape) -> Writer:
        members = {
            name: (member.serialization.get("name", name), self.of(member))
            for name, member in shape.members.items()
            if "location" not in member.serialization
        }

        def write(value: Mapping[str, Any]) -> dict[str, Any]:
            written = {}
            for name, item in value.items():
                member = members.get(name)
                if member is not None and item is not None:
                    key, writer = member
                    written[key] = item if writer is None else writer(item)
            return written

        return write

    def _write(self, key: tuple[str, str], value: Any) -> Any:
        writer = self._writers[key]
        return value if writer is None else writer(value)

    def _make(self, shape: Shape) -> Writer | None:
        match shape.type_name:
            case "structure":
                return None if shape.is_document_type else self.structure(shape)
            case "list":
                return _each(self.of(shape.member))
            case "map":
                return _each_value(self.of(shape.value))
            case "blob":
                return base64_text
            case "timestamp":
                return timestamps.FORMATS[shape.serialization.get("timestampFormat", "unixTimestamp")]
            case "float" | "double":
                return _float
            case _:
                return None


def _each(writer: Writer | None) -> Writer | None:
    return writer and (lambda value: [writer(item) for item in value])


def _each_value(writer: Writer | None) -> Writer | None:
    return writer and (lambda value: {key: writer(item) for key, item in value.items()})


def base64_text(value: bytes | str) -> str:
    content = value.encode() if isinstance(value, str) else value
    return base64.b64encode(content).decode()


def _float(value: float) -> float | str:
    """JSON has no word for what is not finite; the protocol writes it as a string."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def json_bytes(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
