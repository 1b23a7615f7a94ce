"""Roles and policies: made, changed, deleted, and read for a decision."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Database
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.ids import Arn
from innkeeper.kernel.page import Page, PageRequest
from innkeeper.kernel.policies import Policy, PolicyKind, parse_policy
from innkeeper.kernel.ttl_cache import TtlCache
from innkeeper.services.account import role_store, store
from innkeeper.services.account.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    InvalidInput,
    MalformedPolicyDocument,
    NoSuchEntity,
)
from innkeeper.services.account.model import ManagedPolicy, Role, new_iam_id


class Roles:
    """What a role may do is remembered for a second, and forgotten at once when it changes here."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._documents: TtlCache[tuple[str, str], list[Policy]] = TtlCache(clock)

    async def create(
        self,
        account: str,
        name: str,
        trust: str,
        path: str = "/",
        max_session_seconds: int = 3600,
        details: Mapping[str, Any] | None = None,
    ) -> Role:
        """Raises EntityAlreadyExists, MalformedPolicyDocument."""
        _check(trust, PolicyKind.TRUST)
        now = self._clock.now()
        role = Role(
            account, name, new_iam_id("AROA"), path, trust, max_session_seconds, dict(details or {}), now
        )
        try:
            async with self._database.begin() as connection:
                await role_store.add_role(connection, role)
        except IntegrityError as error:
            raise EntityAlreadyExists(f"Role with name {name} already exists.") from error
        return role

    async def get(self, account: str, name: str) -> Role:
        async with self._database.begin() as connection:
            return await _role(connection, account, name)

    async def list_page(self, account: str, path_prefix: str, page: PageRequest) -> Page[Role]:
        async with self._database.begin() as connection:
            rows = await role_store.list_roles(connection, account, path_prefix, page)
        return role_store.ROLES.page(page, rows, lambda role: (role.name,))

    async def delete(self, account: str, name: str) -> None:
        """Ends the role's sessions too. Raises DeleteConflict while it has policies."""
        async with self._database.begin() as connection:
            await _role(connection, account, name)
            if await role_store.attached_arns(connection, account, name):
                raise DeleteConflict("Cannot delete entity, must detach all policies first.")
            if await role_store.inline_policies(connection, account, name):
                raise DeleteConflict("Cannot delete entity, must delete policies first.")
            await role_store.delete_role(connection, account, name)
            await store.delete_sessions_of_role(connection, account, name)

    async def set_trust(self, account: str, name: str, trust: str) -> None:
        _check(trust, PolicyKind.TRUST)
        async with self._database.begin() as connection:
            await _role(connection, account, name)
            await role_store.set_trust(connection, account, name, trust)

    async def put_inline(self, account: str, role: str, name: str, document: str) -> None:
        _check(document, PolicyKind.IDENTITY)
        async with self._database.begin() as connection:
            await _role(connection, account, role)
            await role_store.put_inline(connection, account, role, name, document)
        self._documents.forget((account, role))

    async def inline(self, account: str, role: str) -> dict[str, str]:
        """Documents by policy name."""
        async with self._database.begin() as connection:
            await _role(connection, account, role)
            return await role_store.inline_policies(connection, account, role)

    async def delete_inline(self, account: str, role: str, name: str) -> None:
        async with self._database.begin() as connection:
            await _role(connection, account, role)
            if not await role_store.delete_inline(connection, account, role, name):
                raise no_policy(name)
        self._documents.forget((account, role))

    async def create_managed(
        self,
        account: str,
        name: str,
        document: str,
        path: str = "/",
        details: Mapping[str, Any] | None = None,
    ) -> ManagedPolicy:
        _check(document, PolicyKind.IDENTITY)
        now = self._clock.now()
        policy = ManagedPolicy(account, name, new_iam_id("ANPA"), path, document, dict(details or {}), now)
        try:
            async with self._database.begin() as connection:
                await role_store.add_managed(connection, policy)
        except IntegrityError as error:
            raise EntityAlreadyExists(f"A policy called {name} already exists.") from error
        return policy

    async def managed(self, account: str, arn: str) -> ManagedPolicy:
        async with self._database.begin() as connection:
            return await _managed(connection, account, arn)

    async def delete_managed(self, account: str, arn: str) -> None:
        async with self._database.begin() as connection:
            if (await _managed(connection, account, arn)).attachments:
                raise DeleteConflict("Cannot delete a policy attached to entities.")
            await role_store.delete_managed(connection, account, arn)

    async def attach(self, account: str, role: str, arn: str) -> None:
        """The ARN of an AWS-managed policy is kept and grants nothing."""
        async with self._database.begin() as connection:
            await _role(connection, account, role)
            if not _is_aws_managed(arn):
                await _managed(connection, account, arn)
            await role_store.attach(connection, account, role, arn)
        self._documents.forget((account, role))

    async def detach(self, account: str, role: str, arn: str) -> None:
        async with self._database.begin() as connection:
            await _role(connection, account, role)
            if not await role_store.detach(connection, account, role, arn):
                raise no_policy(arn)
        self._documents.forget((account, role))

    async def attached(self, account: str, role: str) -> list[str]:
        """ARNs."""
        async with self._database.begin() as connection:
            await _role(connection, account, role)
            return list(await role_store.attached_arns(connection, account, role))

    async def permissions(self, account: str, role: str) -> list[Policy]:
        """All documents that say what the role may do; none when there is no such role."""
        known = self._documents.get((account, role))
        if known is not None:
            return known
        async with self._database.begin() as connection:
            inline = await role_store.inline_policies(connection, account, role)
            attached = await role_store.attached_documents(connection, account, role)
        documents: list[Policy] = [json.loads(text) for text in [*inline.values(), *attached]]
        self._documents.put((account, role), documents)
        return documents


def no_policy(name: str) -> NoSuchEntity:
    return NoSuchEntity(f"The policy {name} cannot be found.")


async def _role(connection: AsyncConnection, account: str, name: str) -> Role:
    found = await role_store.find_role(connection, account, name)
    if found is None:
        raise NoSuchEntity(f"The role with name {name} cannot be found.")
    return found


async def _managed(connection: AsyncConnection, account: str, arn: str) -> ManagedPolicy:
    found = await role_store.find_managed(connection, account, arn)
    if found is None:
        raise NoSuchEntity(f"Policy {arn} does not exist or is not attachable.")
    return found


def _is_aws_managed(arn: str) -> bool:
    try:
        parsed = Arn.parse(arn)
    except ValueError as error:
        raise InvalidInput(f"ARN {arn[:120]} is not valid.") from error
    return parsed.service == "iam" and parsed.account == "aws"


def _check(document: str, kind: PolicyKind) -> None:
    try:
        parse_policy(document, kind)
    except ValueError as error:
        raise MalformedPolicyDocument(f"The policy document is not valid: {error}") from error
