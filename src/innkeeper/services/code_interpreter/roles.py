"""The execution role of an interpreter: its sessions act as it, and find this server as their AWS."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from innkeeper.engines.sandbox.sandbox import Relay
from innkeeper.kernel.ids import Arn
from innkeeper.services.account.service import Accounts
from innkeeper.services.code_interpreter.model import CodeInterpreter, SessionRecord

RELAY_PORT = 7471
"""On the sandbox's own 127.0.0.1: it leads to this server."""
_SOURCE = "127.0.0.2"  # not the address of a proxy in front of the server, whose word on clients is taken
_GRACE_SECONDS = 60  # a session's time runs from when it is ready, its credentials' from before


@dataclass(frozen=True, slots=True)
class Grant:
    """What a session has of its interpreter's role; nothing where there is none."""

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    access_key_id: str = ""


class ExecutionRoles:
    """`host` and `port` are those of this server, as a host of sandboxes reaches it."""

    def __init__(self, accounts: Accounts, host: str, port: int) -> None:
        self._accounts = accounts
        self.relay = Relay(RELAY_PORT, host, port, _SOURCE)

    async def grant(self, interpreter: CodeInterpreter, session: SessionRecord) -> Grant:
        """Credentials of the session alone, that end with its time. Raises NotFound when the role is gone."""
        if interpreter.role is None:
            return Grant()
        seconds = session.timeout_seconds + _GRACE_SECONDS
        credentials = await self._accounts.role_credentials(interpreter.role, session.id, seconds)
        region = Arn.parse(interpreter.arn).region
        url = f"http://127.0.0.1:{RELAY_PORT}"
        variables = {
            "AWS_ACCESS_KEY_ID": credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
            "AWS_SESSION_TOKEN": credentials.session_token,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL": url,
            "AWS_ENDPOINT_URL_S3": url,
        }
        return Grant(variables, credentials.access_key_id)

    async def revoke(self, grant: Grant) -> None:
        """End its credentials before their time."""
        if grant.access_key_id:
            await self._accounts.revoke(grant.access_key_id)
