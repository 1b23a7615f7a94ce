"""The parts of services/e2b, put together."""

from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from innkeeper.aws.sigv4 import SignatureVerifier
from innkeeper.native import authenticated
from innkeeper.services.e2b import gateway_routes, routes
from innkeeper.services.e2b.builds import Builds
from innkeeper.services.e2b.keys import Keys
from innkeeper.services.e2b.model import Target
from innkeeper.services.e2b.service import E2b, Rules
from innkeeper.services.e2b.uploads import Uploads
from innkeeper.services.sandboxes.service import Sandboxes
from innkeeper.services.web.model import Site
from innkeeper.services.web.passage import Passage
from innkeeper.services.web.service import WebServices
from innkeeper.settings import Settings
from innkeeper.wiring.office import Office


def e2b_api(office: Office, settings: Settings, sandboxes: Sandboxes) -> E2b:
    rules = Rules(
        domain=settings.e2b_domain.lower(),
        public_ports=settings.e2b_public_ports,
        stream_seconds=settings.e2b_stream_timeout_seconds,
        file_max_bytes=settings.request_body_max_bytes,
        cell_timeout_seconds=settings.code_interpreter_cell_timeout_seconds,
    )
    engines = office.engines
    keys = Keys(office.accounts.credential, engines.vault.derive("e2b"))
    uploads = Uploads(
        settings.data_dir / "e2b-uploads", settings.request_body_max_bytes, settings.sandbox_images_max_bytes
    )
    step_seconds = settings.build_timeout_seconds
    builds = Builds(engines.database, sandboxes, uploads, step_seconds, engines.clock)
    return E2b(sandboxes, keys, builds, rules, engines.clock)


def e2b_routes(e2b: E2b, web: WebServices, verifier: SignatureVerifier) -> list[BaseRoute]:
    """Its API and its sandboxes, and what makes its keys."""
    passage = Passage(web, gateway_routes.PRIVATE_HEADERS)

    async def forward(
        account: str, target: Target, prefix: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        guest = await e2b.guests.get(account, target.sandbox_id)
        path = scope["raw_path"].decode("latin-1").partition("?")[0].removeprefix(prefix)
        site = Site(target.sandbox_id, target.port, prefix, path)
        await passage.carry(site, guest.sandbox, scope, receive, send)

    native = (authenticated(route, verifier) for route in routes.routes(e2b))
    return [*gateway_routes.routes(e2b, forward), *native]
