"""Memory as a tool: who holds it."""

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
    """What opens the tool for a holder until it expires."""

    holder: Holder
    token: str
    expires_at: datetime
