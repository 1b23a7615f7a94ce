"""Branches: where a session's history forks, and the line of events that leads to one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from innkeeper.kernel.call import Document
from innkeeper.services.memory.events.model import TRUNK


@dataclass(frozen=True, slots=True)
class Stretch:
    """The events of one branch (None: of the trunk) until a place in time and order, or all of them."""

    branch: str | None
    until: tuple[datetime, int] | None = None


Lineage = tuple[Stretch, ...]


def lineage(name: str, branches: Mapping[str, Document], parents: bool) -> Lineage:
    """A branch, and with `parents` what lies before it: each of its ancestors until where it was left."""
    at, until = (None if name == TRUNK else name), None
    line = [Stretch(at)]
    while parents and at is not None and at in branches:
        root = branches[at]
        place = root["root_at"], root["root_row"]
        until = place if until is None else min(until, place)
        at = root["parent"]
        line.append(Stretch(at, until))
    return tuple(line)
