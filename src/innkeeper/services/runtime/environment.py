"""What an agent finds in its environment: its role's credentials, and Innkeeper as its AWS.

An agent that goes on from an image has credentials in its memory that were given to the session which the
image is of; they may have ended long ago. Its requests come from an address of their own, and there they
count as the session's own credentials.
"""

import itertools
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial

from innkeeper.engines.sandbox.sandbox import Relay
from innkeeper.engines.vault.vault import Vault
from innkeeper.kernel.caller import Credential
from innkeeper.kernel.ids import Arn
from innkeeper.services.account.model import RoleCredentials
from innkeeper.services.account.service import Accounts
from innkeeper.services.runtime.model import AgentRuntime, RuntimeVersion, SessionImage, SessionKey
from innkeeper.services.runtime.session_store import SEALED_CREDENTIALS

# The agent's own port is between 8000 and 12000.
RELAY_PORT = 7471
_ROLE_SESSION_NAME_MAX = 64
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Home:
    """Where the server listens for what comes out of sandboxes."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Passage:
    """A session's way to this server: the port inside its sandbox, what is to be done when the sandbox has
    ended, and what seals the credentials in its agent's memory for an image, if they are known."""

    relay: Relay
    release: Callable[[], None]
    seal: Callable[[], bytes | None]


@dataclass(frozen=True, slots=True)
class _Kept:
    secret: str = field(repr=False)
    token: str = field(repr=False)


class AgentEnvironment:
    def __init__(self, accounts: Accounts, vault: Vault, home: Home, credentials_seconds: int) -> None:
        self._accounts = accounts
        self._vault = vault
        self._home = home
        self._seconds = credentials_seconds
        self._sources = itertools.count(1)

    def passage(self, own: RoleCredentials, image: SessionImage | None) -> Passage:
        """For a session with credentials of its `own` that goes on from an image, if there is one."""
        source = _loopback(next(self._sources))
        relay = Relay(RELAY_PORT, self._home.host, self._home.port, source)
        kept = self._kept(own, image)
        seal = partial(self._sealed, own.caller.account, kept)
        if image is None or kept is None:
            return Passage(relay, _nothing, seal)
        credential = Credential(own.access_key_id, kept.secret, own.caller, kept.token, own.expires_at)
        self._accounts.lend(source, image.access_key_id, credential)
        return Passage(relay, partial(self._accounts.take_back, source, image.access_key_id), seal)

    def _kept(self, own: RoleCredentials, image: SessionImage | None) -> "_Kept | None":
        """What the agent's process signs with, if that is known."""
        if image is None:
            return _Kept(own.secret_access_key, own.session_token)
        if image.credentials is None:
            return None
        try:
            opened = self._vault.open(image.credentials, _context(image.account))
        except ValueError:
            _LOG.warning("the credentials in image %s cannot be opened: its agent keeps them", image.id)
            return None
        return _Kept(**json.loads(opened))

    def _sealed(self, account: str, kept: "_Kept | None") -> bytes | None:
        return (
            None if kept is None else self._vault.seal(json.dumps(asdict(kept)).encode(), _context(account))
        )

    async def credentials(self, key: SessionKey, version: RuntimeVersion) -> RoleCredentials:
        """Short-lived ones of the version's execution role; no wider than what its policies allow."""
        name = f"{key.runtime_id}-{key.session_id}"[:_ROLE_SESSION_NAME_MAX]
        return await self._accounts.role_credentials(version.configuration["roleArn"], name, self._seconds)

    def variables(
        self, runtime: AgentRuntime, key: SessionKey, version: RuntimeVersion, credentials: RoleCredentials
    ) -> dict[str, str]:
        """Those that AgentCore sets, and those that lead every AWS client in the sandbox here."""
        url = f"http://127.0.0.1:{RELAY_PORT}"
        region = Arn.parse(runtime.arn).region
        endpoint = f"{runtime.arn}/runtime-endpoint/{key.endpoint}"
        return {
            "AWS_ACCESS_KEY_ID": credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
            "AWS_SESSION_TOKEN": credentials.session_token,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL": url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "BEDROCK_AGENTCORE_DP_ENDPOINT": url,
            "BEDROCK_AGENTCORE_CP_ENDPOINT": url,
            # The SDK then listens on all addresses and waits for the workload token that we send.
            "DOCKER_CONTAINER": "1",
            "OTEL_RESOURCE_ATTRIBUTES": (
                f"service.name={runtime.name}.{key.endpoint},cloud.resource_id={endpoint},"
                f"cloud.provider=innkeeper,aws.log.group.names=runtimes/{runtime.id}"
            ),
            "OTEL_SERVICE_NAME": f"{runtime.name}.{key.endpoint}",
            "AGENTCORE_RUNTIME_URL": f"{url}/runtimes/{_quoted(runtime.arn)}/invocations/",
        }


def _quoted(arn: str) -> str:
    return arn.replace(":", "%3A").replace("/", "%2F")


def _loopback(number: int) -> str:
    """One of the four million of 127.64.0.0/10, whose connections say which session they are of."""
    high, middle, low = number >> 16 & 63, number >> 8 & 255, number & 255
    return f"127.{64 + high}.{middle}.{low}"


def _context(account: str) -> str:
    return SEALED_CREDENTIALS.context({"account": account})


def _nothing() -> None:
    pass
