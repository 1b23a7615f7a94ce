"""What is measured, for whom, and what it costs."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

LEAST_SECONDS = 1.0
LEAST_MEMORY_MIB = 128.0


class Kind(StrEnum):
    RUNTIME = "runtime"
    CODE_INTERPRETER = "code-interpreter"
    SANDBOX = "sandbox"


@dataclass(frozen=True, slots=True)
class Subject:
    """One life of a sandbox: `id` is its own, never used again; `agent` is the runtime, the interpreter or
    the template it was made of; `session` is the id that its user knows."""

    id: str
    account: str
    kind: Kind
    agent: str
    session: str


@dataclass(frozen=True, slots=True)
class Used:
    """Wall-clock and CPU seconds, and memory: its peak so far times the seconds it was held, and its peak."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory_mib_seconds: float = 0.0
    memory_peak_mib: float = 0.0


@dataclass(frozen=True, slots=True)
class HourOfUse:
    """What one subject used in the hour (UTC) that begins at `hour`."""

    subject: Subject
    hour: datetime
    used: Used


class Group(StrEnum):
    """What lines of a report stand for."""

    SESSION = "session"
    AGENT = "agent"
    KIND = "kind"


@dataclass(frozen=True, slots=True)
class Filter:
    """Whose use, and when: the hours from that of `since` to the last that begins before `until`."""

    account: str
    kind: Kind | None = None
    agent: str | None = None
    session: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a report; `names` says of what: kind, agent, session, as far as it was grouped by them."""

    names: dict[str, str]
    used: Used


@dataclass(frozen=True, slots=True)
class Report:
    """`lines` are the latest used first, up to a limit; `total` is of all, also of those beyond it."""

    lines: list[Line]
    total: Used


@dataclass(frozen=True, slots=True)
class Rates:
    """In US dollars: for a virtual CPU and for a GB (2^30 bytes) of memory, each for an hour."""

    vcpu_hour: float
    gb_hour: float

    def cost(self, used: Used) -> float:
        gb_seconds = used.memory_mib_seconds / 1024
        return (used.cpu_seconds * self.vcpu_hour + gb_seconds * self.gb_hour) / 3600


def hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
