"""Secrets and their versions in the database."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata
from innkeeper.engines.vault.columns import VaultSealed
from innkeeper.kernel.page import Cursor, PageRequest
from innkeeper.kernel.text import storable
from innkeeper.services.secrets_manager.model import Secret, Version, is_named, name_in

secrets = Table(
    "secrets",
    metadata,
    Column("account", String(12), nullable=False),
    Column("name", String(512), nullable=False),
    Column("arn", String(1024), nullable=False, unique=True),
    Column("description", Text, nullable=False),
    Column("kms_key_id", Text),
    Column("tags", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("accessed_at", Moment),
    Column("delete_at", Moment, index=True),
    PrimaryKeyConstraint("account", "name"),
)

SEALED = VaultSealed("{account}/secret/{arn}/{id}")

secret_versions = Table(
    "secret_versions",
    metadata,
    Column("account", String(12), nullable=False),
    Column("arn", String(1024), nullable=False),
    Column("id", String(64), nullable=False),
    Column("labels", JSON, nullable=False),
    Column("is_text", Boolean, nullable=False),
    Column("sealed", SEALED, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("accessed_at", Moment),
    PrimaryKeyConstraint("arn", "id"),
)

_PLAIN = [
    column for column in secret_versions.c if column.name in ("id", "labels", "created_at", "accessed_at")
]
_NEVER = datetime.fromtimestamp(0, UTC)
_ORDERS: dict[str, Any] = {
    "created-date": secrets.c.created_at,
    "last-changed-date": secrets.c.changed_at,
    "last-accessed-date": func.coalesce(secrets.c.accessed_at, literal(_NEVER, Moment)),
    "name": literal(_NEVER, Moment),
}
_SECRETS = Cursor("secrets", datetime, str)
VERSIONS = Cursor("versions of a secret", datetime, str)


@dataclass(frozen=True, slots=True)
class Listing:
    """The way through the secrets of an account, in one of the orders of `ListSecrets`; those of one moment
    by name."""

    account: str
    by: str
    descending: bool
    with_deleted: bool

    @property
    def cursor(self) -> Cursor:
        return _SECRETS.of(self.account, self.by, str(self.descending), str(self.with_deleted))

    def place(self, secret: Secret) -> tuple[datetime, str]:
        moments = {
            "created-date": secret.created_at,
            "last-changed-date": secret.changed_at,
            "last-accessed-date": secret.accessed_at or _NEVER,
        }
        return moments.get(self.by, _NEVER), secret.name


async def add(connection: AsyncConnection, secret: Secret) -> None:
    """Raises IntegrityError when the name is taken."""
    await connection.execute(insert(secrets).values(asdict(secret)))


async def find(connection: AsyncConnection, account: str, secret_id: str) -> Secret | None:
    """By its name, its ARN, or its ARN without the random characters."""
    if not storable(secret_id):
        return None
    named = or_(secrets.c.arn == secret_id, secrets.c.name == name_in(secret_id))
    rows = (await connection.execute(select(secrets).where(secrets.c.account == account, named))).mappings()
    found = [secret for row in rows if is_named(secret := Secret(**row), secret_id)]
    return max(found, key=lambda secret: secret.arn == secret_id, default=None)


async def listed(connection: AsyncConnection, listing: Listing, page: PageRequest, most: int) -> list[Secret]:
    """From where the page begins. Raises InvalidRequest for a token of another list."""
    key = _ORDERS[listing.by], secrets.c.name
    query = select(secrets).where(secrets.c.account == listing.account)
    if not listing.with_deleted:
        query = query.where(secrets.c.delete_at.is_(None))
    if after := listing.cursor.after(page):
        last = tuple_(literal(after[0], Moment), literal(after[1]))
        query = query.where(tuple_(*key) < last if listing.descending else tuple_(*key) > last)
    query = query.order_by(*(one.desc() if listing.descending else one.asc() for one in key)).limit(most)
    return [Secret(**row) for row in (await connection.execute(query)).mappings()]


async def lock(connection: AsyncConnection, arn: str) -> Secret | None:
    """As it is now; nobody else changes it or its versions before this transaction ends."""
    same = update(secrets).where(secrets.c.arn == arn).values(arn=arn).returning(secrets)
    row = (await connection.execute(same)).mappings().first()
    return Secret(**row) if row else None


async def change(connection: AsyncConnection, arn: str, values: Mapping[str, Any]) -> None:
    await connection.execute(update(secrets).where(secrets.c.arn == arn).values(values))


async def remove(connection: AsyncConnection, arn: str) -> None:
    await connection.execute(delete(secret_versions).where(secret_versions.c.arn == arn))
    await connection.execute(delete(secrets).where(secrets.c.arn == arn))


async def lock_overdue(connection: AsyncConnection, now: datetime) -> list[str]:
    """The ARNs of those whose time has come; nobody else changes them before this transaction ends."""
    due = update(secrets).where(secrets.c.delete_at <= now).values(arn=secrets.c.arn).returning(secrets.c.arn)
    return [*(await connection.execute(due)).scalars()]


async def add_version(
    connection: AsyncConnection, secret: Secret, version: Version, is_text: bool, sealed: bytes
) -> None:
    """Raises IntegrityError when there is one with this id."""
    values = asdict(version) | {"labels": list(version.labels)}
    own = {"account": secret.account, "arn": secret.arn, "is_text": is_text, "sealed": sealed}
    await connection.execute(insert(secret_versions).values(values | own))


async def versions(connection: AsyncConnection, arn: str) -> list[Version]:
    """Oldest first."""
    query = select(*_PLAIN).where(secret_versions.c.arn == arn)
    query = query.order_by(secret_versions.c.created_at, secret_versions.c.id)
    return [_version(row) for row in (await connection.execute(query)).mappings()]


async def labels_of(connection: AsyncConnection, arns: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """By ARN and version, of those that have any."""
    query = select(secret_versions.c.arn, secret_versions.c.id, secret_versions.c.labels)
    found: dict[str, dict[str, list[str]]] = {arn: {} for arn in arns}
    for row in await connection.execute(query.where(secret_versions.c.arn.in_(arns))):
        if row.labels:
            found[row.arn][row.id] = row.labels
    return found


async def sealed_value(connection: AsyncConnection, arn: str, version_id: str) -> tuple[bytes, bool] | None:
    """Sealed, and whether it is text."""
    query = select(secret_versions.c.sealed, secret_versions.c.is_text).where(_one(arn, version_id))
    row = (await connection.execute(query)).first()
    return (row.sealed, row.is_text) if row else None


async def change_version(
    connection: AsyncConnection, arn: str, version_id: str, values: Mapping[str, Any]
) -> None:
    await connection.execute(update(secret_versions).where(_one(arn, version_id)).values(values))


async def remove_versions(connection: AsyncConnection, arn: str, ids: Sequence[str]) -> None:
    gone = secret_versions.c.arn == arn, secret_versions.c.id.in_(ids)
    await connection.execute(delete(secret_versions).where(*gone))


def _one(arn: str, version_id: str) -> Any:
    return (secret_versions.c.arn == arn) & (secret_versions.c.id == version_id)


def _version(row: RowMapping) -> Version:
    return Version(**{**row, "labels": tuple(row["labels"])})
