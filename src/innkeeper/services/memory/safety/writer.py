"""Who writes what is no record: a program hands on words of others, unless it says that they are its own."""

from dataclasses import dataclass

from innkeeper.kernel.call import Document
from innkeeper.kernel.caller import Caller
from innkeeper.services.memory.model import invalid
from innkeeper.services.memory.records.model import Trust
from innkeeper.services.memory.safety.policy import Policy

PROGRAM = "program"


@dataclass(frozen=True, slots=True)
class Writer:
    """`own` words of the caller's program, or those of who is trusted as `other`."""

    caller: Caller
    own: bool
    other: Trust

    def trust(self, policy: Policy) -> Trust:
        return policy.trust_of(self.caller) if self.own else self.other


def writer_of(caller: Caller, members: Document, other: Trust) -> Writer:
    """From a request's `by`. Raises InvalidRequest."""
    usual = "agent" if other is Trust.ASSISTANT else "tool"
    by = members.get("by", usual)
    if by not in (usual, PROGRAM):
        raise invalid("by", f"must be one of: {usual}, {PROGRAM}")
    return Writer(caller, by == PROGRAM, other)
