"""The members of a native request's body: read one by one, each said to be wrong by its name."""

import json
from collections.abc import Collection

from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import InvalidRequest
from innkeeper.services.memory.model import check_text, invalid


def members_of(body: bytes) -> Document:
    """Raises InvalidRequest unless it is a JSON object."""
    try:
        members = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The body must be a JSON object") from error
    if not isinstance(members, dict):
        raise InvalidRequest("The body must be a JSON object")
    return members


def check_known(members: Document, known: Collection[str]) -> None:
    """Raises InvalidRequest for a member that has no meaning."""
    if unknown := [name for name in members if name not in known]:
        raise invalid(unknown[0], f"unknown; there are: {', '.join(sorted(known))}")


def text(members: Document, name: str, most: int) -> str:
    """Raises InvalidRequest unless it is there, and not empty."""
    value = members.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= most:
        raise invalid(name, f"must be a text of 1 to {most} characters")
    check_text(name, value)
    return value


def optional_text(members: Document, name: str, most: int) -> str | None:
    """None when it is not there. Raises InvalidRequest."""
    return None if members.get(name) is None else text(members, name, most)


def number(members: Document, name: str, least: int, most: int, default: int | None = None) -> int:
    """Raises InvalidRequest unless it is whole and within bounds."""
    value = members.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise invalid(name, f"must be a whole number from {least} to {most}")
    return value
