"""Memory as a tool: who holds it."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from innkeeper.services.memory.records.model import Trust


@dataclass(frozen=True, slots=True)
class Holder:
    """Whoever acts for one actor in one memory, and whose word what they write is: an agent's, or, where it
    is the person's own hand, the person's."""

    account: str
    memory: str
    actor: str
    trust: Trust = Trust.ASSISTANT

    @property
    def principal(self) -> str:
        """As the history of records names it."""
        return f"{self.trust.lower()}/{self.actor}"


@dataclass(frozen=True, slots=True)
class ToolToken:
    """What opens the tool for a holder until it expires or is revoked. The token itself is kept nowhere: it
    is told apart from others by its id."""

    id: str
    holder: Holder
    created_at: datetime
    expires_at: datetime


def new_token_id() -> str:
    return f"token-{uuid.uuid4()}"
