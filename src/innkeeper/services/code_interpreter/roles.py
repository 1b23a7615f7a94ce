"""The execution role of an interpreter: its sessions act as it, and find this server as their AWS."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from innkeeper.engines.sandbox.sandbox import Relay
from innkeeper.kernel.ids import Arn
from innkeeper.services.account.service import Accounts
from innkeeper.services.code_interpreter.model import CodeInterpreter, SessionRecord

RELAY_PORT = 7471
"""On the sandbox's own 127.0.0.1: it leads to this server."""
_GRACE_SECONDS = 60  # a session's time runs from when it is ready, its credentials' from before


class ExecutionRoles:
    """`host` and `port` are those of this server, as a host of sandboxes reaches it."""

    def __init__(self, accounts: Accounts, host: str, port: int) -> None:
        self._accounts = accounts
        self.relay = Relay(RELAY_PORT, host, port)

    async def grant(self, interpreter: CodeInterpreter, session: SessionRecord) -> Mapping[str, str]:
        """As variables: credentials of the session alone, that end with its time; none without a role.
        Raises NotFound when the role is gone."""
        if interpreter.role is None:
            return {}
        seconds = session.timeout_seconds + _GRACE_SECONDS
        credentials = await self._accounts.role_credentials(interpreter.role, session.id, seconds)
        region = Arn.parse(interpreter.arn).region
        url = f"http://127.0.0.1:{RELAY_PORT}"
        return {
            "AWS_ACCESS_KEY_ID": credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
            "AWS_SESSION_TOKEN": credentials.session_token,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL": url,
            "AWS_ENDPOINT_URL_S3": url,
        }

    async def revoke(self, sessions: Sequence[SessionRecord]) -> None:
        """End their credentials before their time."""
        names: dict[str, list[str]] = defaultdict(list)
        for session in sessions:
            names[session.account].append(session.id)
        for account, of_account in names.items():
            await self._accounts.revoke(account, of_account)
