"""Accounts, their access keys, the credentials of role sessions, and what a caller may do."""

import json
from dataclasses import replace
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Database
from innkeeper.engines.vault.vault import Vault
from innkeeper.kernel.caller import Caller, CallerKind, Credential
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import AccessDenied, FieldError, InvalidRequest, NotFound
from innkeeper.kernel.ids import Arn, agentcore_arn
from innkeeper.kernel.policies import AccessRequest, Decision, evaluate
from innkeeper.kernel.ttl_cache import TtlCache
from innkeeper.services.account import role_store, store
from innkeeper.services.account.errors import NoSuchEntity
from innkeeper.services.account.model import (
    AGENT_POLICY,
    AGENT_ROLE,
    AGENTCORE_SERVICE,
    MAX_SESSION_SECONDS,
    AccessKey,
    Role,
    RoleCredentials,
    RoleSession,
    agent_policy,
    agent_trust,
    new_account_id,
    new_iam_id,
    new_secret,
    role_name,
)
from innkeeper.services.account.roles import Roles

# Expired sessions stay this long, so that their use is answered as expired and not as unknown.
EXPIRED_KEPT = timedelta(hours=1)


class Accounts:
    """`roles` manages roles and policies. Credentials are remembered for a second, and forgotten at once
    when they change here."""

    def __init__(self, database: Database, vault: Vault, clock: Clock) -> None:
        self.roles = Roles(database, clock)
        self._database = database
        self._vault = vault
        self._clock = clock
        self._credentials: TtlCache[str, Credential] = TtlCache(clock)
        self._lent: dict[tuple[str, str], Credential] = {}

    async def bootstrap(self) -> AccessKey:
        """The operator's root key, secret included: made at the first start with its account and the role
        that agents run under. Later starts change nothing, unless no active key is left to get in with."""
        async with self._database.begin() as connection:
            fresh = await store.add_operator_account(connection, new_account_id(), self._clock.now())
            account = await store.operator_account(connection)
            assert account is not None
            if fresh:
                await self._add_agent_role(connection, account)
            active = [key for key in await store.keys_of(connection, account) if key.active]
            key = active[0] if active else await self._add_key(connection, account, "root key")
            found = await store.find_key(connection, key.access_key_id)
        assert found is not None
        secret = self._vault.open(found[1], _context(account, key.access_key_id))
        return replace(found[0], secret_access_key=secret.decode())

    async def create_account(self, name: str) -> AccessKey:
        """A new tenant, by its root key, secret included."""
        account = new_account_id()
        async with self._database.begin() as connection:
            await store.add_account(connection, account, name, self._clock.now())
            await self._add_agent_role(connection, account)
            return await self._add_key(connection, account, "root key")

    async def is_operator(self, caller: Caller) -> bool:
        """Whether the caller is root of the first account."""
        if caller.kind is not CallerKind.ROOT:
            return False
        async with self._database.begin() as connection:
            return await store.operator_account(connection) == caller.account

    async def create_key(self, account: str, description: str) -> AccessKey:
        """The only time that the secret is shown. Raises NotFound for an unknown account."""
        async with self._database.begin() as connection:
            if not await store.account_exists(connection, account):
                raise NotFound(f"Account {account} does not exist")
            return await self._add_key(connection, account, description)

    async def list_keys(self, account: str) -> list[AccessKey]:
        """Oldest first, without secrets."""
        async with self._database.begin() as connection:
            return await store.keys_of(connection, account)

    async def set_key_active(self, account: str, access_key_id: str, active: bool) -> None:
        async with self._database.begin() as connection:
            known = await store.set_key_active(connection, account, access_key_id, active)
        self._credentials.forget(access_key_id)
        if not known:
            raise _no_key(access_key_id)

    async def delete_key(self, account: str, access_key_id: str) -> None:
        async with self._database.begin() as connection:
            known = await store.delete_key(connection, account, access_key_id)
        self._credentials.forget(access_key_id)
        if not known:
            raise _no_key(access_key_id)

    def lend(self, source: str, access_key_id: str, credential: Credential) -> None:
        """What is signed with this key id at this address counts as the credential's, until `take_back`."""
        self._lent[source, access_key_id] = credential

    def take_back(self, source: str, access_key_id: str) -> None:
        self._lent.pop((source, access_key_id), None)

    async def credential(self, access_key_id: str, source: str = "") -> Credential | None:
        """None for an unknown or inactive key; an expired one is given: see its `expires_at`. `source` is the
        address that the request came from."""
        known = self._lent.get((source, access_key_id)) or self._credentials.get(access_key_id)
        if known is not None:
            return known
        async with self._database.begin() as connection:
            if access_key_id.startswith("ASIA"):
                found = await self._session_credential(connection, access_key_id)
            else:
                found = await self._key_credential(connection, access_key_id)
        if found is not None:
            self._credentials.put(access_key_id, found)
        return found

    async def check_agent_role(self, caller: Caller, role_arn: str) -> None:
        """May the caller let agents run under this role, and does the role trust AgentCore with that?

        Raises InvalidRequest naming `roleArn`, or AccessDenied when the caller may not pass the role on.
        """
        try:
            role = await self.role(role_arn, caller.account)
        except NotFound as error:
            raise _invalid_role(f"there is no role {role_arn} in account {caller.account}") from error
        source = {"aws:sourceaccount": caller.account, "aws:sourcearn": _any_agent(caller)}
        trusted = AccessRequest("sts:AssumeRole", role_arn, frozenset({AGENTCORE_SERVICE}), context=source)
        if evaluate([json.loads(role.trust)], trusted) is not Decision.ALLOW:
            raise _invalid_role(f"the trust policy of {role_arn} does not let {AGENTCORE_SERVICE} take it")
        await self.authorize(caller, "iam:PassRole", role_arn)

    async def role(self, role_arn: str, account: str | None = None) -> Role:
        """Raises NotFound, also for a role of another than `account`."""
        try:
            owner, name = role_name(role_arn)
            role = await self.roles.get(owner, name)
        except (ValueError, NoSuchEntity) as error:
            raise NotFound(f"Role {role_arn} was not found") from error
        if role.arn != role_arn or account not in (None, owner):
            raise NotFound(f"Role {role_arn} was not found")
        return role

    async def role_credentials(self, role_arn: str, session_name: str, seconds: int) -> RoleCredentials:
        """New short-lived credentials. Who may have them is for the asking service to decide."""
        if not 0 < seconds <= MAX_SESSION_SECONDS:
            raise InvalidRequest(f"A session's credentials live 1 to {MAX_SESSION_SECONDS} seconds")
        role = await self.role(role_arn)
        expires_at = self._clock.now() + timedelta(seconds=seconds)
        session = RoleSession(new_iam_id("ASIA"), role.account, role.name, role.arn, session_name, expires_at)
        secret, token = new_secret(), new_secret() + new_secret()
        context = _context(role.account, session.access_key_id)
        sealed = self._vault.seal(f"{secret}:{token}".encode(), context)
        async with self._database.begin() as connection:
            await store.add_session(connection, session, sealed)
        return RoleCredentials(session.access_key_id, secret, token, expires_at, session.caller)

    async def revoke(self, access_key_id: str) -> None:
        """End the credentials of a role's session before their time."""
        async with self._database.begin() as connection:
            await store.delete_session(connection, access_key_id)
        self._credentials.forget(access_key_id)

    async def assume_role(
        self, caller: Caller, role_arn: str, session_name: str, seconds: int, external_id: str = ""
    ) -> RoleCredentials:
        """Raises AccessDenied unless the trust policy lets the caller in, also when there is no such role."""
        refusal = _denied(caller, "sts:AssumeRole", role_arn)
        try:
            role = await self.role(role_arn)
        except NotFound as error:
            raise refusal from error
        context = {"sts:externalid": external_id} if external_id else {}
        trust = [json.loads(role.trust)]
        request = AccessRequest.of(caller, "sts:AssumeRole", role_arn, context)
        decision = evaluate(trust, request)
        if decision is Decision.NEUTRAL:
            decision = evaluate(trust, request, delegated=True)
            if decision is Decision.ALLOW and caller.kind is CallerKind.ROLE:
                decision = await self._judge_role(caller, request)
        if decision is not Decision.ALLOW:
            raise refusal
        if seconds > role.max_session_seconds:
            raise InvalidRequest(
                "DurationSeconds exceeds the MaxSessionDuration set for this role: "
                f"at most {role.max_session_seconds}"
            )
        return await self.role_credentials(role_arn, session_name, seconds)

    async def authorize(self, caller: Caller, action: str, resource: str) -> None:
        """Root may do all in its own account, a role what its policies allow there; a bearer has no policies
        here: the resource's own authorizer speaks for it.

        Raises AccessDenied; NotFound for another tenant's resource, whether it exists or not.
        """
        if not _within(caller.account, resource):
            raise NotFound(f"Resource {resource} was not found")
        if caller.kind is CallerKind.ROOT:
            return
        decision = await self._judge_role(caller, AccessRequest.of(caller, action, resource))
        if decision is Decision.DENY:
            raise _denied(caller, action, resource, " with an explicit deny in an identity-based policy")
        if decision is Decision.NEUTRAL:
            reason = f" because no identity-based policy allows the {action} action"
            raise _denied(caller, action, resource, reason)

    async def purge_expired(self) -> int:
        """Forget sessions that expired a while ago; how many."""
        async with self._database.begin() as connection:
            return await store.delete_expired_sessions(connection, self._clock.now() - EXPIRED_KEPT)

    async def _judge_role(self, caller: Caller, request: AccessRequest) -> Decision:
        if caller.kind is not CallerKind.ROLE:
            return Decision.NEUTRAL
        _, name = role_name(caller.role)
        return evaluate(await self.roles.permissions(caller.account, name), request)

    async def _add_agent_role(self, connection: AsyncConnection, account: str) -> None:
        trust, policy = json.dumps(agent_trust(account)), json.dumps(agent_policy(account))
        now = self._clock.now()
        role = Role(account, AGENT_ROLE, new_iam_id("AROA"), "/", trust, MAX_SESSION_SECONDS, {}, now)
        await role_store.add_role(connection, role)
        await role_store.put_inline(connection, account, AGENT_ROLE, AGENT_POLICY, policy)

    async def _add_key(self, connection: AsyncConnection, account: str, description: str) -> AccessKey:
        key = AccessKey(
            new_iam_id("AKIA"), account, description, True, self._clock.now(), secret_access_key=new_secret()
        )
        context = _context(account, key.access_key_id)
        await store.add_key(connection, key, self._vault.seal(key.secret_access_key.encode(), context))
        return key

    async def _key_credential(self, connection: AsyncConnection, access_key_id: str) -> Credential | None:
        found = await store.find_key(connection, access_key_id)
        if found is None or not found[0].active:
            return None
        key, sealed = found
        secret = self._vault.open(sealed, _context(key.account, access_key_id)).decode()
        principal = str(Arn("iam", "", key.account, "root"))
        return Credential(
            access_key_id, secret, Caller(key.account, principal, "", access_key_id=access_key_id)
        )

    async def _session_credential(self, connection: AsyncConnection, access_key_id: str) -> Credential | None:
        found = await store.find_session(connection, access_key_id)
        if found is None:
            return None
        session, sealed = found
        opened = self._vault.open(sealed, _context(session.account, access_key_id))
        secret, token = opened.decode().split(":")
        return Credential(access_key_id, secret, session.caller, token, session.expires_at)


def _invalid_role(rule: str) -> InvalidRequest:
    return InvalidRequest(f"Role validation failed: {rule}", (FieldError("roleArn", rule),))


def _any_agent(caller: Caller) -> str:
    return agentcore_arn(caller.region, caller.account, "runtime/agent")


def _context(account: str, access_key_id: str) -> str:
    return store.SEALED.context({"account": account, "access_key_id": access_key_id})


def _within(account: str, resource: str) -> bool:
    """The account's own, or of no account (S3, models, `*`), or one that comes with the service."""
    try:
        return resource == "*" or Arn.parse(resource).account in (account, "", "aws")
    except ValueError:
        return False


def _no_key(access_key_id: str) -> NotFound:
    return NotFound(f"Access key {access_key_id} does not exist")


def _denied(caller: Caller, action: str, resource: str, reason: str = "") -> AccessDenied:
    return AccessDenied(
        f"User: {caller.principal} is not authorized to perform: {action} on resource: {resource}{reason}"
    )
