"""The parts of services/web, put together."""

from collections.abc import Sequence

from innkeeper.kernel.errors import NotFound
from innkeeper.services.sandboxes.service import Sandboxes
from innkeeper.services.web.model import Rules
from innkeeper.services.web.service import Door, FindDoor, WebServices
from innkeeper.settings import Settings
from innkeeper.wiring.office import Office


def web_services(
    office: Office, settings: Settings, finders: Sequence[FindDoor], sandboxes: Sandboxes
) -> WebServices:
    """`finders` are those of the sessions; `sandboxes` are asked last."""

    async def of_sandboxes(account: str, id_: str) -> Door | None:
        try:
            return Door(id_, await sandboxes.live(account, id_))
        except NotFound:
            return None

    rules = Rules(
        domain=settings.web_domain,
        token_seconds=settings.web_token_max_seconds,
        requests=settings.web_requests_max,
        body_bytes=settings.request_body_max_bytes,
        message_bytes=settings.web_message_max_bytes,
        answer_seconds=settings.web_answer_timeout_seconds,
        stream_seconds=settings.session_stream_timeout_seconds,
    )
    engines = office.engines
    keys = engines.vault.derive("web-tokens")
    return WebServices((*finders, of_sandboxes), keys, engines.clock, rules)
