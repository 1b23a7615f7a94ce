"""The versions of a secret: sealed, opened, labelled. All in transactions of the caller's."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.vault.vault import Vault
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import QuotaExceeded
from innkeeper.services.secrets_manager import store
from innkeeper.services.secrets_manager.errors import InvalidState, SecretExists, SecretNotFound
from innkeeper.services.secrets_manager.model import (
    CURRENT,
    Secret,
    Value,
    Version,
    check_text,
    invalid,
    labelled,
)

KEPT_COUNT = 100
KEPT = timedelta(hours=24)
VERSIONS_MAX = 300
"""More than those that last: so many are made within a day only by mistake."""


class Values:
    """Whoever adds or labels a version has locked its secret."""

    def __init__(self, vault: Vault, clock: Clock) -> None:
        self._vault = vault
        self._clock = clock

    async def add(
        self,
        connection: AsyncConnection,
        secret: Secret,
        version_id: str,
        value: Value,
        wanted: Sequence[str] = (CURRENT,),
    ) -> Version:
        """With these labels; the first version is the current one as well. A repeat changes nothing.

        Raises SecretExists when the id is that of another value, QuotaExceeded.
        """
        check_text("ClientRequestToken", version_id)
        versions = await store.versions(connection, secret.arn)
        known = next((version for version in versions if version.id == version_id), None)
        if known is not None:
            return await self._repeated(connection, secret, known, value)
        if len(versions) >= VERSIONS_MAX:
            raise QuotaExceeded(
                f"A secret has at most {VERSIONS_MAX} versions; those without labels go in a day"
            )
        wanted = [*wanted] if versions else [*wanted, CURRENT]
        for label in wanted:
            check_text("VersionStages", label)
        now = self._clock.now()
        made = Version(version_id, tuple(sorted(set(wanted))), now)
        sealed = self._vault.seal(value.data, _context(secret, version_id))
        await store.add_version(connection, secret, made, value.is_text, sealed)
        before = {version.id: frozenset(version.labels) for version in versions}
        await _relabel(connection, secret, versions, labelled(before, version_id, wanted))
        await self._forget_old(connection, secret)
        await store.change(connection, secret.arn, {"changed_at": now})
        return made

    async def find(
        self, connection: AsyncConnection, secret: Secret, version_id: str | None, label: str | None
    ) -> Version:
        """The one that both name; the current one where neither is given. Raises SecretNotFound, and
        InvalidState when they name different ones."""
        versions = await store.versions(connection, secret.arn)
        if version_id is None:
            label = label or CURRENT
            found = next((version for version in versions if label in version.labels), None)
            what = f"staging label: {label}"
        else:
            found = next((version for version in versions if version.id == version_id), None)
            what = f"VersionId: {version_id}"
        if found is None:
            raise SecretNotFound(f"the specified secret value for {what}")
        if label is not None and label not in found.labels:
            raise InvalidState(
                "You provided a VersionStage that is not associated to the provided VersionId."
            )
        return found

    async def open(self, connection: AsyncConnection, secret: Secret, version_id: str) -> Value:
        """Raises SecretNotFound."""
        found = await store.sealed_value(connection, secret.arn, version_id)
        if found is None:
            raise SecretNotFound()
        sealed, is_text = found
        return Value(self._vault.open(sealed, _context(secret, version_id)), is_text)

    async def move(
        self, connection: AsyncConnection, secret: Secret, label: str, source: str | None, target: str | None
    ) -> None:
        """Take a label from the version `source`, where it is on one, and put it on `target`, if given.
        Raises InvalidRequest, SecretNotFound."""
        versions = await store.versions(connection, secret.arn)
        holder = next((version.id for version in versions if label in version.labels), None)
        known = {version.id for version in versions}
        for version_id in (source, target):
            if version_id is not None and version_id not in known:
                raise SecretNotFound(f"the specified secret value for VersionId: {version_id}")
        if source is None and target is None:
            raise invalid("MoveToVersionId", "either this or RemoveFromVersionId is needed")
        if source != holder and not (source is None and holder == target):
            raise invalid("RemoveFromVersionId", f"staging label {label} is on {holder or 'no version'}")
        if target is None and label == CURRENT:
            raise invalid("MoveToVersionId", f"{CURRENT} can only move to another version, not be removed")
        before = {version.id: frozenset(version.labels) for version in versions}
        if target is None:
            after = {id_: labels - {label} for id_, labels in before.items()}
        else:
            after = labelled(before, target, [check_text("VersionStage", label)])
        await _relabel(connection, secret, versions, after)
        await store.change(connection, secret.arn, {"changed_at": self._clock.now()})

    async def note_access(self, connection: AsyncConnection, secret: Secret, version: Version) -> None:
        """By the day: a secret that is read often is written to once a day."""
        today = self._clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        if version.accessed_at != today:
            # In the order in which whoever changes both locks them.
            await store.change(connection, secret.arn, {"accessed_at": today})
            await store.change_version(connection, secret.arn, version.id, {"accessed_at": today})

    async def _repeated(
        self, connection: AsyncConnection, secret: Secret, known: Version, value: Value
    ) -> Version:
        if await self.open(connection, secret, known.id) != value:
            raise SecretExists(
                f"You can't use ClientRequestToken {known.id} because that value is already in use for "
                f"a version of secret {secret.arn}."
            )
        return known

    async def _forget_old(self, connection: AsyncConnection, secret: Secret) -> None:
        versions = await store.versions(connection, secret.arn)
        last = self._clock.now() - KEPT
        old = [one.id for one in versions[:-KEPT_COUNT] if not one.labels and one.created_at < last]
        if old:
            await store.remove_versions(connection, secret.arn, old)


async def _relabel(
    connection: AsyncConnection,
    secret: Secret,
    versions: Sequence[Version],
    labels: Mapping[str, frozenset[str]],
) -> None:
    for version in versions:
        if set(version.labels) != labels[version.id]:
            changed = {"labels": sorted(labels[version.id])}
            await store.change_version(connection, secret.arn, version.id, changed)


def _context(secret: Secret, version_id: str) -> str:
    return store.SEALED.context({"account": secret.account, "arn": secret.arn, "id": version_id})
