"""The life of secrets: made, read, changed, deleted and restored, by whoever may."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Database
from innkeeper.engines.vault.vault import Vault
from innkeeper.kernel.call import Document
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import InnkeeperError, NotFound, QuotaExceeded
from innkeeper.kernel.ids import Arn
from innkeeper.kernel.page import Page
from innkeeper.services.account.service import Accounts
from innkeeper.services.secrets_manager import catalogue, store
from innkeeper.services.secrets_manager.certificates import checked, refused, secrets_of
from innkeeper.services.secrets_manager.errors import InvalidState, SecretExists, SecretNotFound
from innkeeper.services.secrets_manager.model import (
    CURRENT,
    RECOVERY_DAYS,
    SERVICE,
    Secret,
    Value,
    Version,
    check_name,
    check_supported,
    check_text,
    invalid,
    new_arn,
)
from innkeeper.services.secrets_manager.values import Values
from innkeeper.services.tags.model import MAX_TAGS, check_keys, check_tags


@dataclass(frozen=True, slots=True)
class Opened:
    """A version with what is in it."""

    secret: Secret
    version: Version
    value: Value


class SecretsManager:
    """Names of secrets are names, ARNs, or ARNs without the random characters. Each method that takes a
    caller raises AccessDenied; SecretNotFound; InvalidState while the secret is scheduled for deletion."""

    def __init__(self, database: Database, vault: Vault, accounts: Accounts, clock: Clock) -> None:
        self._database = database
        self._accounts = accounts
        self._clock = clock
        self._values = Values(vault, clock)

    async def create(self, caller: Caller, parameters: Document) -> tuple[Secret, Version | None]:
        """A repeat with the same token and value is the same secret. Raises InvalidRequest, SecretExists."""
        name, token = parameters["Name"], parameters["ClientRequestToken"]
        check_name(name)
        check_supported(parameters)
        value, now = Value.of(parameters), self._clock.now()
        secret = Secret(
            account=caller.account,
            name=name,
            arn=new_arn(caller.region, caller.account, name),
            description=check_text("Description", parameters.get("Description", "")),
            kms_key_id=_key(parameters),
            tags=_tags(parameters.get("Tags", [])),
            created_at=now,
            changed_at=now,
        )
        await self._accounts.authorize(caller, f"{SERVICE}:CreateSecret", secret.arn)
        try:
            async with self._database.begin() as connection:
                await store.add(connection, secret)
                if value is None:
                    return secret, None
                return secret, await self._values.add(connection, secret, token, value)
        except IntegrityError:
            return await self._made_before(caller.account, name, token, value)

    async def put(self, caller: Caller, parameters: Document) -> tuple[Secret, Version]:
        """A new version. Raises InvalidRequest, SecretExists, QuotaExceeded."""
        check_supported(parameters)
        value = Value.of(parameters)
        if value is None:
            raise invalid("SecretString", "either SecretString or SecretBinary is needed")
        wanted = parameters.get("VersionStages") or [CURRENT]
        async with self._changing(caller, "PutSecretValue", parameters["SecretId"]) as (connection, secret):
            return secret, await self._values.add(
                connection, secret, parameters["ClientRequestToken"], value, wanted
            )

    async def update(self, caller: Caller, parameters: Document) -> tuple[Secret, Version | None]:
        """The description, the key or the value, as far as they are given. Raises as `put` does."""
        check_supported(parameters)
        value = Value.of(parameters)
        values: dict[str, object] = {"changed_at": self._clock.now()}
        if "Description" in parameters:
            values["description"] = check_text("Description", parameters["Description"])
        if "KmsKeyId" in parameters:
            values["kms_key_id"] = _key(parameters)
        async with self._changing(caller, "UpdateSecret", parameters["SecretId"]) as (connection, secret):
            await store.change(connection, secret.arn, values)
            if value is None:
                return secret, None
            token = parameters["ClientRequestToken"]
            return secret, await self._values.add(connection, secret, token, value)

    async def get(
        self, caller: Caller, secret_id: str, version_id: str | None = None, label: str | None = None
    ) -> Opened:
        """The current version unless another is named."""
        found = await self._permitted(caller, "GetSecretValue", secret_id)
        _check_kept(found)
        async with self._database.begin() as connection:
            version = await self._values.find(connection, found, version_id, label)
            value = await self._values.open(connection, found, version.id)
            await self._values.note_access(connection, found, version)
        return Opened(found, version, value)

    async def get_many(
        self, caller: Caller, parameters: Document
    ) -> tuple[list[Opened], list[tuple[str, InnkeeperError]], str | None]:
        """What was opened, which could not be and why, and the next page's token. Raises InvalidRequest."""
        names, filters = parameters.get("SecretIdList"), parameters.get("Filters")
        await self._accounts.authorize(caller, f"{SERVICE}:BatchGetSecretValue", "*")
        if bool(names) == bool(filters):
            raise invalid("SecretIdList", "either this or Filters is needed, not both")
        token: str | None = None
        if filters:
            page = await self.list(caller, {"MaxResults": 20, **parameters})
            names, token = [secret.arn for secret in page.items], page.next_token
        opened: list[Opened] = []
        failed: list[tuple[str, InnkeeperError]] = []
        for name in names or []:
            try:
                opened.append(await self.get(caller, name))
            except InnkeeperError as error:
                failed.append((name, error))
        return opened, failed, token

    async def certificates(self, caller: Caller, certificates: Sequence[Document]) -> bytes:
        """What the `certificates` of a code interpreter or a browser name, as one bundle in PEM, each once;
        read with the caller's own rights, as AgentCore does. Raises InvalidRequest, NotFound naming the
        secret."""
        found: dict[bytes, None] = {}
        for arn in secrets_of(certificates):
            try:
                opened = await self.get(caller, arn)
            except NotFound as error:
                raise NotFound(f"The secret {arn} of a certificate was not found, or has no value") from error
            except InvalidState as error:
                raise refused(arn, "is scheduled for deletion") from error
            found |= dict.fromkeys(checked(arn, opened.value.data, self._clock.now()))
        return b"".join(found)

    async def describe(self, caller: Caller, secret_id: str) -> tuple[Secret, dict[str, list[str]]]:
        """With the labels of its versions, where they have any. One scheduled for deletion can be seen."""
        secret = await self._permitted(caller, "DescribeSecret", secret_id)
        return secret, (await self.labels([secret]))[secret.arn]

    async def labels(self, secrets: Sequence[Secret]) -> dict[str, dict[str, list[str]]]:
        """By ARN and version; of secrets that the caller was given."""
        async with self._database.begin() as connection:
            return await store.labels_of(connection, [secret.arn for secret in secrets])

    async def list(self, caller: Caller, parameters: Document) -> Page[Secret]:
        """Raises InvalidNextToken."""
        await self._accounts.authorize(caller, f"{SERVICE}:ListSecrets", "*")
        async with self._database.begin() as connection:
            return await catalogue.secrets(connection, caller.account, parameters)

    async def versions(self, caller: Caller, parameters: Document) -> tuple[Secret, Page[Version]]:
        """Raises InvalidNextToken."""
        secret = await self._permitted(caller, "ListSecretVersionIds", parameters["SecretId"])
        async with self._database.begin() as connection:
            return secret, await catalogue.versions(connection, secret, parameters)

    async def move_label(self, caller: Caller, parameters: Document) -> Secret:
        """Raises InvalidRequest, QuotaExceeded."""
        name = parameters["SecretId"]
        async with self._changing(caller, "UpdateSecretVersionStage", name) as (connection, secret):
            source, target = parameters.get("RemoveFromVersionId"), parameters.get("MoveToVersionId")
            await self._values.move(connection, secret, parameters["VersionStage"], source, target)
            return secret

    async def delete(self, caller: Caller, parameters: Document) -> tuple[str, str, datetime]:
        """The ARN, the name and when it is gone. Raises InvalidRequest."""
        days, now = parameters.get("RecoveryWindowInDays"), self._clock.now()
        at_once = parameters.get("ForceDeleteWithoutRecovery", False)
        if days is not None and at_once:
            raise invalid("RecoveryWindowInDays", "it does not go with ForceDeleteWithoutRecovery")
        if days is not None and days not in RECOVERY_DAYS:
            raise invalid("RecoveryWindowInDays", "it must be from 7 to 30 days")
        secret_id = parameters["SecretId"]
        try:
            secret = await self._permitted(caller, "DeleteSecret", secret_id)
        except SecretNotFound:
            if not at_once:
                raise
            return secret_id, secret_id, now
        async with self._database.begin() as connection:
            secret = await _locked(connection, secret.arn)
            if at_once:
                await store.remove(connection, secret.arn)
                return secret.arn, secret.name, now
            _check_kept(secret)
            gone_at = now + timedelta(days=days or RECOVERY_DAYS[-1])
            await store.change(connection, secret.arn, {"delete_at": gone_at})
        return secret.arn, secret.name, gone_at

    async def restore(self, caller: Caller, secret_id: str) -> Secret:
        """One that is not scheduled for deletion stays as it is."""
        secret = await self._permitted(caller, "RestoreSecret", secret_id)
        async with self._database.begin() as connection:
            await _locked(connection, secret.arn)
            await store.change(connection, secret.arn, {"delete_at": None})
        return replace(secret, delete_at=None)

    async def tag(self, caller: Caller, secret_id: str, tags: Sequence[Document]) -> None:
        """Raises InvalidRequest, QuotaExceeded."""
        new = _tags(tags)
        async with self._changing(caller, "TagResource", secret_id) as (connection, secret):
            await self._retag(connection, secret, {**secret.tags, **new})

    async def untag(self, caller: Caller, secret_id: str, keys: Sequence[str]) -> None:
        """Keys that are not there are no error. Raises InvalidRequest."""
        check_keys(keys, "TagKeys")
        async with self._changing(caller, "UntagResource", secret_id) as (connection, secret):
            await self._retag(connection, secret, {key: secret.tags[key] for key in {*secret.tags} - {*keys}})

    async def purge(self) -> int:
        """Remove the secrets whose time to think it over has passed; how many."""
        async with self._database.begin() as connection:
            gone = await store.lock_overdue(connection, self._clock.now())
            for arn in gone:
                await store.remove(connection, arn)
        return len(gone)

    async def _retag(self, connection: AsyncConnection, secret: Secret, tags: Mapping[str, str]) -> None:
        if len(tags) > MAX_TAGS:
            raise QuotaExceeded(f"A secret may have at most {MAX_TAGS} tags")
        now = self._clock.now()
        await store.change(connection, secret.arn, {"tags": dict(tags), "changed_at": now})

    async def _made_before(
        self, account: str, name: str, token: str, value: Value | None
    ) -> tuple[Secret, Version]:
        """By the same request, if it is a repeat."""
        async with self._database.begin() as connection:
            secret = await store.find(connection, account, name)
            if secret is None:
                raise SecretNotFound
            if secret.delete_at is not None:
                raise InvalidState(
                    "You can't create this secret because a secret with this name is already scheduled for "
                    "deletion."
                )
            known = {version.id: version for version in await store.versions(connection, secret.arn)}
            if token not in known or await self._values.open(connection, secret, token) != value:
                raise SecretExists(f"The operation failed because the secret {name} already exists.")
            return secret, known[token]

    async def _permitted(self, caller: Caller, action: str, secret_id: str) -> Secret:
        async with self._database.begin() as connection:
            secret = await store.find(connection, caller.account, secret_id)
        resource = secret.arn if secret else _unknown(caller, secret_id)
        await self._accounts.authorize(caller, f"{SERVICE}:{action}", resource)
        if secret is None:
            raise SecretNotFound
        return secret

    @asynccontextmanager
    async def _changing(
        self, caller: Caller, action: str, secret_id: str
    ) -> AsyncIterator[tuple[AsyncConnection, Secret]]:
        """A transaction that has it locked."""
        found = await self._permitted(caller, action, secret_id)
        async with self._database.begin() as connection:
            secret = await _locked(connection, found.arn)
            _check_kept(secret)
            yield connection, secret


async def _locked(connection: AsyncConnection, arn: str) -> Secret:
    secret = await store.lock(connection, arn)
    if secret is None:
        raise SecretNotFound
    return secret


def _check_kept(secret: Secret) -> None:
    if secret.delete_at is not None:
        raise InvalidState(
            "You can't perform this operation on the secret because it was marked for deletion; "
            "RestoreSecret takes that back."
        )


def _unknown(caller: Caller, secret_id: str) -> str:
    """What a policy is asked about a secret that is not there."""
    if secret_id.startswith("arn:"):
        return secret_id
    return str(Arn(SERVICE, caller.region, caller.account, f"secret:{secret_id}"))


def _key(parameters: Document) -> str | None:
    return check_text("KmsKeyId", parameters.get("KmsKeyId", "")) or None


def _tags(tags: Sequence[Document]) -> dict[str, str]:
    found = {tag.get("Key", ""): tag.get("Value", "") for tag in tags}
    for key, value in found.items():
        check_text("Tags", key + value)
    check_tags(found)
    if len(found) > MAX_TAGS:
        raise QuotaExceeded(f"A secret may have at most {MAX_TAGS} tags")
    return found
