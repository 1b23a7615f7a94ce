"""Digests: what stands for the older turns of a session in its contexts."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class DigestKey:
    """`branch` is empty for the session without its branches."""

    account: str
    memory: str
    actor: str
    session: str
    branch: str


@dataclass(frozen=True, slots=True)
class Ending:
    """Up to where a session is digested: a place in its order, and the newest row that was read. A row that
    came later is not in the digest, wherever its place is."""

    happened_at: datetime
    row: int
    seen: int


@dataclass(frozen=True, slots=True)
class Digest:
    """`turns` is how many it stands for, `event_id` the last one's. `version` grows with every piece. Was it
    `asked` for, it stands for its turns whatever room there is; else it was made where they had none."""

    key: DigestKey
    text: str
    ending: Ending
    event_id: str
    turns: int
    version: int
    asked: bool
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Pace:
    """How many events are read at once, and how long a composition waits for a digest. Who was waited for in
    vain is left alone for `pause_seconds`."""

    events: int
    wait_seconds: float
    pause_seconds: float
