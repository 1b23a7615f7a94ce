"""What an agent finds in its environment: its role's credentials, and Innkeeper as its AWS."""

from dataclasses import dataclass

from innkeeper.engines.sandbox.sandbox import Relay
from innkeeper.kernel.ids import Arn
from innkeeper.services.account.model import RoleCredentials
from innkeeper.services.account.service import Accounts
from innkeeper.services.runtime.model import AgentRuntime, RuntimeVersion, SessionKey

# The agent's own port is between 8000 and 12000.
RELAY_PORT = 7471
_ROLE_SESSION_NAME_MAX = 64


@dataclass(frozen=True, slots=True)
class Home:
    """Where the server listens, as a host of sandboxes reaches it."""

    host: str
    port: int


class AgentEnvironment:
    def __init__(self, accounts: Accounts, home: Home, credentials_seconds: int) -> None:
        self._accounts = accounts
        self._home = home
        self._seconds = credentials_seconds

    @property
    def relay(self) -> Relay:
        """The port inside the sandbox that leads back to this server."""
        return Relay(RELAY_PORT, self._home.host, self._home.port)

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
