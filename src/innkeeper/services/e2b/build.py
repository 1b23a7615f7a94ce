"""A build of a template, as E2B knows it: one name has many, and tags say which is meant."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from innkeeper.kernel.errors import InvalidRequest
from innkeeper.services.sandboxes.model import SandboxLimits

DEFAULT_TAG = "default"

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,49}")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_TAGS_MAX = 32
_BUILT = re.compile(r"(.+)\.[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Build:
    """`recipe` is there once it was started. Without limits its sandboxes get all that is allowed."""

    account: str
    id: str
    name: str
    created_at: datetime
    cpu_cores: float | None = None
    memory_mib: int | None = None
    recipe: Mapping[str, Any] | None = None

    @property
    def template(self) -> str:
        """The name of the template that it makes."""
        return f"{self.name}.{self.id.replace('-', '')[:12]}"

    def limits(self, most: SandboxLimits) -> SandboxLimits:
        return SandboxLimits(self.cpu_cores or most.cpu_cores, self.memory_mib or most.memory_mib)


@dataclass(frozen=True, slots=True)
class Tag:
    tag: str
    build: str
    created_at: datetime


def shown(template: str) -> str:
    """The name by which E2B's clients know a template."""
    built = _BUILT.fullmatch(template)
    return built[1] if built else template


def named(text: Any) -> tuple[str, str]:
    """A name, and the tag after its colon or nothing. Raises InvalidRequest."""
    name, _, tag = text.partition(":") if isinstance(text, str) else ("", "", "")
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            "a template's name must be 1 to 50 lowercase letters, digits, ., _ and -, and begin with no mark"
        )
    return name, tag


def checked_tags(names: Any) -> Sequence[str]:
    """Raises InvalidRequest."""
    if not isinstance(names, list) or len(names) > _TAGS_MAX:
        raise InvalidRequest(f"`tags` must be a list of at most {_TAGS_MAX}")
    if not all(isinstance(one, str) and _TAG.fullmatch(one) for one in names):
        raise InvalidRequest("a tag must be 1 to 63 letters, digits, ., _ and -, and begin with no mark")
    return list(dict.fromkeys(names))
