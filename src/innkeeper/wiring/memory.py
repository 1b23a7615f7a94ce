"""The parts of services/memory, put together."""

from innkeeper.services.memory.model import Limits
from innkeeper.services.memory.service import Memories
from innkeeper.settings import Settings
from innkeeper.wiring.office import Office


def memories(office: Office, settings: Settings) -> Memories:
    limits = Limits(
        memories=settings.memory_max_count,
        strategies=settings.memory_max_strategies,
        event_bytes=settings.memory_event_max_bytes,
    )
    engines = office.engines
    return Memories(engines.database, office.accounts, office.tags, office.policies, limits, engines.clock)
