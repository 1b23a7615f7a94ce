"""The JSON object that a request brings, member by member."""

import json
from typing import Any, TypeVar

from starlette.requests import Request

from innkeeper.engines.sandbox.sandbox import Egress
from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import InvalidRequest
from innkeeper.services.sandboxes.model import invalid

_Number = TypeVar("_Number", int, float)
_WORDS_MAX = 1000


class Body:
    """Every reader raises InvalidRequest for a member of another type; None or empty stands for none."""

    def __init__(self, members: Document) -> None:
        self._members = members

    @classmethod
    async def of(cls, request: Request) -> "Body":
        """No body is an empty object. Raises InvalidRequest."""
        try:
            members = json.loads(await request.body() or b"{}")
        except (ValueError, RecursionError) as error:
            raise InvalidRequest("The body must be a JSON object") from error
        if not isinstance(members, dict):
            raise InvalidRequest("The body must be a JSON object")
        return cls(members)

    def text(self, name: str) -> str | None:
        value = self._members.get(name)
        if value is not None and not _is_text(value):
            raise invalid(name, "must be a text")
        return value

    def number(self, name: str, kind: type[_Number] = int) -> _Number | None:
        value = self._members.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
            raise invalid(name, "must be a whole number" if kind is int else "must be a number")
        return kind(value)

    def flag(self, name: str) -> bool:
        value = self._members.get(name) or False
        if not isinstance(value, bool):
            raise invalid(name, "must be true or false")
        return value

    def texts(self, name: str) -> dict[str, str]:
        value = self._members.get(name) or {}
        if not isinstance(value, dict) or not all(_is_text(one) for one in value.values()):
            raise invalid(name, "must be an object of texts")
        return value

    def words(self, name: str) -> list[str]:
        value = self._members.get(name) or []
        if not isinstance(value, list) or not all(map(_is_text, value)) or len(value) > _WORDS_MAX:
            raise invalid(name, f"must be a list of at most {_WORDS_MAX} texts")
        return value

    def egress(self) -> Egress:
        """All of it: what a sandbox may reach."""
        return Egress(self.words("domains"), self.words("cidrs"))

    def part(self, name: str) -> "Body | None":
        value = self._members.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise invalid(name, "must be an object")
        return Body(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value
