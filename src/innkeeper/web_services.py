"""The wiring of services/web: from settings to the service."""

from collections.abc import Sequence

from innkeeper.engines.vault.vault import Vault
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import NotFound
from innkeeper.services.sandboxes.service import Sandboxes
from innkeeper.services.web.model import Rules
from innkeeper.services.web.service import Door, FindDoor, WebServices
from innkeeper.settings import Settings


def web_services(
    finders: Sequence[FindDoor], sandboxes: Sandboxes, vault: Vault, clock: Clock, settings: Settings
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
    return WebServices((*finders, of_sandboxes), vault.derive("web-tokens"), clock, rules)
